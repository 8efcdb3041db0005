"""An alarm that may be looked at after every label: has the wrong rate risen above the bound?

Betting on served and checked hits: E_t = prod(1 + stake * share * (wrong - delta)) (Ville, 1939;
Waudby-Smith and Ramdas, arXiv 2010.09686). While the rate keeps the bound, the chance that the
alarm ever sounds is at most alpha. Stakes and starting times are mixed, so that a rise after a long
good time is seen as well: the k-th start, `EVERY` labels after the one before, has weight
1 / (k (k + 1)).
"""

from __future__ import annotations

import math

import numpy as np

from semcache.verify.bounds import PRIOR, STAKES

EVERY = 50
STARTS = 200


class Drift:
    """Wealths of all stakes and starts. Not safe for threads: its owner holds a lock."""

    def __init__(self, delta: float, alpha: float, largest_weight: float = 1.0) -> None:
        self._delta = delta
        self._alpha = alpha
        self._largest = largest_weight
        self._logs = np.zeros((0, len(STAKES)))
        self._seen = 0
        self._sounded = False

    def add(self, wrong: bool, weight: float = 1.0) -> bool:
        """One checked hit; True from the moment on that the bound cannot be believed any more.

        Raises ValueError for a weight above the largest one, which would break the promise.
        """
        if not 1.0 <= weight <= self._largest:
            raise ValueError("a weight lies between 1 and the largest that was agreed")
        if self._seen % EVERY == 0 and len(self._logs) < STARTS:
            self._logs = np.vstack([self._logs, np.zeros((1, len(STAKES)))])
        self._seen += 1
        # A stake of 1 / delta would lose all on one right answer; half of it stays in the game.
        stakes = STAKES * min(0.5 / self._delta, 20.0)
        gain = (float(wrong) - self._delta) * weight / self._largest
        self._logs += np.log1p(stakes * gain)[None, :]
        self._sounded = self._sounded or self.log_wealth >= -math.log(self._alpha)
        return self._sounded

    @property
    def log_wealth(self) -> float:
        """The log of the mixture; starts that are still to come keep their share of 1."""
        count = len(self._logs)
        order = np.arange(1, count + 1)
        shares = (1.0 / (order * (order + 1)))[:, None] * PRIOR[None, :]
        top = max(0.0, float(self._logs.max(initial=0.0)))
        ahead = math.exp(-top) / (count + 1)
        return math.log(float((shares * np.exp(self._logs - top)).sum()) + ahead) + top
