"""What a forward pass costs by the number of its rows, learned from the passes themselves.

On a CPU one row reads every weight once, and so do eight; where more rows begin to cost more is a
matter of the machine, its load, the model and its weights' type. So it is measured as it goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_PRIOR = (1.0, 1.4, 1.4, 1.5, 1.9, 2.7, 4.3, 8.0)
"""Cost of up to 1, 2, 4 … 128 rows, in passes of one row: two cores, float32, before measuring."""

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
        """What a pass of so many rows is expected to take."""
        size = _size(rows)
        known = self._measured[size]
        if known is not None:
            return known
        scales = [seconds / _PRIOR[at] for at, seconds in self._measured_sizes()]
        return _PRIOR[size] * (sum(scales) / len(scales) if scales else 1.0)

    def _measured_sizes(self) -> list[tuple[int, float]]:
        return [(at, one) for at, one in enumerate(self._measured) if one is not None]


def draft_length(offers: Sequence[Offer], others: int, pace: Pace) -> int:
    """How many proposed tokens to verify for each answer: what yields most tokens a second.

    Each offer's answer brings one token anyway; `others` are rows that are read besides.
    """
    rows = len(offers) + others
    best, most = 0, len(offers) / pace.cost(rows) if rows else 0.0
    for length in range(1, max((one.length for one in offers), default=0) + 1):
        taken = [(min(length, one.length), one.trust) for one in offers]
        kept = sum(trust**at for size, trust in taken for at in range(1, size + 1))
        yields = (len(offers) + kept) / pace.cost(rows + sum(size for size, _ in taken))
        if yields > most:
            best, most = length, yields
    return best


def _size(rows: int) -> int:
    return min((rows - 1).bit_length(), len(_PRIOR) - 1)
