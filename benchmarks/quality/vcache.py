"""vCache (Schroeder et al., arXiv 2502.03771), written from the paper's formulas.

Each stored question has observations (similarity, right) of the requests that it was nearest to,
and a logistic curve p(s) = 1 / (1 + exp(-g (s - t))) fitted to them. To keep the wrong answers of
all requests below delta, the engine must be asked ("explore") with probability at least

    tau = min over e in (0, 1) of  1 - delta / (1 - (1 - e) p(s; t'(e), g)),

where t'(e) is the upper 1 - e confidence bound of t (delta method). A right answer on exploring is
an observation; a wrong one stores the question as well. As in the published experiments each
curve starts with the observations (0, wrong) and (1, right), is trusted from six observations on,
and takes the variance of t from a table where the observations are separable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from benchmarks.quality.stream import Near

LEAST = 6
SEEDED = ((0.0, False), (1.0, True))
LEVELS = np.linspace(1e-6, 1 - 1e-6, 50)
# Variance of t for separable observations, by their number; linear in between.
SEPARABLE = ((6, 0.0354), (10, 0.0194), (20, 0.0131), (30, 0.0080), (47, 0.021), (48, 0.0151))

Observation = tuple[float, bool]


@dataclass(frozen=True, slots=True)
class Curve:
    """The fitted threshold t, its slope g, and the variance of t."""

    t: float
    g: float
    variance: float


def fit(observations: Sequence[Observation]) -> Curve:
    """Maximum likelihood. The observations must hold both outcomes."""
    similarity = np.array([s for s, _ in observations])
    right = np.array([ok for _, ok in observations])
    design = np.column_stack([np.ones_like(similarity), similarity])
    model = LogisticRegression(C=math.inf, fit_intercept=False, tol=1e-8, max_iter=1000)
    offset, slope = (float(b) for b in model.fit(design, right).coef_[0])
    g = max(slope, 1e-6)
    t = min(1.0, max(0.0, -offset / g))
    if similarity[right].min() > similarity[~right].max():
        numbers, variances = zip(*SEPARABLE, strict=True)
        return Curve(t, g, float(np.interp(len(observations), numbers, variances)))
    return Curve(t, g, variance_of_t(design, offset, g))


def variance_of_t(design: NDArray[np.float64], offset: float, g: float) -> float:
    """Delta method: t = -offset / g, with the inverse Fisher information of (offset, g)."""
    chance = expit(design @ np.array([offset, g]))
    information = (design * (chance * (1 - chance))[:, None]).T @ design
    gradient = np.array([-1 / g, offset / g**2])
    return float(gradient @ np.linalg.pinv(information) @ gradient)


def explore(curve: Curve, similarity: float, delta: float) -> float:
    """tau: the least probability (0..1) of asking the engine that keeps the bound."""
    spread = norm.ppf(1 - LEVELS) * math.sqrt(max(0.0, curve.variance))
    shifted = np.clip(curve.t + spread, 0.0, 1.0)
    chance = (1 - LEVELS) * expit(curve.g * (similarity - shifted))
    return float(max(0.0, (1 - delta / (1 - chance)).min()))


@dataclass(slots=True)
class VCache:
    """One curve for each stored question, as published."""

    delta: float
    random: np.random.Generator
    seen: dict[int, list[Observation]] = field(default_factory=dict)
    curves: dict[int, Curve] = field(default_factory=dict)

    def serve(self, near: Near) -> bool:
        """Serve ("exploit") with probability 1 - tau."""
        key = int(near.keys[0])
        observations = self.seen.get(key, ())
        if len(observations) + len(SEEDED) < LEAST:
            return False
        if key not in self.curves:
            self.curves[key] = fit([*SEEDED, *observations])
        tau = explore(self.curves[key], float(near.similarities[0]), self.delta)
        return bool(self.random.random() > tau)

    def audit(self, near: Near) -> bool:
        """Never: what is exploited is not checked."""
        return False

    def learn(self, near: Near, served: bool, right: bool) -> bool:
        """An observation of the nearest question; a wrong answer stores this one too."""
        key = int(near.keys[0])
        # Similarities enter the fit with three digits, as published.
        self.seen.setdefault(key, []).append((round(float(near.similarities[0]), 3), right))
        self.curves.pop(key, None)
        return not right
