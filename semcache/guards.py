"""Vetoes on a near-duplicate: deterministic, each with a name and a reason.

A guard sees the question asked and the question answered before, and says why the old answer must
not be served, or nothing. Guards never allow; they only refuse. Pure, and symmetric.

What is near-certain is on by default: `DEFAULT_GUARDS`. The others lose more true paraphrases than
they are worth in most traffic; `python -m benchmarks.guards` shows what each costs. All of them are
features of the verifier too (`semcache.lexical.differences`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import semcache.lexical.contrasts as contrasts
from semcache.lexical import Facts, facts
from semcache.lexical.contrasts import Contrast
from semcache.lexical.order import rearranged, template
from semcache.lexical.pairing import words_apart
from semcache.lexical.vocabulary import ROLES

Guard: TypeAlias = Callable[[str, str], str | None]
Rule: TypeAlias = Callable[[Facts, Facts], Contrast | None]

_NEAR = 2  # so few content words may differ beside what the rule is about
_ORDER = 10  # words: what asks nothing and is longer is a statement, not an order
_SPAN = 1  # words in which two texts of one template differ
_FRAME = 0.6  # share of the longer text that its template must make up

_ARTICLES = frozenset({"a", "an", "the"})


def _crossed(found: Contrast | None) -> Contrast | None:
    return found if found is not None and found.crossed else None


def _apart(a: Facts, b: Facts) -> int:
    ours, theirs = words_apart(a.content, b.content)
    return len(ours) + len(theirs)


def _numbers(a: Facts, b: Facts) -> Contrast | None:
    """Numbers that stand against each other: of one dimension, or one number with two units."""
    ours, theirs = contrasts.numbers_apart(a, b)
    if not any(
        one.dimension == other.dimension or one.value == other.value
        for one in ours
        for other in theirs
    ):
        return None
    return Contrast(tuple(one.text for one in ours), tuple(one.text for one in theirs))


def _dates(a: Facts, b: Facts) -> Contrast | None:
    found = contrasts.dates(a, b)
    if found is None or found.crossed:
        return found
    return found if _apart(a, b) <= 1 else None


def _negation(a: Facts, b: Facts) -> Contrast | None:
    found = contrasts.negation(a, b)
    if found is None:
        return None
    odd, even = (a, b) if len(a.negations) % 2 else (b, a)
    apart = _apart(a, b)
    affirmed = any(scope in even.content or scope in even.words for scope in odd.negations if scope)
    near = apart <= 1 and "zh" not in (a.language, b.language)
    return found if near or (affirmed and apart <= _NEAR) else None


def _opposites(a: Facts, b: Facts) -> Contrast | None:
    """In Chinese, where one character may be a pole, only in two texts that are otherwise near."""
    found = contrasts.opposites(a, b)
    far = found is not None and "zh" in (a.language, b.language) and _apart(a, b) > 2 * _NEAR
    return None if far else found


def _names(a: Facts, b: Facts) -> Contrast | None:
    found = contrasts.kinds(a, b)
    if found is not None:
        return found
    found = _crossed(contrasts.names(a, b))
    if found is None or len(found.ours) != len(found.theirs):
        return None
    ours, theirs = words_apart(a.content, b.content)
    return found if {*ours} <= {*found.ours} and {*theirs} <= {*found.theirs} else None


def _quantifiers(a: Facts, b: Facts) -> Contrast | None:
    found = _crossed(contrasts.quantifiers(a, b))
    return found if found is not None and _apart(a, b) <= _NEAR else None


def _question(a: Facts, b: Facts) -> Contrast | None:
    """`When does it end` and `how long does it last` are one question in many words."""
    found = None if "zh" in (a.language, b.language) else contrasts.question(a, b)
    if found is not None and {*found.ours, *found.theirs} == {"when", "how long"}:
        return found if _apart(a, b) <= _NEAR else None
    return found


def _form(a: Facts, b: Facts) -> Contrast | None:
    return _crossed(contrasts.form(a, b))


def _substitution(a: Facts, b: Facts) -> Contrast | None:
    """One template, and another content word in its place; not in statements.

    What is stated at some length is often stated again with a synonym.
    """
    if not (a.questions or b.questions) and min(len(a.words), len(b.words)) > _ORDER:
        return None
    frame = template(*([word for word in one.words if word not in _ARTICLES] for one in (a, b)))
    longest = max(len(frame.ours), len(frame.theirs))
    if not 0 < longest <= _SPAN or frame.shared < _FRAME * (frame.shared + longest):
        return None
    found = contrasts.words(a, b)
    return found if found is not None and len(found.ours) == len(found.theirs) == 1 else None


def _qualifier(a: Facts, b: Facts) -> Contrast | None:
    """One question goes on where the other ends: `… on Heroku`, `… without downtime`."""
    short, long = sorted((a, b), key=lambda one: len(one.words))
    size = len(short.words)
    goes_on = long.words[:size] == short.words and long.words[size : size + 1]
    if not goes_on or goes_on[0] not in ROLES:
        return None
    return contrasts.words(a, b)


def _word_order(a: Facts, b: Facts) -> Contrast | None:
    if rearranged(a, b) or rearranged(b, a):
        return Contrast(a.content, b.content)
    return None


def _strict_names(a: Facts, b: Facts) -> Contrast | None:
    return _crossed(contrasts.names(a, b))


_DEFAULT: Mapping[str, tuple[Rule, str]] = {
    "numbers": (_numbers, "numbers differ"),
    "units": (contrasts.units, "units differ"),
    "dates": (_dates, "dates or times differ"),
    "identifiers": (contrasts.versions, "versions or identifiers differ"),
    "negation": (_negation, "one question is negated, the other is not"),
    "opposites": (_opposites, "opposites"),
    "direction": (contrasts.direction, "the direction is turned around"),
    "names": (_names, "names differ"),
    "literals": (contrasts.literals, "code, addresses or file names differ"),
    "quotes": (lambda a, b: _crossed(contrasts.quotes(a, b)), "quoted strings differ"),
    "quantifiers": (_quantifiers, "quantifiers differ"),
    "question": (_question, "the questions ask for different things"),
    "form": (_form, "another form of answer is asked for"),
    "language": (contrasts.language, "languages differ"),
    "substitution": (_substitution, "one template, another word"),
    "qualifier": (_qualifier, "a condition was added"),
}
_OPTIONAL: Mapping[str, tuple[Rule, str]] = {
    "strict_numbers": (contrasts.numbers, "numbers differ"),
    "strict_negation": (contrasts.negation, "one question is negated, the other is not"),
    "strict_names": (_strict_names, "names differ"),
    "strict_quantifiers": (contrasts.quantifiers, "quantifiers differ"),
    "word_order": (_word_order, "the same words in another order"),
}

_ALL = {**_DEFAULT, **_OPTIONAL}

DEFAULT_GUARDS: tuple[str, ...] = tuple(_DEFAULT)
"""The guards that are on unless the operator says otherwise."""


def _guard(rule: Rule, what: str) -> Guard:
    def guard(asked: str, answered: str) -> str | None:
        found = rule(facts(asked), facts(answered))
        return None if found is None else _reason(what, found)

    guard.__doc__ = f"Refuse where {what}."
    return guard


def _reason(what: str, found: Contrast) -> str:
    return f"{what}: {_shown(found.ours)} against {_shown(found.theirs)}"


def _shown(words: Iterable[str]) -> str:
    return ", ".join(words) or "none"


GUARDS: Mapping[str, Guard] = {name: _guard(rule, what) for name, (rule, what) in _ALL.items()}


def refusal(names: tuple[str, ...], asked: str, answered: str) -> tuple[str, str] | None:
    """The first guard that refuses, as (name, reason)."""
    if not names:
        return None
    a, b = facts(asked), facts(answered)
    for name in names:
        rule, what = _ALL[name]
        found = rule(a, b)
        if found is not None:
            return name, _reason(what, found)
    return None
