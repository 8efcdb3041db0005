"""Ours: a pooled score, learnt from what the engine answers anyway, and a certified threshold.

The score is the probability that the nearest answer is right, a logistic curve over three numbers
and their squares: the best cosine, the margin to the nearest key of a *different* answer, and the
share of the eight nearest keys that lead to the same answer. A question that missed and one whose
hit was audited become keys of their answer, so popular answers gather keys.

Labels: every miss (the engine answers, so it is known whether the nearest answer was right) with
weight 1, and audited hits with weight 1 / audit share. Every `EVERY` requests the curve is fitted
anew, scores are cross-fitted, and the threshold is certified by Learn-then-Test's fixed sequence
(Angelopoulos et al., arXiv 2110.01052): from strict to loose, stop at the first one whose bound
fails. With weights the number of labels is Kish's effective one, hence an approximation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from benchmarks.quality.rates import Floats, clopper_pearson_upper
from benchmarks.quality.stream import Near

EVERY = 100
VOTERS = 8
STEPS = 40
FEWEST = 20
RIDGE = 1e-2

Per = Literal["request", "hit"]
# scores, wrong, weights, delta, alpha, requests (None: per hit) -> threshold
ThresholdOf = Callable[[Floats, Floats, Floats, float, float, int | None], float]


def score_inputs(near: Near) -> Floats:
    """Best cosine, margin to another answer, vote, each about -1..1; a one and their squares, (7,).

    Where no other answer is among the nearest, the farthest of them stands in.
    """
    best = float(near.similarities[0])
    same = near.answers == near.answers[0]
    others = near.similarities[~same]
    rival = float(others[0] if len(others) else near.similarities[-1])
    vote = float(same[:VOTERS].sum()) / VOTERS
    basic = np.array([5 * (best - 0.75), 5 * (best - rival), 2 * vote - 1])
    return np.concatenate([[1.0], basic, basic**2])


def fit_logistic(inputs: Floats, right: Floats, weights: Floats, ridge: float = RIDGE) -> Floats:
    """Weighted logistic coefficients by damped Newton steps, held towards 0 by `ridge`."""

    def loss(at: Floats) -> float:
        logits = inputs @ at
        return float(weights @ (np.logaddexp(0, logits) - right * logits) + ridge / 2 * at @ at)

    coefficients = np.zeros(inputs.shape[1])
    for _ in range(50):
        chance = expit(inputs @ coefficients)
        slope = inputs.T @ (weights * (chance - right)) + ridge * coefficients
        curvature = (inputs * (weights * chance * (1 - chance))[:, None]).T @ inputs
        step = np.linalg.solve(curvature + ridge * np.eye(len(slope)), slope)
        if np.abs(step).max() < 1e-6:
            break
        while loss(coefficients - step) > loss(coefficients) and np.abs(step).max() > 1e-9:
            step = step / 2
        coefficients = coefficients - step
    return coefficients


def cross_scores(inputs: Floats, right: Floats, weights: Floats) -> Floats:
    """Each label's score by the curve that was fitted to the other half of the labels."""
    scores = np.empty(len(right))
    even = np.arange(len(right)) % 2 == 0
    for part in (even, ~even):
        rest = ~part
        scores[part] = expit(inputs[part] @ fit_logistic(inputs[rest], right[rest], weights[rest]))
    return scores


def certified_threshold(
    scores: Floats, wrong: Floats, weights: Floats, delta: float, alpha: float, requests: int | None
) -> float:
    """The loosest score from which serving keeps the bound; infinity where there is none.

    `requests`: how many the labels stand for, for a bound on wrong answers per request; None for
    one per hit.
    """
    order = np.argsort(-scores)
    total = np.cumsum(weights[order])
    effective = total**2 / np.cumsum(weights[order] ** 2)
    rate = np.cumsum((weights * wrong)[order]) / total
    threshold = math.inf
    if len(scores) < FEWEST:
        return threshold
    for last in np.unique(np.geomspace(FEWEST, len(scores), STEPS).astype(int)) - 1:
        labels = float(effective[last])
        bound = clopper_pearson_upper(float(rate[last]) * labels, labels, alpha)
        if requests is not None:
            bound *= float(total[last]) / requests
        if bound <= delta:
            threshold = float(scores[order][last])
        elif threshold < math.inf:
            break
    return threshold


@dataclass(slots=True)
class Certified:
    """Serves from the certified score on; `audits` is the share of hits that is checked."""

    delta: float
    per: Per
    random: np.random.Generator
    audits: float = 0.05
    alpha: float = 0.1
    threshold_of: ThresholdOf = certified_threshold
    threshold: float = math.inf
    requests: int = 0
    coefficients: NDArray[np.float64] | None = None
    labels: list[tuple[Floats, bool, float]] = field(default_factory=list)

    def serve(self, near: Near) -> bool:
        """Whether the score reaches the certified threshold; the same text always does."""
        self.requests += 1
        if self.requests % EVERY == 0:
            self.certify()
        if near.same_text:
            return True
        if self.coefficients is None:
            return False
        return float(expit(score_inputs(near) @ self.coefficients)) >= self.threshold

    def audit(self, near: Near) -> bool:
        """A coin of `audits`."""
        return bool(self.random.random() < self.audits)

    def learn(self, near: Near, served: bool, right: bool) -> bool:
        """A label; the question becomes a key of the answer that the engine gave."""
        if not near.same_text:
            self.labels.append((score_inputs(near), right, 1 / self.audits if served else 1.0))
        return not near.same_text

    def certify(self) -> None:
        """Fit the curve and find the threshold again."""
        inputs = np.array([one for one, _, _ in self.labels])
        right = np.array([float(ok) for _, ok, _ in self.labels])
        weights = np.array([weight for _, _, weight in self.labels])
        if len(right) < 2 * FEWEST or len(np.unique(right)) < 2:
            return
        self.coefficients = fit_logistic(inputs, right, weights)
        self.threshold = self.threshold_of(
            cross_scores(inputs, right, weights),
            1 - right,
            weights,
            self.delta,
            self.alpha,
            self.requests if self.per == "request" else None,
        )
