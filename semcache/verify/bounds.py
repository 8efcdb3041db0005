"""Tests of "the wrong rate is above a bound", and the bounds that come of inverting them.

Two tests. Labels that were all drawn with one probability: the exact binomial tail (Clopper and
Pearson, 1934). Labels drawn with different, known probabilities: betting (Waudby-Smith and Ramdas,
arXiv 2010.09686) on inverse-probability weights. Both hold for every sample size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STAKES = np.array([1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125])
PRIOR = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])


def binomial_cdf(wrong: int, labels: int, rate: float) -> float:
    """P(at most `wrong` of `labels` are wrong) where each is wrong with probability `rate`."""
    if wrong < 0:
        return 0.0
    if wrong >= labels or rate <= 0.0:
        return 1.0
    if rate >= 1.0:
        return 0.0
    if wrong <= labels * rate:
        return min(1.0, _tail_down(wrong, labels, rate))
    # The other tail, by the same sum with right and wrong exchanged.
    return max(0.0, 1.0 - _tail_down(labels - wrong - 1, labels, 1.0 - rate))


def _tail_down(top: int, labels: int, rate: float) -> float:
    log_term = math.lgamma(labels + 1) - math.lgamma(top + 1) - math.lgamma(labels - top + 1)
    log_term += top * math.log(rate) + (labels - top) * math.log1p(-rate)
    term, total, odds = 1.0, 1.0, (1.0 - rate) / rate
    for count in range(top, 0, -1):
        term *= count / (labels - count + 1) * odds
        total += term
        if term < 1e-17 * total:
            break
    return math.exp(log_term) * total


@lru_cache(maxsize=4096)
def labels_needed(delta: float, alpha: float, wrong: int = 0) -> int:
    """The fewest labels with so many wrong ones that show a rate of at most delta at 1 - alpha.

    Clean labels: ln(alpha) / ln(1 - delta) rounded up, 230 for 1 % at alpha = 0.1.
    """
    low, high = wrong, max(1, wrong)
    while binomial_cdf(wrong, high, delta) > alpha:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if binomial_cdf(wrong, middle, delta) > alpha:
            low = middle
        else:
            high = middle
    return high


def binomial_upper(wrong: int, labels: int, alpha: float) -> float:
    """Clopper and Pearson's upper bound at confidence 1 - alpha; 1.0 without labels."""
    if labels <= 0 or wrong >= labels:
        return 1.0
    return smallest_rate(lambda rate: binomial_cdf(wrong, labels, rate), alpha)


def smallest_rate(p_value: Callable[[float], float], alpha: float) -> float:
    """The smallest rate that the test rejects, for a p-value that falls as the rate grows."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if p_value(middle) <= alpha:
            high = middle
        else:
            low = middle
    return high


def relative(weights: Floats) -> Floats:
    """Weights as shares of the largest possible one, (0, 1].

    The scale is a power of two of the smallest weight, so that it hardly depends on the draw.
    """
    if not len(weights):
        return weights
    least = float(weights.min())
    return weights / (least * 2.0 ** math.ceil(math.log2(float(weights.max()) / least)))


def log_bets(outcomes: Floats, shares: Floats, delta: float) -> Floats:
    """Log growth of each stake against "the weighted rate is above delta", (n, stakes).

    `outcomes` are 0 or 1, `shares` as of `relative`. Where the rate is above delta, no stake grows
    in the mean: E[share * (outcome - delta)] has the sign of the rate minus delta, for labels that
    were drawn with probability proportional to 1 / share.
    """
    stakes = STAKES / (1.0 - delta)
    gains = shares[:, None] * (delta - outcomes[:, None])
    with np.errstate(divide="ignore"):
        return np.log1p(np.maximum(stakes[None, :] * gains, -1.0))


def p_of_wealth(log_wealth: Floats) -> Floats:
    """P-values from log wealths (..., stakes): 1 over the mixture's wealth (Markov), at most 1."""
    top = np.maximum(log_wealth.max(axis=-1, keepdims=True), 0.0)
    mixture = np.log(np.exp(log_wealth - top) @ PRIOR + 1e-300) + top[..., 0]
    p_values: Floats = np.exp(-np.maximum(mixture, 0.0))
    return p_values
