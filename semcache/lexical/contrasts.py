"""How two texts contradict each other: each contrast names the tokens that differ, or is None.

A contrast takes two `Facts` and is symmetric but for the order of its two sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from semcache.lexical.dates import Amount
from semcache.lexical.extraction import Facts
from semcache.lexical.opposites import CONVERSES
from semcache.lexical.pairing import (
    prefixed,
    same_name,
    unmatched,
    words_apart,
)
from semcache.lexical.vocabulary import DIRECTED, SPECIFIC


class Contrast(NamedTuple):
    """What one text has and the other lacks, and the other way round."""

    ours: tuple[str, ...]
    theirs: tuple[str, ...]

    @property
    def crossed(self) -> bool:
        """Both sides have something that the other lacks."""
        return bool(self.ours and self.theirs)


def _contrast(ours: Iterable[str], theirs: Iterable[str]) -> Contrast | None:
    found = Contrast(tuple(ours), tuple(theirs))
    return found if found.ours or found.theirs else None


def _apart(ours: frozenset[str], theirs: frozenset[str]) -> Contrast | None:
    return None if ours == theirs else _contrast(sorted(ours - theirs), sorted(theirs - ours))


def numbers_apart(a: Facts, b: Facts) -> tuple[list[Amount], list[Amount]]:
    """Amounts of each side without an equal on the other: 400 mg against 400 mcg."""
    return unmatched(a.numbers, b.numbers, lambda one, other: one.same(other))


def numbers(a: Facts, b: Facts) -> Contrast | None:
    """Amounts without an equal; a `first` or `1st` that only one side has does not count."""
    left, right = numbers_apart(a, b)
    if not (left and right):
        left = [one for one in left if (one.dimension, one.value) != ("ordinal", "1")]
        right = [one for one in right if (one.dimension, one.value) != ("ordinal", "1")]
    return _contrast((one.text for one in left), (one.text for one in right))


def dates(a: Facts, b: Facts) -> Contrast | None:
    """Dates, times of day, weekdays, and days or periods relative to now."""
    if not (a.dates or b.dates or a.times or b.times or a.moments or b.moments):
        return None
    left, right = unmatched(a.dates, b.dates, lambda one, other: one.same(other))
    clock, other_clock = words_apart_exactly(a.times, b.times)
    return _contrast(
        [one.text for one in left] + clock + sorted(a.moments - b.moments),
        [one.text for one in right] + other_clock + sorted(b.moments - a.moments),
    )


def versions(a: Facts, b: Facts) -> Contrast | None:
    """Versions and identifiers (order 8841-2, A4, 0x80070057). `v3` is the number 3 too."""
    if not (a.versions or b.versions or a.identifiers or b.identifiers):
        return None
    ours, theirs = words_apart_exactly((*a.versions, *a.identifiers), (*b.versions, *b.identifiers))
    plain, other_plain = ({one.value for one in side.numbers} for side in (a, b))
    return _contrast(
        (one for one in ours if one not in other_plain), (one for one in theirs if one not in plain)
    )


def units(a: Facts, b: Facts) -> Contrast | None:
    """Units that stand without a number (into miles, into metres) and are of one dimension."""
    if a.units == b.units:
        return None
    ours, theirs = a.units - b.units, b.units - a.units
    shared = {kind for kind, _ in ours} & {kind for kind, _ in theirs}
    if not shared:
        return None
    return _contrast(
        sorted(f"{kind} {name}" for kind, name in ours if kind in shared),
        sorted(f"{kind} {name}" for kind, name in theirs if kind in shared),
    )


def negation(a: Facts, b: Facts) -> Contrast | None:
    """One text is negated (an odd number of times) and the other is not."""
    if len(a.negations) % 2 == len(b.negations) % 2:
        return None
    if _cancelled(a, b, _opposed(a, b)):
        return None
    return Contrast(_negated(a), _negated(b))


def _cancelled(a: Facts, b: Facts, flipped: Contrast | None) -> bool:
    """One negation and one opposite that it governs cancel out: not possible, impossible."""
    if flipped is None or len(a.negations) % 2 == len(b.negations) % 2:
        return False
    return len(flipped.ours) == len(flipped.theirs) == 1 and _covers(a, b, flipped)


def _covers(a: Facts, b: Facts, flipped: Contrast) -> bool:
    words = {*flipped.ours, *flipped.theirs}
    governed = {*a.negations, *b.negations}
    return any(
        word.startswith(scope) or scope.startswith(word)
        for word in words
        for scope in governed
        if scope
    )


def _negated(facts: Facts) -> tuple[str, ...]:
    return tuple(f"not {scope}".strip() for scope in facts.negations)


def scope(a: Facts, b: Facts) -> Contrast | None:
    """Both are negated, but not of the same thing."""
    only, missing = words_apart(a.negations, b.negations)
    ours = [one for one in only if one in b.content]
    theirs = [one for one in missing if one in a.content]
    return _contrast(ours, theirs) if ours and theirs else None


def opposites(a: Facts, b: Facts) -> Contrast | None:
    """Words of opposite poles, each in one text only: enable, disable; possible, impossible."""
    flipped = _opposed(a, b)
    return None if _cancelled(a, b, flipped) else flipped


def _opposed(a: Facts, b: Facts) -> Contrast | None:
    ours: list[str] = []
    theirs: list[str] = []
    sides, others = (_sides(a), _sides(b)) if a.poles and b.poles else ({}, {})
    for axis in sides.keys() & others.keys():
        (signs, word), (counter, other) = sides[axis], others[axis]
        opposed = (signs, counter) in (({1}, {-1}), ({-1}, {1}))
        if opposed and not (axis.split("/")[0] in CONVERSES and changed_places(a, b)):
            ours.append(word)
            theirs.append(other)
    for word, other in prefixed(*words_apart(a.content, b.content)):
        ours.append(word)
        theirs.append(other)
    return _contrast(sorted(set(ours)), sorted(set(theirs)))


def _sides(facts: Facts) -> dict[str, tuple[set[int], str]]:
    sides: dict[str, tuple[set[int], str]] = {}
    for axis, sign, word in sorted(facts.poles):
        sides.setdefault(axis, (set(), word))[0].add(sign)
    return sides


def direction(a: Facts, b: Facts) -> Contrast | None:
    """Two things changed roles: from A to B, from B to A; A faster than B, B faster than A."""
    if not (_directed(a) or _directed(b)):
        return None
    ours, theirs = _once(a.roles), _once(b.roles)
    moved = {
        word: (role, theirs[word]) for word, role in ours.items() if theirs.get(word, role) != role
    }
    for word, (role, other) in moved.items():
        if role not in DIRECTED and other not in DIRECTED:
            continue
        for second, places in moved.items():
            if places == (other, role):
                return Contrast((word, second), (second, word))
    return None


def _directed(facts: Facts) -> bool:
    return any(role in DIRECTED for _, role in facts.roles)


def changed_places(a: Facts, b: Facts) -> bool:
    """Two content words come in the other order."""
    shared = [word for word in a.content if word in b.content]
    order = [word for word in b.content if word in a.content]
    return shared != order


def _once(roles: Sequence[tuple[str, str]]) -> dict[str, str]:
    seen: dict[str, str] = {}
    twice: set[str] = set()
    for word, role in roles:
        if word in seen:
            twice.add(word)
        seen[word] = role
    return {word: role for word, role in seen.items() if word not in twice}


def names(a: Facts, b: Facts) -> Contrast | None:
    """Proper nouns that the other text does not mention at all."""
    if a.names == b.names:
        return None
    ours = sorted(one for one in a.names - b.names if not _mentioned(one, b))
    theirs = sorted(one for one in b.names - a.names if not _mentioned(one, a))
    left, right = unmatched(ours, theirs, same_name)
    return _contrast(left, right)


def _mentioned(name: str, other: Facts) -> bool:
    return name in other.content or name in other.words


def kinds(a: Facts, b: Facts) -> Contrast | None:
    """Names of one class (two countries, two programming languages), each in one text only."""
    if a.kinds == b.kinds:
        return None
    ours, theirs = a.kinds - b.kinds, b.kinds - a.kinds
    shared = {kind for kind, _ in ours} & {kind for kind, _ in theirs}
    left = sorted(word for kind, word in ours if kind in shared and not _mentioned(word, b))
    right = sorted(word for kind, word in theirs if kind in shared and not _mentioned(word, a))
    return _contrast(left, right) if left and right else None


def quotes(a: Facts, b: Facts) -> Contrast | None:
    """Quoted strings."""
    return _apart(a.quotes, b.quotes)


def literals(a: Facts, b: Facts) -> Contrast | None:
    """Code, URLs, file names, flags."""
    return _apart(a.literals, b.literals)


def quantifiers(a: Facts, b: Facts) -> Contrast | None:
    """All, any, some, only, most, half, none."""
    return _apart(a.quantifiers, b.quantifiers)


def question(a: Facts, b: Facts) -> Contrast | None:
    """Each asks for one specific kind of thing (who, when, how much), and not for the same."""
    if len(a.questions) != 1 or len(b.questions) != 1 or a.questions == b.questions:
        return None
    if {*a.questions, *b.questions} <= SPECIFIC:
        return Contrast(a.questions, b.questions)
    return None


def form(a: Facts, b: Facts) -> Contrast | None:
    """The form of the answer that is asked for: haiku, essay, table."""
    return _apart(a.forms, b.forms)


def language(a: Facts, b: Facts) -> Contrast | None:
    """Two languages, both of them known."""
    if a.language == b.language or not a.language or not b.language:
        return None
    return Contrast((a.language,), (b.language,))


def words(a: Facts, b: Facts) -> Contrast | None:
    """Content words that the other text lacks."""
    return _contrast(*words_apart(a.content, b.content))


def words_apart_exactly(ours: Iterable[str], theirs: Iterable[str]) -> tuple[list[str], list[str]]:
    """As multisets, to the letter."""
    return unmatched(sorted(ours), sorted(theirs), lambda one, other: one == other)
