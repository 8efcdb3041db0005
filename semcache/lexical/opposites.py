"""Words that turn an answer around: enable against disable, open against close, 增加 against 减少.

An axis is two groups of words; a text that has a word of one group stands at that pole. Words that
mean too many things (light, hard, right, on) count only in a phrase that fixes the meaning.
"""

from __future__ import annotations

from collections.abc import Mapping

from semcache.lexical.stems import stem

_ENGLISH = """
enable activate | disable deactivate
increase raise boost | decrease reduce lower lessen
maximize maximum max | minimize minimum min
advantage pro benefit upside strength | disadvantage con drawback downside weakness
gain | lose
start begin launch | stop quit halt
open | close shut
lock | unlock
block ban | unblock unban
mute | unmute
hide | unhide show reveal display
install | uninstall
subscribe | unsubscribe
follow | unfollow
connect pair | disconnect unpair
attach mount insert | detach unmount eject
encrypt encode | decrypt decode
compress zip | decompress unzip extract
freeze | unfreeze thaw defrost
upload | download
import | export
push | pull
encourage | discourage
accept approve | reject decline deny refuse
allow permit | forbid prohibit
include contain | exclude omit
add append insert | remove delete subtract
create | delete destroy
win | lose
buy purchase | sell
borrow | lend
send | receive
deposit | withdraw
credit | debit
income revenue | expense
profit | loss
enter | exit leave
arrive arrival | depart departure
incoming inbound | outgoing outbound
ascend ascending ascent | descend descending descent
expand | shrink collapse
upgrade | downgrade
accelerate faster fast fastest quick quickest | decelerate slower slow slowest
more most | less least fewer fewest
best | worst
good great | bad terrible poor
better | worse
high higher highest | low lower lowest
big bigger biggest large larger largest | small smaller smallest little tiny
long longer longest | short shorter shortest
tall taller tallest | short shorter shortest
old older oldest | new newer newest young younger youngest
early earlier earliest | late later latest
hot hotter hottest warm warmer | cold colder coldest cool cooler
heavy heavier heaviest | light lighter lightest
strong stronger strongest | weak weaker weakest
rich richer richest | poor poorer poorest
cheap cheaper cheapest | expensive costly priciest
easy easier easiest simple | difficult hard harder hardest
safe | dangerous unsafe risky
hard harder firm firmer | soft softer
thick thicker | thin thinner
wide wider | narrow narrower
deep deeper | shallow shallower
loud louder | quiet quieter
wet humid moist | dry
clean | dirty
full | empty
alive | dead
male man boy husband father brother son king | female woman girl wife mother sister daughter queen
before | after
above | below
over | under
inside indoor | outside outdoor
upstairs | downstairs
front | back rear
left leftmost | right rightmost
first | last final
next upcoming | previous prior last
past | future
north northern | south southern
east eastern | west western
sunrise dawn | sunset dusk
morning | evening
day daytime | night nighttime
summer | winter
spring | autumn fall
public | private
local | remote
internal | external
domestic | international
online | offline
manual manually | automatic automatically
optional | mandatory required compulsory
temporary temporarily | permanent permanently
single | married
positive | negative
true | false
success succeed successful | failure fail failed
love | hate
agree | disagree
cause | prevent cure
promote | demote
hire | fire
acquit | convict
attack | defend
input | output
read | write
encryption | decryption
horizontal horizontally | vertical vertically
serial sequential | parallel
synchronous sync | asynchronous async
client | server
sender | recipient receiver
buyer | seller
lender | borrower
landlord | tenant
employer | employee
teacher | student
parent | child
gross | net
majority | minority
wholesale | retail
even | odd
prefix | suffix
uppercase | lowercase
numerator | denominator
acid acidic | alkaline basic
vegetarian vegan | carnivore meat
raw | cooked
fresh | frozen
refund | charge
renew | cancel terminate
lengthen extend | shorten
earn | spend
save | spend
tighten | loosen
fill | drain
inhale | exhale
inflate | deflate
merge join combine | split separate
wake | sleep
stale | fresh
ally | enemy
optimist optimistic | pessimist pessimistic
introvert | extrovert
hello | goodbye
proof prove | disprove
"""

_CHINESE = """
开 开通 打开 开启 启用 开始 激活 | 关 关闭 关掉 关了 停用 禁用 停止 注销
增加 提高 提升 上调 加大 提额 增大 调高 涨 上涨 | 减少 降低 下降 下调 减小 降额 调低 跌 下跌
安装 | 卸载
登录 登陆 登入 | 登出 退出登录
买 购买 买入 | 卖 出售 卖出
存 存入 存款 充值 | 取 取出 取款 提现
借入 借款 | 还款 还钱
收入 | 支出
收款 收到 接收 | 付款 发送 寄出
上传 | 下载
导入 | 导出
加密 | 解密
压缩 | 解压
锁定 冻结 上锁 | 解锁 解冻
绑定 | 解绑 解除绑定
添加 新增 加入 | 删除 移除 删掉
允许 同意 批准 | 禁止 拒绝
最高 最大 最多 最大值 | 最低 最小 最少 最小值
高 更高 | 低 更低
大 更大 | 小 更小
多 更多 | 少 更少
快 更快 最快 | 慢 更慢 最慢
长 最长 | 短 最短
新 最新 | 旧 最旧
贵 最贵 | 便宜 最便宜
最好 更好 | 最差 更差
优点 优势 好处 | 缺点 劣势 坏处
热 | 冷
之前 以前 前 饭前 | 之后 以后 后 饭后
上面 上方 | 下面 下方
左 左边 左侧 | 右 右边 右侧
里面 内部 | 外面 外部
早 早上 上午 | 晚 晚上 下午
提前 | 推迟 延迟 延期 逾期
国内 境内 | 国外 境外 国际
男 男性 男人 爸爸 | 女 女性 女人 妈妈
公开 | 私密 私有
自动 | 手动 人工
成功 | 失败
第一 首次 首个 | 最后 末尾
增肥 增重 | 减肥 减重
显示 | 隐藏
连接 | 断开
进口 | 出口
升级 | 降级
续费 续订 | 退订 取消订阅
横向 水平 | 纵向 垂直
转入 | 转出
结婚 | 离婚
上班 | 下班
起飞 | 降落
"""

# A verb, and the particle that fixes its pole: up to four words may stand between.
_PARTICLES: Mapping[str, Mapping[str, tuple[str, int]]] = {
    "turn switch power toggle flip": {"on": ("enabl/disabl", 1), "off": ("enabl/disabl", -1)},
    "log sign clock check": {"in": ("log in", 1), "out": ("log in", -1), "off": ("log in", -1)},
    "scale turn speed move go bring ramp roll": {
        "up": ("increas/decreas", 1),
        "down": ("increas/decreas", -1),
    },
    "put take": {"on": ("put on", 1), "off": ("put on", -1)},
    "opt": {"in": ("opt in", 1), "out": ("opt in", -1)},
    "plug": {"in": ("plug in", 1), "out": ("plug in", -1)},
    "zoom": {"in": ("zoom in", 1), "out": ("zoom in", -1)},
    "pick": {"up": ("pick up", 1)},
    "drop": {"off": ("pick up", -1)},
}
PHRASALS: Mapping[str, Mapping[str, tuple[str, int]]] = {
    verb: {
        particle: pole
        for verbs, poles in _PARTICLES.items()
        if verb in verbs.split()
        for particle, pole in poles.items()
    }
    for verb in " ".join(_PARTICLES).split()
}
"""A verb, and the particle that fixes its pole: a few words may stand between."""

PREFIXES = frozenset("un in im ir il dis non de mis anti".split())
"""What turns a word around: `possible` against `impossible`."""

CONVERSES = frozenset(
    map(stem, "before better more high big accelerate good cheap old tall easy early".split())
)
"""Axes whose poles say the same when the two sides change places: A before B, B after A."""


def _poles() -> dict[str, tuple[tuple[str, int], ...]]:
    found: dict[str, set[tuple[str, int]]] = {}
    for table, form in ((_ENGLISH, stem), (_CHINESE, str)):
        for line in filter(None, table.splitlines()):
            groups = [[form(word) for word in side.split()] for side in line.split("|")]
            axis = f"{groups[0][0]}/{groups[1][0]}"
            for sign, group in zip((1, -1), groups, strict=True):
                for word in group:
                    found.setdefault(word, set()).add((axis, sign))
    return {word: tuple(sorted(poles)) for word, poles in found.items()}


POLES: Mapping[str, tuple[tuple[str, int], ...]] = _poles()
"""The axes of a stem (or Chinese word), each with +1 or -1."""

CHINESE = frozenset(word for line in _CHINESE.splitlines() for word in line.split() if word != "|")
"""The Chinese words among them, which the cut into words must know."""
