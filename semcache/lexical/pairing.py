"""Which items of two texts have no counterpart: exact, by equal amounts, by spelling."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from semcache.lexical.gazetteer import CLASS_OF, RELATED
from semcache.lexical.opposites import POLES, PREFIXES
from semcache.lexical.synonyms import GROUPS

Item = TypeVar("Item")

_MIN_TYPO = 5
_MIN_PREFIX = 4
_PREFIXES = tuple(PREFIXES)


def unmatched(
    ours: Sequence[Item], theirs: Sequence[Item], same: Callable[[Item, Item], bool]
) -> tuple[list[Item], list[Item]]:
    """What is left on each side when equal items are taken away in pairs."""
    if ours == theirs:
        return [], []
    rest, left = list(theirs), []
    for item in ours:
        for at, other in enumerate(rest):
            if same(item, other):
                del rest[at]
                break
        else:
            left.append(item)
    return left, rest


def words_apart(
    ours: tuple[str, ...], theirs: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words (as multisets) of each side that the other lacks, spelling slips forgiven."""
    return ((), ()) if ours == theirs else _words_apart(ours, theirs)


@lru_cache(maxsize=64)  # several guards ask of one pair
def _words_apart(
    ours: tuple[str, ...], theirs: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    left = list(ours)
    right = [word for word in theirs if not _taken(left, word)]
    left.sort()
    right.sort()
    if left and right:
        left, right = unmatched(left, right, alike)
    return tuple(left), tuple(right)


def _taken(words: list[str], word: str) -> bool:
    try:
        words.remove(word)
    except ValueError:
        return False
    return True


def alike(one: str, other: str) -> bool:
    """One word, slipped or shortened, or a synonym; never two words that are known to differ."""
    ours, theirs = _known(one), _known(other)
    if ours.root == theirs.root:
        return True
    if ours.classed and theirs.classed:
        return False
    if ours.groups and not ours.groups.isdisjoint(theirs.groups):
        return True
    short, long = (one, other) if len(one) <= len(other) else (other, one)
    if len(short) < _MIN_PREFIX or (ours.pole and theirs.pole):
        return False
    if long.startswith(short) and short.isascii():
        return True
    if len(short) < _MIN_TYPO or len(long) - len(short) > 1:
        return False
    return one_slip(short, long) and not opposite_by_prefix(short, long)


class _Word(NamedTuple):
    """What is known of one word by itself."""

    root: str
    classed: bool
    groups: frozenset[int]
    pole: bool


@lru_cache(maxsize=16384)
def _known(word: str) -> _Word:
    groups = GROUPS.get(word, frozenset())
    return _Word(RELATED.get(word, word), word in CLASS_OF, groups, word in POLES)


def one_slip(short: str, long: str) -> bool:
    """Whether one letter was added, left out, changed, or two neighbours exchanged."""
    if len(long) - len(short) > 1:
        return False
    at = 0
    while at < len(short) and short[at] == long[at]:
        at += 1
    if len(short) < len(long):
        return short[at:] == long[at + 1 :]
    if short[at + 1 :] == long[at + 1 :]:
        return True
    return short[at : at + 2] == long[at : at + 2][::-1] and short[at + 2 :] == long[at + 2 :]


def opposite_by_prefix(one: str, other: str) -> bool:
    """`possible` and `impossible`, `lock` and `unlock`."""
    short, long = (one, other) if len(one) <= len(other) else (other, one)
    return (
        long.endswith(short)
        and len(short) >= _MIN_PREFIX
        and long[: len(long) - len(short)] in PREFIXES
    )


def prefixed(ours: Iterable[str], theirs: Iterable[str]) -> list[tuple[str, str]]:
    """The pairs that are opposites by prefix: tell first which words can be one at all."""
    left, right = set(ours), set(theirs)
    longer = [(word, right) for word in left if word.startswith(_PREFIXES)]
    longer += [(word, left) for word in right if word.startswith(_PREFIXES)]
    return [
        (word, other) if others is right else (other, word)
        for word, others in longer
        for other in others
        if len(other) < len(word) and opposite_by_prefix(word, other)
    ]


def same_name(one: str, other: str) -> bool:
    """One name, or a spelling slip in a name that the gazetteer does not know."""
    return (
        one == other
        or ((one not in CLASS_OF or other not in CLASS_OF) and alike(one, other))
        or (RELATED.get(one, one) == RELATED.get(other, other))
    )
