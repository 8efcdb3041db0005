"""How two texts are laid out: shared beginning and end, what was swapped in, what was moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from semcache.lexical.extraction import Facts
from semcache.lexical.vocabulary import SYMMETRIC

_LONGEST = 32  # words that are compared pair by pair; longer texts by their beginning
_EITHER_WAY = SYMMETRIC | {"和", "与", "跟", "或", "还是"}


class Template(NamedTuple):
    """Words shared at the beginning and at the end, and what stands between them."""

    shared: int
    ours: tuple[str, ...]
    theirs: tuple[str, ...]


def template(a: Sequence[str], b: Sequence[str]) -> Template:
    """Take the common beginning and the common end away from both."""
    short = min(len(a), len(b))
    head = 0
    while head < short and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < short - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    return Template(head + tail, tuple(a[head : len(a) - tail]), tuple(b[head : len(b) - tail]))


def moved(a: Facts, b: Facts) -> float:
    """The share of pairs of shared content words that come in the other order, 0..1."""
    places = {word: at for at, word in enumerate(b.content[:_LONGEST])}
    order = [places[word] for word in dict.fromkeys(a.content[:_LONGEST]) if word in places]
    pairs = len(order) * (len(order) - 1) // 2
    if not pairs:
        return 0.0
    inverted = sum(one > other for at, one in enumerate(order) for other in order[at + 1 :])
    return inverted / pairs


def rearranged(a: Facts, b: Facts) -> bool:
    """The same content words in another order, and not just a part moved to the front or the end.

    What stands on the two sides of `and`, `or` or `versus` may change places.
    """
    if a.content == b.content or sorted(a.content) != sorted(b.content):
        return False
    if _EITHER_WAY.intersection(a.words) or _EITHER_WAY.intersection(b.words):
        return False
    size = len(a.content)
    turned = (b.content[at:] + b.content[:at] for at in range(1, size))
    return (size > 2 and all(a.content != turn for turn in turned)) or (
        size == 2 and _verbless(a, b)
    )


def _verbless(a: Facts, b: Facts) -> bool:
    """Two content words exchanged inside one unchanged frame."""
    frame = [word for word in a.words if word not in b.words]
    return not frame and a.words[0] == b.words[0] and a.words[-1] != b.words[-1]
