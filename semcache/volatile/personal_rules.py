"""Questions about one person's records: rules over the text, English and Chinese.

Personal is what is answered from somebody's own data ("Where is my order?"). What is answered the
same for everybody is not, though it says "my" ("How do I reset my password?"): a phrase that asks
for the way, before the words that are about the record, makes a question everybody's. The rules
prefer to call too much personal: that costs a hit, the other fault shows one person's data to
another.
"""

from __future__ import annotations

import re

_RECORD_WORDS = """
    account accounts address alarm alarms allowance appeal application applications appointment
    appointments assignment baggage balance balances benefits bill bills bonus booking bookings
    calendar card cards cart case charge charges check cheque claim claims commute contacts
    contract copay coverage credit credits data days debt deductible deliveries delivery deposit
    deposits diagnosis driver email emails expenses fees file files fine flight flights grade
    grades history identity inbox income insurance invoice invoices itinerary lease leave
    licence license limit limits list loan loans location login luggage mail medication
    medications meeting meetings membership message messages miles money mortgage name notes
    notification notifications number offer offers order orders package packages parcel parcels
    passport password pay paycheck paychecks payday payment payments payout payslip pension pin
    plan playlist points policy portfolio premium prescription prescriptions profile project pto
    purchase purchases quota rate record records refund refunds reimbursement reminder reminders
    rent reservation reservations result results return returns reward rewards ride rides salary
    savings schedule score scores seat shares shipment shipments spending statement statements
    status storage subscription subscriptions tax taxes test tests ticket tickets timesheet
    todos transaction transactions transfer transfers trip trips upgrade usage username vacation
    verification visa voucher wallet warranty withdrawal workout
"""
_RECORD = rf"(?:{'|'.join(_RECORD_WORDS.split())})"
_WORD = r"[\w'’%-]+"
_GLUE = (
    r"(?!(?:if|a|an|the|and|or|is|are|was|were|when|to|in|on|for|with|that|by|at|as|but|from|has|"
    r"have|can|will|who|how|why)\b)"
)
_MINE = rf"(?:my|our)\s+(?:{_GLUE}{_WORD}\s+){{0,3}}?"
_OWN_RECORD = rf"{_MINE}{_RECORD}\b"
_IS = r"(?:is|are|was|were|'s|’s|s)"
# What "my" may stand before without any record behind it: "What are my options?"
_COMMON = (
    r"(?!(?:best|legal|other|only|main)?\s*(?:options?|rights?|choices?|chances|alternatives?|"
    r"obligations?|responsibilities|purpose|next step|bet|computer|laptop|printer|router|phone\b|"
    r"browser|body|dog|cat|baby|child|skin|hair|car\s+(?:battery|engine))\b)"
)

_STATES = rf"""
    \b(?:what|where|when|who|which|how)\s*{_IS}\s+(?:\w+\s+){{0,2}}?my\s+{_COMMON}\w
  | \bwhat\s+{_WORD}\s+{_IS}\s+(?:on\s+|in\s+)?my\s+{_COMMON}\w
  | \b(?:what|anything|something|nothing)\s*(?:{_IS}\s+)?(?:on|in|left\s+on|
      left\s+in)\s+{_OWN_RECORD}
  | \b(?:whats|what's|what’s|wheres|where's|where’s|hows|how's|how’s)\s+my\s+{_COMMON}\w
  | \bhow\s+(?:much|many|high|low|old|big|far|good|bad)\s+(?:{_WORD}\s+){{0,3}}?
      (?:{_IS}\s+(?:left\s+)?(?:in|on|at|of)?\s*|in\s+|on\s+|does\s+|do\s+|did\s+|will\s+|has\s+)
      {_OWN_RECORD}
  | \b(?:has|have|had|did|does|is|are|isn't|isn’t|was|wasn't|wasn’t|were|hasn't|hasn’t|didn't|
      didn’t|will|won't|won’t|why\s+(?:is|was|are|were|has|have|did|does|can't|hasn't|isn't|wasn't))
      \s+(?:there\s+\w+\s+(?:\w+\s+)?(?:on|in|with|for|from)\s+)?{_OWN_RECORD}
  | \b(?:when|what\s+(?:day|date|time)|at\s+what\s+time)\s+(?:does|do|did|will|must|should)\s+
      {_OWN_RECORD}
  | \b(?:when|where)\s+(?:will|did|have)\s+(?:i|we)\b
  | \bwhen\s+(?:am|was|were|are)\s+(?:i|we)\b
  | \b(?:where|what|when|which|who|whether|if|how\s+(?:much|many))\s+{_OWN_RECORD}\s+
      (?:is|are|was|were|has|have|will|went)\b
  | \b(?:status|state|progress|details?|amount|total|history|summary|list|copy|location|contents?|
      whereabouts)\s+(?:of|on|for)\s+{_OWN_RECORD}
  | \b(?:any|some)\s+(?:\w+\s+)?(?:news|updates?|word)\s+(?:on|about|of|for)\s+{_OWN_RECORD}
"""
_ACTS = r"""
    \b(?:did|have|had|haven't|didn't)\s+i\b(?!\s+to\b)
  | \bi\s+(?:\w+\s+)?(?:owe|earned|spent|ordered|paid)\b(?=[^.?!]*\?)
  | \bdo\s+(?:i|we)\s+(?:still\s+|currently\s+|already\s+)?
      (?:owe\b|have\b(?!\s+(?:to|the\s+right|a\s+right|rights?)\b))
  | \b(?:how\s+(?:much|many)|what|which)\b[^.?!,;]{0,60}?\b(?:do|did|have|had|can|am|was)\s+i\s+
      (?:still\s+|currently\s+|already\s+|been\s+)?(?:owe|owed|have\b(?!\s+to\b)|had|spend|spent|
          paid|
      pay\s+(?:last|in)|earn|earned|make|made|got|get\s+paid|use|used|left|buy|bought|order|ordered|
      charged|scheduled|booked|signed|missed)\b
  | \bam\s+i\s+(?:\w+\s+)?(?:subscribed|enrolled|enroled|registered|overdrawn|eligible|covered|
      insured|
      late|behind|due|scheduled|signed\s+up|approved|qualified|owed|booked|charged|logged\s+in|
      on\s+the\s+(?:list|waitlist)|over\s+my|near\s+my|close\s+to\s+my|free)\b
  | \bwas\s+i\s+(?:\w+\s+)?(?:charged|billed|paid|approved|denied|overcharged|refunded|declined)\b
  | \b(?:have|has)\s+(?:you|they)\s+(?:\w+\s+)?(?:received|shipped|sent|processed|approved|charged|
      billed|refunded|cancell?ed|paid|got|dispatched)\s+(?:me\b|(?:my|our)\b)
  | \bwhere\s+am\s+i\b | \bwho\s+am\s+i\b | \bwhat\s+do\s+you\s+(?:know|remember)\s+about\s+me\b
"""
_VERBS = (
    r"(?:show|list|read|tell|give|send|check|find|look\s+up|get|track|trace|pull\s+up|open|display|"
    r"cancel|change|update|delete|close|freeze|block|unblock|pay|transfer|move|renew|reschedule|"
    r"book|confirm|add|remove|reset|refund|return|resend|stop|pause|activate|report|calculate|"
    r"review|summari[sz]e|download|print|see|view)"
)
_ORDERS = rf"""
    ^\W*(?:(?:please|hi|hello|hey|ok|okay|so|and|just|now|kindly)\W+){{0,3}}
      (?:(?:can|could|will|would)\s+you\s+(?:please\s+|kindly\s+)?)?{_VERBS}\s+
      (?:me\s+|us\s+|(?:\d|\$|£|€)\S*\s+|all\s+|off\s+|out\s+|on\s+|to\s+|from\s+|for\s+|if\s+|
          the\s+|
         {_WORD}\s+){{0,5}}?{_OWN_RECORD}
  | \b(?:can|could|will|would)\s+you\s+(?:please\s+|kindly\s+)?{_VERBS}\s+(?:{_WORD}\s+){{0,4}}?
      {_OWN_RECORD}
  | \bi\s+(?:want|need|would\s+like|'d\s+like|wanna)\s+(?:to\s+)?(?:know|see|check|hear|
      find\s+out)\s+
      (?:{_WORD}\s+){{0,4}}?{_OWN_RECORD}
  | ^\W*{_OWN_RECORD}(?:\s+(?:please|status|number|details?|now|today|amount|balance|history))*\W*$
"""
# Looser, so that a way, a rule or a wish anywhere in the sentence speaks against it.
_MENTIONS = rf"""
    \b{_OWN_RECORD}
  | \bi(?:['’]ve|\s+have|\s+currently|\s+already|\s+recently)?\s+(?:\w+\s+)?(?:owe|earn|earned|
      spend|spent|
      made|ordered|saved|accrued|applied|booked|charged|used)\b
  | \bi(?:['’]ve|\s+have)?\s+(?:got\s+)?(?:left|remaining)\b | \bi\s+(?:get|got|be|was)\s+paid\b
  | \b(?:balance|transactions?|vacation|pto|points|paycheck|meetings?|
      order)\b[^.?!]{{0,30}}\b(?:do\s+)?i\s+
      (?:still\s+)?have\b(?!\s+to\b)
"""
# Nobody's by its words; everybody means their own.
_UNSAID = r"""
    ^\W*(?:(?:please|hi|hello|hey|ok|okay|can\s+you|could\s+you)\W+){0,3}
      (?:show|list|check|display|see|view|read|tell|get|what['’]?s|what\s+(?:is|are|were))\s+
      (?:me\s+)?(?:the\s+|all\s+|on\s+the\s+|any\s+)?(?:\w+\s+){0,2}?
      (?:recent\s+transactions|transactions|account\s+balance|available\s+balance|bank\s+balance|
         calendar|to-?do\s+list|shopping\s+list|order\s+status|balance\s+due)
      (?:\s+(?:on|in|of|for|from|at)\s+(?!a\b|an\b)[\w\s]{1,30})?\W*$
  | ^\W*(?:check\s+|track\s+)?(?:the\s+|an?\s+)?(?:order|delivery|account|application|payment|
      refund|claim|package|parcel)
      (?:\s+(?:status|balance|please))*\W*$
"""
_WISH = r"""
    \b(?:want|need|like|wish|love|trying|try|going|wanna|how|way)\s+(?:for\s+\w+\s+)?to\s+
      (?!know\b|see\b|check\b|hear\b|find\s+out\b|look\b)\w+
  | ^\W*(?:is|are|does|do)\s+(?!my\b|our\b|there\b|i\b|it\b|the\b)\w+
  | \b(?:lost|stolen|broken|damaged|missing|wrong|forgot|forgotten|reset)\b
  | \bmy\s+name\s+is\b
"""
_NUMBERED = r"""
    \b(?:order|parcel|package|shipment|tracking|invoice|booking|reservation|confirmation|reference|
      ticket|case|claim|account|customer|policy|contract|transaction|card|member(?:ship)?)
      \s*(?:no\.?|nr\.?|number|id|code|ref(?:erence)?)?\s*(?:is\s+)?[:\#]?\s*
      (?=[\w-]*\d[\w-]*\d[\w-]*\d[\w-]*\d)(?!(?:19|20)\d\d\b)[\w-]{4,}
"""
_CONTACT = r"""
    \b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b
  | \b(?:\d[ -]?){13,18}\d\b
  | \b[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{4}){3,7}\b
"""
# The way, a rule, a case: what follows is everybody's.
_WAY = r"""
    \bhow\s+(?:do|does|can|could|would|should|must|might|may|shall)\s+(?:i|we|you|one|someone|
        people)\b
  | \bhow\s+(?:to|come\s+i\s+should)\b | \bhow'?d\s+i\b
  | \b(?:where|what|which|when|who)\s+(?:\w+\s+){0,2}?(?:can|could|should|must|shall|would|may|
      do)\s+
      (?:i|we|you|one)\s+(?!have\b(?!\s+to\b)|owe\b|earn\b|spend\b|get\s+paid\b)
  | \b(?:can|could|may|must|should|shall)\s+(?:i|we|one)\b
  | \b(?:do|does)\s+(?:i|we)\s+(?:need|have\s+to|get\s+to)\b
  | \b(?:am|are)\s+(?:i|we)\s+(?:allowed|supposed|able|required|obliged)\b
  | \bwhat\s+happens\b | \bwhat\s+if\b | \bin\s+case\b | \bis\s+it\s+(?:\w+\s+)?(?:possible|ok|
      okay|safe|
      normal|legal|bad|good|better|wise|necessary|too\s+late)\b
  | \b(?:ways?|steps?|process|procedure|instructions?|guide|method|tips?|advice|help|ideas?)\s+
      (?:to|for|on|with|of)\b
  | \bexplain\s+(?:to\s+me\s+)?(?:how|why|what|the)\b | \bhow\s+long\s+(?:does|do|can|should|will)\b
  | \bwhat\s+does\s+(?!my\b)\w+
  | \bwhat\s+now\b | \bwalk\s+me\s+through\b | \bhelp\s+me\b(?!\s+(?:find|check|see|track)\b)
  | \b(?:write|draft|compose|translate|rewrite|rephrase|correct|proofread)\b
"""
_DIGIT = re.compile(r"\d")
_DIGITS = re.compile(r"\d{2}")
_IF_LATER = re.compile(r"\bif\s+(?:i|you|we|they|he|she|it|the|an?|there)\b", re.IGNORECASE)
_CASES = r"\b(?:if|when|while|after|before|unless|once|because|until)\s+$"


def _rule(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.VERBOSE)


# With what is in every text that a rule matches: looked for first, for it costs less.
_ENGLISH = (
    ("a record's state", ("my", "our", "when", "where"), _rule(_STATES)),
    ("one's own doings", ("i", "we", "you", "they"), _rule(_ACTS)),
    ("an order about a record", ("my", "our"), _rule(_ORDERS)),
)
_MENTION = _rule(_MENTIONS)
_WISHED = _rule(_WISH)
_UNSAID_RECORD = _rule(_UNSAID)
_NUMBERED_RECORD = _rule(_NUMBERED)
_CONTACT_DATA = re.compile(_CONTACT, re.VERBOSE)
_GENERAL = _rule(_WAY)
_IN_CASE = re.compile(_CASES, re.IGNORECASE)

_ZH_RECORD = (
    "(?:订单|訂單|包裹|快递|快遞|物流|运单|退款|退货|余额|餘額|账户|帳戶|账号|帐号|帳號|账单|帳單|发票|會員|会员|"
    "积分|積分|优惠券|红包|预约|预订|预定|航班|机票|车票|门票|行程|酒店|保单|保险|理赔|贷款|信用卡|银行卡|卡|额度|"
    "工资|薪水|奖金|考勤|年假|假期|申请|套餐|流量|话费|合同|成绩|分数|处方|化验|检查结果|体检报告|病历|报告|日程|"
    "日历|会议|邮件|收件箱|消息|通知|地址|位置|手机号|电话号码|电话|身份证|名字|姓名|生日|密码|用户名|资料|数据|"
    "钱|付款|支付|转账|交易|提现|工单|投诉|维修|购物车|收藏|播放列表|提醒|闹钟|房租|社保|公积金|税|押金|"
    "订阅|会员卡|里程|签证|护照)"
)
_ZH_MINE = (
    "(?:我|我们|我們|咱|本人)(?:的|那个|这个|那|这|上次|昨天|今天|之前)*"
    f"[^，。？！,?!]{{0,6}}?{_ZH_RECORD}"
)
_ZH_WAY = re.compile(
    "怎么(?!还|没|不|这么|那么|会|样了)|怎麼(?!還|沒)|如何|怎样(?!了)|怎樣|办理|步骤|流程|教程|方法|"
    "(?:在)?(?:哪里|哪儿|哪|哪裡|什么地方)(?:可以|能|能够|才能)?(?:查|看|找|修改|改|设置|申请|取消|办|开|领|下载|打印|绑定|解绑)|"
    "可不可以|可以.{0,16}吗|能不能|能.{0,12}吗|需要.{0,12}吗|如果|要是|假如|多久(?!了)|多长时间"
)
_ZH = (
    (
        "a record's state",
        re.compile(
            f"{_ZH_MINE}.{{0,12}}?(?:在哪|到哪|哪里|哪儿|哪裡|多少|几|什么|什麼|何时|谁|怎么还|怎么没|怎么不|"
            "怎么样|怎麼還|为什么|为何|是否|有没有|有沒有|了吗|了嗎|了没|了么|吗|嗎|没到|没有到|状态|進度|进度|还剩|剩|"
            "呢|到了|失败|丢|不见)"
        ),
    ),
    (
        "one's own doings",
        re.compile(
            "我(?:们)?(?:还|現在|现在|目前|一共|总共|上个?月|这个?月|今年|本月|今天)*(?:剩|欠|有|花|用|买|赚|存|要还|应还|该还)"
            "(?:了|下|着|过)?(?:多少|几)|我(?:是谁|在哪(?!里?(?:可以|能|买|办|查|看)))|我(?:是不是|有没有|是否)(?:被|已|还|欠|成功)"
        ),
    ),
    (
        "an order about a record",
        re.compile(
            f"(?:帮|替|给|請|请|麻烦|想)(?:我|忙|你|您)?(?:再)?(?:查|看|取消|修改|改|退|催|转|付|开|发|找|删|订|知道)[^，。？！]{{0,6}}?"
            f"(?:我的?|{_ZH_RECORD})|(?:查|查询|查看|查一下|看看|看一下|显示|列出|取消|修改|追踪|跟踪)(?:一下|下)?我的?"
            f"[^，。？！]{{0,4}}?{_ZH_RECORD}|^\\W*{_ZH_MINE}(?:状态|号|查询|进度|详情)?\\W*$"
        ),
    ),
    (
        "a numbered record",
        re.compile(
            r"(?:订单|訂單|运单|快递|单|工单|保单|合同|账|帐)号?(?:码|是|为)?[:：#]?\s*[A-Za-z]*\d{4,}"
        ),
    ),
)
_HAN = re.compile("[\u3400-\u9fff]")
_FIRST_PERSON = re.compile(r"\b(?:my|our|i|me|we)\b", re.IGNORECASE)
_SENTENCES = re.compile(
    r"(?<=[?!。？！；;\n])\s*|(?<=[.])\s+|,?\s+(?:and|but|also)\s+(?=(?:how|where|what|when|why|who|is|has|did)\b)",
    re.IGNORECASE,
)


def personal(text: str) -> str | None:
    """Why a text asks about one person's own records, or None where everybody may share it."""
    if ("@" in text or _DIGITS.search(text)) and _CONTACT_DATA.search(text):
        return "contact data"
    if _DIGIT.search(text) and _NUMBERED_RECORD.search(text):
        return "a numbered record"
    for sentence in _SENTENCES.split(text):
        reason = _chinese(sentence) if _HAN.search(sentence) else _english(sentence)
        if reason is not None:
            return reason
    return None


def _english(sentence: str) -> str | None:
    if _UNSAID_RECORD.search(sentence):
        return "a mention of a record"
    if not _FIRST_PERSON.search(sentence):
        return None
    lower = sentence.lower()
    for reason, cues, rule in _ENGLISH:
        if not any(cue in lower for cue in cues):
            continue
        for found in rule.finditer(sentence):
            general = _GENERAL.search(sentence)
            if general is not None and general.start() < found.end():
                continue
            in_case = _IN_CASE.search(sentence, 0, found.start())
            if not in_case and not _IF_LATER.search(sentence, found.end()):
                return reason
    if _MENTION.search(sentence) is None or _GENERAL.search(sentence):
        return None
    return "a mention of a record" if _WISHED.search(sentence) is None else None


def _chinese(sentence: str) -> str | None:
    general = _ZH_WAY.search(sentence)
    for reason, rule in _ZH:
        if rule.search(sentence) and (general is None or reason == "a numbered record"):
            return reason
    return None
