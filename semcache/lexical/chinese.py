"""The Chinese words that carry a fact: what asks, negates, counts, opposes, names.

Chinese writes no spaces; text is cut by longest match against `WORDS`. Characters that no word
covers are content, unless they are in `EMPTY`.
"""

from __future__ import annotations

from collections.abc import Mapping

QUESTIONS: Mapping[str, str] = {
    word: kind
    for kind, words in {
        "who": "谁 哪位 何人 什么人",
        "when": "什么时候 何时 几点 哪天 哪一天 几号 几月 啥时候 什么时间 哪年 哪一年",
        "where": "哪里 哪儿 在哪 何处 什么地方 啥地方",
        "how much": "多少 多少钱 几多 几 几个",
        "how long": "多久 多长时间 几天 几年 几个月 几小时 几分钟",
        "how often": "多久一次 几次 多少次",
        "how far": "多远",
        "how old": "多大 几岁",
        "why": "为什么 为何 为啥 怎么回事 什么原因 干嘛",
        "how": "怎么 如何 怎样 怎么样 咋 咋样 怎么办 怎",
        "what": "什么 啥 何",
        "which": "哪 哪个 哪种 哪些 哪一个 哪款 哪家",
    }.items()
    for word in words.split()
}

NEGATIONS = frozenset(
    "不 别 勿 无 未 没 非 不上 不了 不予 不会 不住 不再 不准 不到 不可 不够 不得 不必 不想 "
    "不是 不用 不给 不能 不行 不要 不让 不许 不该 从不 并不 并非 无法 未能 没有 不可以 "
    "不应该 不支持 不需要".split()
)

# Words that hold a negating character and do not negate.
NEUTRAL = frozenset(
    "不久 不仅 不但 不同 不如 不妨 不断 不管 不论 不过 不错 个别 会否 分别 别人 别的 区别 "
    "南非 可否 告别 性别 无线 无聊 无论 无锡 是否 是非 未来 特别 离别 类别 级别 能否 识别 "
    "除非 非常 非洲 不得不 了不起 会不会 免不了 可不可 好不好 对不对 对不起 差不多 忍不住 "
    "想不想 无人机 是不是 有没有 用不用 能不能 行不行 要不要 该不该 说不定 不好意思 可不可以 "
    "应不应该 需不需要".split()
)

QUANTIFIERS: Mapping[str, str] = {
    word: kind
    for kind, words in {
        "all": "所有 全部 全都 一切 每个 每一个 每次 每天 每月 每年 都",
        "some": "有些 一些 某些 部分 有的",
        "only": "只 仅 仅仅 只有 只能 唯一",
        "most": "最 大多数 大部分 多数",
        "half": "一半",
    }.items()
    for word in words.split()
}

# Classes of names; a name is told from another name of its class.
NAMES: Mapping[str, str] = {
    word: kind
    for kind, words in {
        "service": (
            "花呗 借呗 余额宝 支付宝 微信 微信支付 淘宝 天猫 京东 拼多多 抖音 快手 微博 百度 "
            "网商贷 芝麻信用 "
            "美团 滴滴 饿了么 高德 钉钉 飞书 小红书 知乎 云闪付 信用卡 储蓄卡 银行卡 借记卡 "
            "白条 微粒贷"
        ),
        "company": (
            "华为 小米 苹果 三星 阿里巴巴 腾讯 谷歌 微软 特斯拉 比亚迪 索尼 联想 大众 丰田 本田"
        ),
        "place": (
            "北京 上海 广州 深圳 天津 重庆 杭州 南京 武汉 成都 西安 苏州 长沙 郑州 青岛 大连 "
            "厦门 香港 澳门 "
            "台湾 台北 中国 美国 英国 法国 德国 日本 韩国 印度 俄罗斯 加拿大 澳大利亚 意大利 "
            "西班牙 巴西 "
            "泰国 越南 新加坡 马来西亚 东京 纽约 伦敦 巴黎 柏林 首尔 悉尼 墨尔本 奥地利 瑞士 "
            "瑞典 广东 浙江 "
            "江苏 四川 云南 海南 山东 河南 河北 湖北 湖南 福建"
        ),
        "tongue": (
            "中文 英文 英语 汉语 日语 法语 德语 韩语 俄语 西班牙语 粤语 普通话 日文 韩文 法文"
        ),
        "illness": "感冒 流感 高血压 低血压 糖尿病 肺炎 肝炎 哮喘 胃炎 鼻炎 新冠",
    }.items()
    for word in words.split()
}

MOMENTS: Mapping[str, str] = {
    "今天": "day 0", "今日": "day 0", "当天": "day 0", "今晚": "night 0", "明天": "day +1",
    "明日": "day +1", "明晚": "night +1", "后天": "day +2", "昨天": "day -1", "昨日": "day -1",
    "昨晚": "night -1", "前天": "day -2", "上周": "week -1", "上星期": "week -1", "本周": "week 0",
    "这周": "week 0", "下周": "week +1", "下星期": "week +1", "上个月": "month -1",
    "上月": "month -1", "本月": "month 0", "这个月": "month 0", "下个月": "month +1",
    "下月": "month +1", "去年": "year -1", "今年": "year 0", "明年": "year +1", "前年": "year -2",
    "后年": "year +2",
}  # fmt: skip

WEEKDAYS: Mapping[str, str] = {
    f"{prefix}{day}": f"weekday {number}"
    for prefix in ("周", "星期", "礼拜")
    for number, days in enumerate(("一", "二", "三", "四", "五", "六", "日天"), start=1)
    for day in days
}

UNITS: Mapping[str, str] = {
    "毫克": "mg", "微克": "mcg", "千克": "kg", "公斤": "kg", "斤": "jin", "克": "g", "吨": "tonne",
    "毫升": "ml", "升": "l", "毫米": "mm", "厘米": "cm", "公里": "km", "千米": "km", "米": "m",
    "英寸": "inch", "英尺": "foot", "英里": "mile", "磅": "lb", "盎司": "oz", "摄氏度": "celsius",
    "华氏度": "fahrenheit", "摄氏": "celsius", "华氏": "fahrenheit", "度": "deg", "秒": "s",
    "秒钟": "s", "分钟": "min", "小时": "h", "个小时": "h", "钟头": "h", "天": "day",
    "个月": "month",
    "周": "week", "个星期": "week", "星期": "week", "年": "year", "岁": "age", "元": "cny",
    "块": "cny", "块钱": "cny", "人民币": "cny", "美元": "usd", "美金": "usd", "欧元": "eur",
    "英镑": "gbp", "日元": "jpy", "港币": "hkd", "韩元": "krw", "卢布": "rub", "卢比": "inr",
    "平方米": "m2", "平米": "m2", "立方米": "m3", "千瓦": "kw", "瓦": "w", "千瓦时": "kwh",
    "伏": "v", "卡路里": "cal", "大卡": "kcal", "千卡": "kcal",
}  # fmt: skip

DIGITS: Mapping[str, int] = {
    character: value
    for value, characters in enumerate(
        ("零〇", "一", "二两", "三", "四", "五", "六", "七", "八", "九")
    )
    for character in characters
}
POWERS: Mapping[str, int] = {"十": 10, "百": 100, "千": 1000, "万": 10_000, "亿": 100_000_000}

# Characters between a number and what is counted; they say nothing of their own.
CLASSIFIERS = frozenset(
    "个 次 人 位 件 张 条 只 本 台 部 辆 名 份 套 杯 片 颗 粒 支 盒 期 笔 页 层 种 遍".split()
)

ROLES: Mapping[str, str] = {
    "从": "from", "由": "from", "自": "from", "到": "to", "往": "to", "转": "to", "转到": "to",
    "换成": "to", "转换成": "to", "转换为": "to", "转成": "to", "改成": "to", "变成": "to",
    "译成": "to", "翻译成": "to", "兑换": "to", "兑": "to", "换": "to", "给": "to", "转给": "to",
    "比": "than", "被": "by", "借给": "to", "换算成": "to", "提到": "to", "转入": "to",
    "改为": "to", "升级到": "to", "降级到": "to", "迁移到": "to", "切换到": "to",
}  # fmt: skip

SYMMETRIC = frozenset("和 与 跟 或 或者 还是 以及 同 及 、".split())

EMPTY = frozenset(
    "的 了 吗 呢 啊 吧 我 你 您 他 她 它 们 我们 你们 他们 是 在 有 这 那 这个 那个 就 也 还 "
    "又 把 被 让 给 和 与 "
    "跟 或 或者 还是 以及 请 请问 请教 一下 下 可以 能 会 要 想 得 地 着 过 么 嘛 呀 哦 哈 "
    "啦 帮 帮我 麻烦 您好 你好 "
    "谢谢 想知道 告诉 告诉我 知道 现在 已经 需要 应该 为 以 于 对 从 由 自 到 往 比 所 其 之 "
    "但 但是 而 而且 然后 "
    "如果 因为 所以 的话 来 去 说 用 使用 个 里 里面 上面 那么 这么 这样 那样 能够 "
    "时候 时 啥 自己 怎么了 蚂蚁".split()
)

FIXED = frozenset(
    "一定 一样 一直 一起 一般 一共 一旦 一边 一致 统一 万一 千万 十分 百分之 三星 一点 "
    "有一点 一会儿 多数 零食 "
    "还款日 上午 下午 早上 晚上 中午 凌晨 开始 最近 最后 高级 长期 短期 大概 大家 小心 "
    "小程序 多多 新手 早餐 晚餐 "
    "关于 关系 相关 机关 关注 离开 公开 分开 开心 开发 开车 存在 取得 取消 出来 后来 前面 "
    "后面 目前 银行 手机 "
    "号码 密码 账户 帐号 账号 额度 利息 分期 逾期 信用 身份证 还款 最低 日期 左右 长大 大学 "
    "小学 中学 长城 "
    "星期 年龄 今后 买卖 好处 降低 提高 用不了 开不了 块钱 天气 天然 年级 周围 度假 "
    "元素 克服 米饭 升级".split()
)
"""Words that must stay whole: their characters mean something else alone."""

KNOWN = frozenset().union(
    QUESTIONS, NEGATIONS, NEUTRAL, QUANTIFIERS, NAMES, MOMENTS, WEEKDAYS, UNITS, ROLES, EMPTY, FIXED
)
"""All words of this module."""
