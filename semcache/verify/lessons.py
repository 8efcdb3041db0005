"""Labels that teach a score, and labels that certify it: no label does both.

What was not drawn by lot cannot certify, so it teaches, and so does every FITS-th of what was
drawn; the rest, and what comes until the next lesson, certifies. The score is fitted anew whenever
as many labels have come again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import orjson

from semcache.verify import adaptive
from semcache.verify.adaptive import Scorer
from semcache.verify.certify import Label
from semcache.verify.ledger import NOT_DRAWN, Record
from semcache.verify.relaxing import relaxed_guards

WINDOW = 5_000
FITS = 4
_FIRST = 100


class Learnt(NamedTuple):
    """A new score, and the labels that certify it, with its scores on them."""

    scorer: Scorer
    labels: list[Label]


class Lessons:
    """The newest WINDOW labels. Not safe for threads: its owner holds a lock."""

    def __init__(self, first: int, guards: Sequence[str] = ()) -> None:
        """`first`: drawn labels before the first lesson; `guards` are those that may err."""
        self._guards = tuple(guards)
        self._known: deque[Record] = deque(maxlen=WINDOW)
        self._new = 0
        self._next = max(_FIRST, first)

    def add(self, record: Record) -> None:
        """One more label, newer than all before."""
        self._known.append(record)
        self._new += record.remark != NOT_DRAWN

    def wait(self) -> None:
        """What was learnt was of no use: try again on a quarter more labels."""
        self._next = max(_FIRST // 4, self._next // 4)

    def learn(self, since: float) -> Learnt | None:
        """A new score, where it is time for one; labels from before `since` are not used."""
        if self._new < self._next:
            return None
        fitting, certifying = parted([one for one in self._known if one.label.at >= since])
        rows = [features_of(one) for one in fitting]
        wrong = [one.label.wrong for one in fitting]
        relaxed = relaxed_guards(self._guards, rows, wrong)
        scorer = adaptive.fit(rows, [not bad for bad in wrong], relaxed)
        self._new, self._next = 0, min(len(certifying), WINDOW // 2)
        if scorer is None:
            self.wait()
            return None
        return Learnt(
            scorer,
            [replace(one.label, score=scorer.score(features_of(one))) for one in certifying],
        )


def parted(known: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    """Labels that fit the score, and labels that certify it, both in order of time.

    What was not drawn cannot certify, so it fits; and so does every FITS-th of what was drawn.
    """
    drawn = [one for one in known if one.remark != NOT_DRAWN]
    fitting = {id(one) for one in drawn[::FITS]}
    return (
        [one for one in known if one.remark == NOT_DRAWN or id(one) in fitting],
        [one for one in drawn if id(one) not in fitting],
    )


def features_of(record: Record) -> dict[str, float]:
    """What a label's score was made of; its old score alone where that was not written down."""
    try:
        read = orjson.loads(record.features or "{}")
        found = {str(name): float(value) for name, value in read.items()}
    except (ValueError, TypeError, AttributeError):
        found = {}
    return found or {adaptive.PROBABILITY: record.label.score}
