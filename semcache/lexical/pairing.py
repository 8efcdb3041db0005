"""Which items of two texts have no counterpart: exact, by equal amounts, by spelling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from semcache.lexical.gazetteer import CLASS_OF, RELATED
from semcache.lexical.opposites import POLES, PREFIXES
from semcache.lexical.synonyms import synonyms

Item = TypeVar("Item")

_MIN_TYPO = 5
_MIN_PREFIX = 4


def unmatched(
    ours: Sequence[Item], theirs: Sequence[Item], same: Callable[[Item, Item], bool]
) -> tuple[list[Item], list[Item]]:
    """What is left on each side when equal items are taken away in pairs."""
    if ours == theirs:
        return [], []
    rest, left = list(theirs), []
    for item in ours:
        partner = next((at for at, other in enumerate(rest) if same(item, other)), None)
        if partner is None:
            left.append(item)
        else:
            del rest[partner]
    return left, rest


def words_apart(ours: Iterable[str], theirs: Iterable[str]) -> tuple[list[str], list[str]]:
    """The words (as multisets) of each side that the other lacks, spelling slips forgiven."""
    first, second = Counter(ours), Counter(theirs)
    if first == second:
        return [], []
    left = sorted((first - second).elements())
    right = sorted((second - first).elements())
    return unmatched(left, right, alike) if left and right else (left, right)


def alike(one: str, other: str) -> bool:
    """One word, slipped or shortened, or a synonym; never two words that are known to differ."""
    if one == other or RELATED.get(one, one) == RELATED.get(other, other):
        return True
    if one in CLASS_OF and other in CLASS_OF:
        return False
    if synonyms(one, other):
        return True
    short, long = (one, other) if len(one) <= len(other) else (other, one)
    if len(short) < _MIN_PREFIX or (one in POLES and other in POLES):
        return False
    if long.startswith(short) and short.isascii():
        return True
    slipped = len(short) >= _MIN_TYPO and one_slip(short, long)
    return slipped and not opposite_by_prefix(short, long)


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
    short, long = sorted((one, other), key=len)
    return (
        len(short) >= _MIN_PREFIX
        and long.endswith(short)
        and long[: len(long) - len(short)] in PREFIXES
    )


def same_name(one: str, other: str) -> bool:
    """One name, or a spelling slip in a name that the gazetteer does not know."""
    return (
        one == other
        or ((one not in CLASS_OF or other not in CLASS_OF) and alike(one, other))
        or (RELATED.get(one, one) == RELATED.get(other, other))
    )
