"""Vetoes on a near-duplicate: deterministic, each with a name and a reason.

A guard sees the question asked and the question answered before, and says why the old answer must
not be served, or nothing. Guards never allow; they only refuse. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeAlias

Guard: TypeAlias = Callable[[str, str], str | None]

_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_NUMBER_WORDS: Mapping[str, str] = {
    word: str(value)
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()
    )
    if word != "one"
}
_NEGATIONS = frozenset(
    "not no never none nothing nobody neither nor without cannot cant dont doesnt didnt isnt arent "
    "wasnt werent wont wouldnt shouldnt couldnt havent hasnt hadnt mustnt neednt aint".split()
)
_NEGATION_CHARACTERS = re.compile(r"[不没未非无别勿]")


def numbers(asked: str, answered: str) -> str | None:
    """Refuse when the numbers in the two questions differ (as multisets; `1,000` is `1000`)."""
    ours, theirs = _numbers(asked), _numbers(answered)
    if ours == theirs:
        return None
    more, less = Counter(ours), Counter(theirs)
    return f"numbers differ: {_shown(more - less)} against {_shown(less - more)}"


def negation(asked: str, answered: str) -> str | None:
    """Refuse when one question is negated and the other is not (parity of negating words)."""
    if _negations(asked) % 2 == _negations(answered) % 2:
        return None
    return "one question is negated, the other is not"


GUARDS: Mapping[str, Guard] = {"numbers": numbers, "negation": negation}


def refusal(names: tuple[str, ...], asked: str, answered: str) -> tuple[str, str] | None:
    """The first guard that refuses, as (name, reason)."""
    for name in names:
        reason = GUARDS[name](asked, answered)
        if reason is not None:
            return name, reason
    return None


def _numbers(text: str) -> list[str]:
    found = [match.replace(",", "") for match in _NUMBER.findall(text)]
    words = _WORD.findall(text.lower())
    return sorted(found + [_NUMBER_WORDS[word] for word in words if word in _NUMBER_WORDS])


def _shown(numbers: Counter[str]) -> str:
    return ", ".join(sorted(numbers)) or "none"


def _negations(text: str) -> int:
    words = (word.replace("'", "").replace("’", "") for word in _WORD.findall(text.lower()))
    return sum(word in _NEGATIONS for word in words) + len(_NEGATION_CHARACTERS.findall(text))
