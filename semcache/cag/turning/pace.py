"""What a forward pass costs by the number of its rows, learned from the passes themselves.

On a CPU one row reads every weight once, and so do eight; where more rows begin to cost more is a
matter of the machine, its load, the model and its weights' type. So it is measured as it goes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

_SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 48, 64, 96, 128)
_PRIOR = (1.0, 1.4, 1.4, 1.4, 1.4, 1.4, 1.5, 1.5, 1.7, 1.9, 2.3, 2.7, 3.5, 4.3, 6.1, 8.0)
"""Cost of up to so many rows, in passes of one row: two cores, float32, before measuring."""

_WEIGHT = 0.2
_SURPRISE = 2.0
"""A pass that took longer than this times the expected was held up by something else."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What an answer proposes: how many tokens (none, mostly), and each one's chance to be kept."""

    length: int
    trust: float


class Pace:
    """Costs in seconds; before the first measurement, in passes of one row."""

    def __init__(self) -> None:
        self._measured: list[float | None] = [None] * len(_PRIOR)

    def note(self, rows: int, seconds: float) -> None:
        """A pass of so many rows has taken so long."""
        size = _size(rows)
        known = self._measured[size]
        if known is None:
            self._measured[size] = seconds
        else:
            self._measured[size] = known + _WEIGHT * (min(seconds, _SURPRISE * known) - known)

    def cost(self, rows: int) -> float:
        """What a pass of so many rows is expected to take: as measured, or between neighbours."""
        size = _size(rows)
        known = self._measured[size]
        if known is not None:
            return known
        below = next((at for at in range(size, -1, -1) if self._measured[at] is not None), None)
        above = next(
            (at for at in range(size, len(_SIZES)) if self._measured[at] is not None), None
        )
        if below is None or above is None:
            nearest = below if above is None else above
            return _PRIOR[size] * (1.0 if nearest is None else self._scale(nearest))
        share = (_SIZES[size] - _SIZES[below]) / (_SIZES[above] - _SIZES[below])
        return (1 - share) * self._known(below) + share * self._known(above)

    def _scale(self, size: int) -> float:
        return self._known(size) / _PRIOR[size]

    def _known(self, size: int) -> float:
        known = self._measured[size]
        assert known is not None
        return known


def draft_length(offers: Sequence[Offer], others: int, room: int, pace: Pace) -> int:
    """How many proposed tokens to verify for each answer: what yields most tokens a second.

    Each offer's answer brings one token anyway; `others` are rows that are read besides. All of
    them together are at most `room` rows, unless they are more without drafts.
    """
    rows = len(offers) + others
    best, most = 0, len(offers) / pace.cost(rows) if rows else 0.0
    for length in range(1, max((one.length for one in offers), default=0) + 1):
        taken = [(min(length, one.length), one.trust) for one in offers]
        kept = sum(trust**at for size, trust in taken for at in range(1, size + 1))
        more = sum(size for size, _ in taken)
        if rows + more > room:
            break
        yields = (len(offers) + kept) / pace.cost(rows + more)
        if yields > most:
            best, most = length, yields
    return best


def _size(rows: int) -> int:
    """The number of the first size that holds so many rows; the last one for more."""
    return min(bisect_left(_SIZES, rows), len(_SIZES) - 1)
