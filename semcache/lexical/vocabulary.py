"""English function words, by what they do in a question."""

from __future__ import annotations

from collections.abc import Mapping

NEGATIONS = frozenset(
    "aint arent cannot cant couldnt didnt doesnt dont hadnt hasnt havent isnt mightnt mustnt "
    "neednt neither never no nobody none nor not nothing nowhere shant shouldnt wasnt werent "
    "without wont wouldnt".split()
)

QUESTIONS: Mapping[str, str] = {
    "who": "who", "whom": "who", "whose": "who", "when": "when", "where": "where", "why": "why",
    "how": "how", "what": "what", "which": "which", "whats": "what", "whos": "who", "hows": "how",
    "wheres": "where", "wat": "what", "wats": "what", "whens": "when", "whys": "why",
}  # fmt: skip

HOW: Mapping[str, str] = {
    "many": "how much", "much": "how much", "long": "how long", "often": "how often",
    "far": "how far", "old": "how old", "tall": "how tall", "big": "how big", "fast": "how fast",
    "large": "how big", "high": "how tall", "heavy": "how heavy", "deep": "how deep",
    "soon": "how soon", "expensive": "how much",
}  # fmt: skip
"""What `how` asks for, by the word after it."""

WHAT: Mapping[str, str] = {
    "time": "when", "date": "when", "day": "when", "year": "when", "place": "where",
    "price": "how much", "cost": "how much", "reason": "why", "person": "who", "amount": "how much",
    "number": "how much",
}  # fmt: skip
"""What `what` or `which` asks for, by the word after it."""

SPECIFIC = frozenset({"who", "when", "where", "why", *HOW.values()}) - {"how soon"}
"""Kinds of question whose answers are never of each other's kind.

`how soon` asks for a time and for a span alike.
"""

SPANS = frozenset(
    "second seconds minute minutes hour hours day days night nights week weeks month months year "
    "years".split()
)
"""What is counted by who asks `how many … ` and means `how long`."""

QUANTIFIERS: Mapping[str, str] = {
    "all": "all", "every": "all", "each": "all", "everything": "all", "everyone": "all",
    "everybody": "all", "entire": "all", "whole": "all", "both": "all", "always": "all",
    "any": "any", "anything": "any", "anyone": "any", "anybody": "any", "either": "any",
    "some": "some", "several": "some", "few": "some", "part": "some", "sometimes": "some",
    "only": "only", "just": "only", "sole": "only", "exclusively": "only", "exactly": "only",
    "most": "most", "mostly": "most", "majority": "most", "half": "half",
    "none": "none", "neither": "none", "never": "none",
}  # fmt: skip

MOMENTS: Mapping[str, str] = {
    "today": "day 0", "tonight": "night 0", "tomorrow": "day +1", "yesterday": "day -1",
    "todays": "day 0", "tomorrows": "day +1", "yesterdays": "day -1",
}  # fmt: skip
SHIFTS: Mapping[str, str] = {
    "last": "-1",
    "previous": "-1",
    "this": "0",
    "next": "+1",
    "current": "0",
}
PERIODS = frozenset(
    "second minute hour day week weekend month quarter year decade century season".split()
)

WEEKDAYS: Mapping[str, str] = {
    name: f"weekday {at}"
    for at, names in enumerate(
        ("monday mon", "tuesday tue tues", "wednesday weds", "thursday thu thurs", "friday fri",
         "saturday", "sunday"), start=1,
    )
    for word in names.split()
    for name in (word, word + "s")
}  # fmt: skip
MONTHS: Mapping[str, int] = {
    name: at
    for at, names in enumerate(
        ("january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul",
         "august aug", "september sep sept", "october oct", "november nov", "december dec"),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
AMBIGUOUS_MONTHS = frozenset("may march mar jan jun dec sep".split())

ROLES: Mapping[str, str] = {
    "from": "from", "to": "to", "into": "to", "onto": "to", "than": "than", "before": "before",
    "after": "after", "by": "by", "over": "over", "instead": "instead", "against": "against",
    "versus": "", "vs": "", "via": "via", "with": "with", "without": "without", "of": "of",
    "in": "in", "on": "in", "at": "in", "for": "for", "as": "as", "under": "under",
    "through": "via", "during": "in", "between": "", "among": "in", "except": "without",
    "using": "with", "per": "per", "about": "about", "until": "before", "behind": "after",
    "inside": "in", "within": "in", "toward": "to", "towards": "to", "not": "not", "but": "not",
}  # fmt: skip
"""The part that the words after a preposition play; `` ends a part."""

DIRECTED = frozenset({"from", "to", "than", "before", "after", "by", "over", "instead", "not"})
"""Parts that no two things can exchange and mean the same. The empty part stands before them."""

SYMMETRIC = frozenset("and or vs versus between nor v plus".split())

FORMS: Mapping[str, str] = {
    stem: kind
    for kind, stems in {
        "poem": "poem poetry",
        "haiku": "haiku",
        "sonnet": "sonnet",
        "limerick": "limerick",
        "essay": "essay",
        "table": "table",
        "bullets": "bullet",
        "sentence": "sentenc",
        "paragraph": "paragraph",
        "timeline": "timelin",
        "summary": "summary summariz summaris",
        "translation": "translat translation",
        "letter": "letter",
        "email": "email",
        "tweet": "tweet",
        "joke": "jok",
        "song": "lyric",
        "json": "json",
        "derivation": "deriv",
        "outline": "outlin",
    }.items()
    for stem in stems.split()
}
"""The form that an answer is asked for in, by stem."""

EMPTY = frozenset(
    "a an the is are was were be been being am do does did done doing have has had having can "
    "could "
    "will would shall should may might must i me my mine we us our ours you your yours he him his "
    "she "
    "her hers it its they them their theirs this that these those there here what which who whom "
    "whose "
    "when where why how and or but if so because as of in on at by for with about to from into "
    "onto than "
    "then too also very really just please thanks thank hi hello hey kindly tell show give explain "
    "someone somebody anyone something some any one ones whats whos hows im ive id ill youre "
    "youve dont "
    "doesnt didnt isnt arent wasnt werent wont wouldnt shouldnt couldnt cant cannot not no ever "
    "even "
    "get got make let like vs versus between want need know mean actually basically anybody "
    "way ways good best thing things lot way kind sort wondering walk mind wat teh r u ur pls plz "
    "hasnt havent hadnt theres thats lets while during after before over under up down out off "
    "someones each other another such own same most more much many per via through".split()
)
"""Words that carry no subject matter."""

TONGUES: Mapping[str, frozenset[str]] = {
    "fr": frozenset(
        "le la les des une est que qui quoi pourquoi comment dans pour avec je vous est-ce "
        "où".split()
    ),
    "es": frozenset(
        "el los las una es que qué cómo por para con cuál dónde cuándo mi puedo está".split()
    ),
    "de": frozenset(
        "der die das und ist wie was ich nicht ein eine mit für wo warum kann wer mein".split()
    ),
    "pt": frozenset(
        "o os as uma é que como não para com qual onde quando eu meu posso por".split()
    ),
    "it": frozenset(
        "il lo gli una è che come perché non per con quale dove quando posso mio".split()
    ),
}  # fmt: skip
"""Frequent words of languages in Latin script that are not English."""
