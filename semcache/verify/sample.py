"""Labels as arrays, and the p-value of every threshold of the grid at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from semcache.verify.bounds import (
    Floats,
    binomial_cdf,
    binomial_upper,
    log_bets,
    p_of_wealth,
    relative,
    smallest_rate,
)

# Even in log odds, so that scores near 1 are told apart; fixed, for a grid that followed the
# labels' scores would cost the guarantee.
GRID: Floats = np.concatenate(
    [[1.0], 1.0 / (1.0 + np.exp(-np.linspace(9.0, -4.0, 261))), [0.0]]
).round(6)


@dataclass(frozen=True, slots=True)
class Sample:
    """Labels by falling score, (n,) each; `at[j]` of them have a score of at least GRID[j]."""

    scores: Floats
    wrong: Floats
    weights: Floats
    at: NDArray[np.int64]
    even: NDArray[np.bool_]

    @classmethod
    def of(cls, scores: Floats, wrong: Floats, weights: Floats) -> Sample:
        """Raises ValueError where a score is not in 0..1 or a weight is below 1."""
        if len(scores) and not (scores.min() >= 0.0 and scores.max() <= 1.0):
            raise ValueError("a score lies in 0..1")
        if len(weights) and not (weights.min() >= 1.0 and np.isfinite(weights).all()):
            raise ValueError("a weight is 1 / a probability, so it is at least 1")
        # Ties by what was wrong and by weight, so that the order of labels cannot matter.
        order = np.lexsort((weights, wrong, -scores))
        falling = -scores[order]
        at = np.searchsorted(falling, -GRID, side="right")
        kept = weights[order]
        same = np.concatenate([[True], np.logical_and.accumulate(np.isclose(kept, kept[:1]))])
        return cls(scores[order], wrong[order], kept, at, same[at])

    def __len__(self) -> int:
        return len(self.wrong)

    def lowest(self, at: int) -> float:
        """The lowest score that a threshold accepts; 1.0 where it accepts none."""
        accepted = int(self.at[at])
        return float(self.scores[accepted - 1]) if accepted else 1.0

    def counts(self, at: int, per: Literal["hit", "request"]) -> tuple[int, int]:
        """Trials and wrong ones of a threshold."""
        accepted = int(self.at[at])
        wrong = int(self.wrong[:accepted].sum())
        return (accepted if per == "hit" else len(self)), wrong

    def p_values(self, delta: float, per: Literal["hit", "request"], clean: bool = False) -> Floats:
        """P-values of "the rate is above delta", one for each threshold of GRID.

        `clean`: as if no label were wrong, which tells where a test could pass at all.
        """
        betting = self._betting(delta, per, clean)
        found = np.empty(len(GRID))
        for at in range(len(GRID)):
            if self._exact(at, per):
                trials, wrong = self.counts(at, per)
                found[at] = binomial_cdf(0 if clean else wrong, trials, delta) if trials else 1.0
            else:
                found[at] = betting[at]
        return found

    def _exact(self, at: int, per: Literal["hit", "request"]) -> bool:
        """Whether all trials were drawn with one probability."""
        return bool(self.even[at] if per == "hit" else self.even[-1])

    def _betting(self, delta: float, per: Literal["hit", "request"], clean: bool) -> Floats:
        if self.even[-1]:
            return np.ones(len(GRID))
        shares = relative(self.weights)
        wrong = np.zeros(len(self)) if clean else self.wrong
        growth = _running(log_bets(wrong, shares, delta))
        wealth = growth[self.at]
        if per == "request":
            refused = _running(log_bets(np.zeros(len(self)), shares, delta))
            wealth = wealth + refused[-1] - refused[self.at]
        return p_of_wealth(wealth)

    def upper(self, at: int, per: Literal["hit", "request"], alpha: float) -> float:
        """The upper bound on the rate at one threshold, confidence 1 - alpha."""
        if self._exact(at, per):
            trials, wrong = self.counts(at, per)
            return binomial_upper(wrong, trials, alpha)
        accepted = int(self.at[at])
        outcomes = self.wrong.copy()
        outcomes[accepted:] = 0.0
        last = accepted if per == "hit" else len(self)
        shares = relative(self.weights)[:last]

        def p_value(rate: float) -> float:
            if rate >= 1.0:
                return 0.0
            return float(p_of_wealth(log_bets(outcomes[:last], shares, rate).sum(axis=0)))

        return smallest_rate(p_value, alpha)

    def rate(self, at: int, per: Literal["hit", "request"]) -> float:
        """The weighted share of wrong ones among the trials of a threshold; 0.0 without any."""
        accepted = int(self.at[at])
        risk = float((self.wrong[:accepted] * self.weights[:accepted]).sum())
        trials = self.weights[:accepted] if per == "hit" else self.weights
        return risk / max(1.0, float(trials.sum()))

    def mean(self, at: int) -> float:
        """Conformal risk control's estimate per request: one more label counts as wrong."""
        if not len(self):
            return 1.0
        accepted = int(self.at[at])
        largest = float(self.weights.max())
        risk = float((self.wrong[:accepted] * self.weights[:accepted]).sum())
        return (risk + largest) / (float(self.weights.sum()) + largest)


def _running(steps: Floats) -> Floats:
    """Sums of the first 0, 1, … n rows."""
    sums: Floats = np.concatenate([np.zeros((1, steps.shape[1])), np.cumsum(steps, axis=0)])
    return sums
