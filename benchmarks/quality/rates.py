"""Served shares and bounds: pure arithmetic on scores and counts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

Floats = NDArray[np.float64]


def auc(right: Floats, traps: Floats) -> float:
    """Probability that a paraphrase scores above a trap; ties count half (Mann-Whitney).

    NaN where one of the two is empty.
    """
    if not len(right) or not len(traps):
        return math.nan
    ordered = np.sort(traps)
    below = np.searchsorted(ordered, right, side="left")
    not_above = np.searchsorted(ordered, right, side="right")
    return float((below + not_above).mean() / 2 / len(traps))


def least_above(traps: Floats, limit: float) -> float:
    """The score above which at most `limit` (0..1) of the traps lie; serve what is *above* it."""
    allowed = math.floor(limit * len(traps) + 1e-9)
    if allowed >= len(traps):
        return -math.inf
    return float(np.sort(traps)[::-1][allowed])


def share_above(scores: Floats, bound: float) -> float:
    """The share of scores strictly above `bound`; 0 of nothing."""
    return float((scores > bound).mean()) if len(scores) else 0.0


def clopper_pearson_upper(wrong: float, labels: float, alpha: float) -> float:
    """Upper bound, at confidence 1 - `alpha`, of a rate of which `wrong` of `labels` were seen.

    Exact for whole numbers (Clopper and Pearson 1934). Weighted labels come as an effective number
    (Kish 1965), for which it is an approximation.
    """
    if labels <= 0 or wrong >= labels:
        return 1.0
    return float(beta.ppf(1 - alpha, wrong + 1, labels - wrong))


def best_below(rows: Sequence[tuple[float, float]], limit: float) -> tuple[float, float] | None:
    """Of (hits, wrong rate) rows the one with most hits whose rate is at most `limit`."""
    fitting = [row for row in rows if row[1] <= limit]
    return max(fitting, default=None)
