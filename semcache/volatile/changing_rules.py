"""Questions whose answer changes with time: rules over the text, English and Chinese.

A moment's answer (the time of day, a throw of dice) is wrong at the next asking. A changing answer
holds for minutes to months. Rules speak only where they are near-certain; the probe on the
question's vector hears the rest. A named year, or a question after the way to do something, makes a
subject that changes ("price", "won") a lasting one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_MOMENTS = (
    (
        "the time of day",
        "time hour date day month year",
        r"""\bwhat(?:['’]?s|\s+is)?\s+(?:the\s+|(?:current|exact|local)\s+)+
              (?:time|hour|date|day|day\s+of\s+the\s+(?:week|month)|month)
              (?:\s+(?:is\s+it|is\s+today|right\s+now|now|today|tomorrow|please))*\s*
              (?:(?:in|at|for)\s+(?!the\s+(?:book|film|movie|story))[\w\s,.]{1,30})?\W*$
          | \b(?:what|which)\s+(?:time|day|date|year|month|weekday)\s+(?:of\s+the\s+\w+\s+)?
              (?:is\s+(?:it|today|tomorrow)|it\s+is|today\s+is|tomorrow\s+is|will\s+it\s+be)\b
          | \b(?:today|tomorrow|yesterday)['’]?s?\s+date\b
          | \b(?:tell|give|know|have|say|look\s+up|check)\s+(?:\w+\s+)?the\s+(?:time|date)
              (?:[\s,]+(?:now|today|tomorrow|please|in\s+\w+))*\W*$
          | ^\W*(?:the\s+)?(?:current\s+)?(?:time|date)(?:[\s,]+(?:now|today|please))*\W*$
          | \b(?:current|exact)\s+(?:\w{2,8}\s+)?time\b(?!\s+(?:zone|format|function|complexity))
              (?=\W*$|\s+(?:in|at|for)\s+(?!python|java|sql|js|c\b)[\w\s]{1,30}\W*$)""",
    ),
    (
        "chance",
        "coin heads dice die roll throw cast random surprise",
        r"""\b(?:flip|flipping|toss|tossing|throw)\s+(?:\w+\s+){0,4}?coin\b
          | \bcoin\s+(?:flip|toss)\b
          | \bheads\s+or\s+tails\b
          | \b(?:roll|rolling|throw|cast)\s+(?:[\w-]+,?\s+){0,4}?(?:dice|die|d\d+)\b
          | \bdice\s+roll\b
          | \b(?:pick|choose|give\s+me|generate|tell\s+me|draw)\s+(?:me\s+)?(?:an?|some|\d+)\s+
              random\b
          | \bsurprise\s+me\b""",
    ),
)
_MOMENTS_ZH = (
    (
        "the time of day",
        "",
        "(?:现在|現在|目前|当前|此刻)(?:是)?(?:北京时间)?(?:的)?(?:几点|幾點|什么时间|什么时候|时间)|^几点了?|幾點了|"
        "今天(?:是)?(?:的)?(?:几号|幾號|几月|星期几|星期幾|周几|礼拜几|什么日子|日期)|"
        "(?:今年|现在)是(?:哪|几)(?:一)?年",
    ),
    (
        "chance",
        "",
        "掷.{0,4}(?:骰子|色子|硬币)|扔.{0,4}(?:骰子|色子|硬币)|抛.{0,3}硬币|随机.{0,6}(?:选|挑|数|抽|生成|给)",
    ),
)
_NOWS = (
    (
        "now",
        "now moment present current these far as_of as_we any still yet",
        r"""\b(?:right\s+now|at\s+the\s+moment|at\s+present|presently|currently|nowadays|
            these\s+days|
              so\s+far|as\s+of\s+(?:now|today)|up\s+to\s+now|until\s+now|as\s+we\s+speak|
                  any\s?more)\b
          | (?<!until\s)(?<!from\s)\bnow\b(?=\W*$)
          | \b(?:is|are|does|do|has)\s+(?:\w+\s+){1,4}?(?:now|still|yet)\b(?!\s+that)""",
    ),
    (
        "a day",
        "today tonight tomorrow yesterday this last next past",
        r"""\b(?:today|tonight|tomorrow|yesterday|todays|this\s+(?:morning|afternoon|evening|
            weekend|
              week|month|quarter|year|season|summer|winter|spring|autumn|fall|christmas)|
              (?:last|next|past)\s+(?:night|week|weekend|month|quarter|year|season|summer|winter|
              monday|tuesday|wednesday|thursday|friday|saturday|sunday))\b""",
    ),
    (
        "the latest",
        "latest newest recent coming date current season",
        r"""\b(?:latest|newest|most\s+recent(?:ly)?|up\s?coming|up[-\s]to[-\s]date|the\s+current|
              this\s+season['’]s)\b""",
    ),
)
_SUBJECTS = (
    (
        "weather",
        "weather forecast humidity pollen quality index is_it will_it",
        r"""\b(?:weather|forecast|humidity|pollen|air\s+quality|uv\s+index)\s*(?:like\s+)?
              (?:in|for|at|near|this|today|going|\W*$)
          | \bis\s+it\s+(?:going\s+to\s+)?(?:rain|snow|raining|snowing|sunny|cold|hot|warm)\w*\b
          | \bwill\s+it\s+(?:rain|snow|be\s+(?:sunny|cold|hot|warm|windy))""",
    ),
    (
        "a market",
        "price value cost rate market worth much",
        r"""\b(?:stock|share|gas|petrol|oil|gold|silver|bitcoin|ethereum|btc|eth|crude|
            house)\s+prices?\b
          | \b(?:price|value|cost|rate)\s+of\s+(?:an?\s+|the\s+|
              one\s+)?(?:ounce\s+of\s+)?(?:gold|silver|
              oil|gas|petrol|bitcoin|ethereum|btc|eth|crude|copper|wheat|inflation|unemployment)\b
          | \bexchange\s+rate\b(?!\s+(?:mean|work|risk)) | \bmarket\s+cap\b |
              \bhow\s+much\s+is\s+(?:\w+\s+)?
              (?:bitcoin|gold|silver|the\s+(?:dollar|euro|pound|yen))\b | \bnet\s+worth\b
          | \b(?:mortgage|interest|inflation|unemployment)\s+rates?\s+(?:in|now|for|today)\b""",
    ),
    (
        "an office",
        "who which",
        r"""\b(?:who|which\s+\w+)(?:['’]?s|\s+is|\s+are)\s+(?:the\s+)?(?:new\s+|acting\s+)?
              (?:(?!first|second|third|last|\d)[\w.'’-]+\s+){0,4}?
              (?:president|prime\s+minister|chancellor|king|queen|monarch|pope|ceo|cfo|cto|
              chief\s+executive(?:\s+officer)?|chairman|chairperson|governor|mayor|
                  secretary(?:\s+general)?|
              minister|senators?|head\s+coach|coach|manager|captain|champions?|owner|leader|speaker|
              chief\s+justice|richest|oldest\s+living|tallest\s+living|highest[-\s]paid)\b
              (?!\s+(?:when|during|in\s+(?:the\s+)?(?:book|film|movie|novel|play|series|story)))""",
    ),
    (
        "a contest",
        "who score standings table when",
        r"""\bwho(?:['’]?s|\s+is|\s+are)\s+(?:winning|leading|ahead|playing|favou?red|
            in\s+the\s+lead)\b
          | \bwhat(?:['’]?s|\s+is)\s+the\s+score\b | \b(?:live\s+score|standings|league\s+table)\b
          | \bwho\s+(?:has\s+)?won\s+(?:the\s+)?(?:last\s+|
              latest\s+)?(?:\w+['’]?\w*\s+){0,3}?(?:game|match|
              race|fight|election|world\s+cup|super\s?bowl|title|league|final|tournament|
                  championship)\b
          | \bwhen\s+(?:was|is|did)\s+(?:the\s+)?(?:\w+\s+){0,5}?(?:last|next)\b
          | \bwho\s+(?:has|holds|have)\s+(?:\w+\s+){0,2}?(?:most|record|highest)\b""",
    ),
    (
        "news",
        "headlines news traffic delay outage down open closed available stock online working",
        r"""\b(?:headlines|breaking\s+news)\b | \bnews\s+(?:about|on|from|in)\b |
            \bin\s+the\s+news\b
          | \b(?:traffic|delays?|outages?)\s+(?:on|in|at|near|to)\b(?!\s+the\s+(?:network\s+layer))
          | \bis\s+(?:[\w.]+\s+){1,3}?(?:down|open|closed|available|in\s+stock|online|
              working)\W*$""",
    ),
    (
        "a journey",
        "flight traffic",
        r"""\bflight\s+(?:number\s+)?[a-z]{1,2}\d?\s?\d{2,4}\b
          | \bhow(?:['’]?s|\s+is)\s+(?:the\s+)?traffic\b
          | \btraffic\s+(?:like|now|report|update)\b""",
    ),
    (
        "a count that grows",
        "followers subscribers users employees subscriptions population old",
        r"""\bhow\s+many\s+(?:\w+\s+){0,3}?(?:followers|subscribers|users|employees|subscriptions)\b
          | \bpopulation\s+(?:of|in)\b | \bhow\s+old\s+is\s+(?!the\b|your\b|too\b|a\b|an\b)\w+""",
    ),
)
_ZH_NOW = (
    "今天|今日|今晚|今早|现在|現在|目前|当前|當前|此刻|眼下|如今|最新|最近|近期|近日|昨天|昨晚|明天|明晚|后天|今年|去年|明年|"
    "本周|本月|本季|这周|這週|这个月|這個月|上周|上个月|下周|下个月|这个?周末|刚刚|刚才|实时|即时|现任|現任|到目前为止"
)
_ZH_SUBJECT = (
    "天气|天氣|气温|氣溫|会下雨|下雪吗|空气质量|股价|股價|股票.{0,6}(?:价格|多少)|汇率|匯率|油价|金价|房价|币价|比特币.{0,6}(?:价|多少)|"
    "头条|新闻|新聞|比分|排行榜|热搜|路况|堵车|谁赢了|誰贏了|赢了吗|世界首富|下一(?:场|届|次|集)"
)
_ZH_WAY = re.compile("怎么(?!样)|怎麼(?!樣)|如何|怎样|修改|更改|什么意思|是什么原理|定义")
_WAY = re.compile(
    r"\bhow\s+(?:do|does|can|could|would|should|must|might|may)\s+(?:i|we|you|one|someone|it)\b|"
    r"\bhow\s+to\b|\bwhere\s+(?:can|do|could|should)\s+(?:i|we|you|one)\b|"
    r"\bwhat\s+(?:should|do|can|must)\s+(?:i|we|you|one)\b|\b(?:can|could|may|should)\s+(?:i|we|one)\b|"
    r"\bexplain\b|\bdefinition\b|\bmeaning\s+of\b|\bmean(?:s|t)?\b|"
    r"\b(?:write|draft|translate|implement|refactor)\b",
    re.IGNORECASE,
)
_ODDS = re.compile(r"\b(?:probability|odds|chances?\s+(?:of|that)|expected|how\s+many)\b", re.I)
_YEAR = re.compile(r"(?<!\d)(?:1[0-9]|20)\d\d(?!\d)|\b\d{1,2}(?:st|nd|rd|th)\s+century\b")
_HAN = re.compile("[\u3400-\u9fff]")


class Rule(NamedTuple):
    """`cues`: pieces of text, one of which is in every text that the pattern matches.

    They cost a tenth of the pattern, and most questions have none of them.
    """

    reason: str
    cues: tuple[str, ...]
    pattern: re.Pattern[str]

    def speaks(self, text: str, lower: str) -> bool:
        """Whether the rule is about a text; `lower` is the text in lower case, squeezed."""
        return any(cue in lower for cue in self.cues) and self.pattern.search(text) is not None


_Rules = tuple[Rule, ...]


def _compiled(rules: tuple[tuple[str, str, str], ...]) -> _Rules:
    flags = re.IGNORECASE | re.VERBOSE
    return tuple(
        Rule(reason, _cues(cues), re.compile(pattern, flags)) for reason, cues, pattern in rules
    )


def _cues(words: str) -> tuple[str, ...]:
    return tuple(word.replace("_", " ") for word in words.split()) or ("",)


_ENGLISH_MOMENTS = _compiled(_MOMENTS)
_ENGLISH_NOWS = _compiled(_NOWS)
_ENGLISH_SUBJECTS = _compiled(_SUBJECTS)
_CHINESE_MOMENTS = _compiled(_MOMENTS_ZH)
_CHINESE_NOW = re.compile(_ZH_NOW)
_CHINESE_SUBJECT = re.compile(_ZH_SUBJECT)


def momentary(text: str) -> str | None:
    """Why the answer is wrong at the next asking, or None."""
    reason = _first(_CHINESE_MOMENTS if _HAN.search(text) else _ENGLISH_MOMENTS, text)
    return None if reason is None or _ODDS.search(text) or _WAY.search(text) else reason


def changing(text: str) -> str | None:
    """Why the answer changes with time, or None where no rule says so."""
    if _HAN.search(text):
        return _changing_chinese(text)
    reason = _first(_ENGLISH_NOWS, text)
    if reason is None:
        reason = _first(_ENGLISH_SUBJECTS, text)
        if reason is not None and _YEAR.search(text):
            return None
    return None if reason is None or _WAY.search(text) else reason


def _changing_chinese(text: str) -> str | None:
    if _ZH_WAY.search(text):
        return None
    if _CHINESE_NOW.search(text):
        return "now"
    if _CHINESE_SUBJECT.search(text) and not _YEAR.search(text):
        return "a subject that changes"
    return None


def _first(rules: _Rules, text: str) -> str | None:
    lower = " ".join(text.lower().split())
    return next((rule.reason for rule in rules if rule.speaks(text, lower)), None)
