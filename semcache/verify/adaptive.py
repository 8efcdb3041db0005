"""A score that a deployment's own labels teach: what "the same answer" means differs between them.

To a help desk two wordings of one intent share an answer; to a reference work no two drugs do. A
logistic curve over six numbers of a candidate: its cosine, how far the nearest neighbour with
another answer is behind, the share of its eight nearest neighbours that have its answer, the
verifier's log odds, whether the verifier refused outright, and whether a guard did. Until it is
fitted, the score is the verifier's own probability.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semcache.entry import Candidate
from semcache.judging import answer_of

Floats = NDArray[np.float64]

COSINE, PROBABILITY, MARGIN, SHARE = "cosine", "probability", "around_margin", "around_share"
GUARD, VETOED = "guard:", "vetoed"

VOTERS = 8
RIDGE = 1.0
_LEAST_OF_EACH = 10
_STEPS = 50
_FEWEST_ODDS = 1e-3


@dataclass(frozen=True, slots=True)
class Scorer:
    """Features to the probability of a right answer, 0..1. Without coefficients: the verifier's.

    A candidate that was vetoed, or refused by a guard that is not in `relaxed`, scores 0.
    """

    coefficients: tuple[float, ...] | None = None
    relaxed: frozenset[str] = frozenset()

    def score(self, features: Mapping[str, float]) -> float:
        """The score of one candidate."""
        if self.refuses(features):
            return 0.0
        if self.coefficients is None:
            return float(features.get(PROBABILITY, 0.0))
        logit = sum(map(_times, self.coefficients, inputs(features)))
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, logit))))

    def refuses(self, features: Mapping[str, float]) -> bool:
        """Whether no score could help."""
        guard = guard_of(features)
        return VETOED in features or (guard is not None and guard not in self.relaxed)


def guard_of(features: Mapping[str, float]) -> str | None:
    """The guard that refused this candidate, if one did."""
    return next((name[len(GUARD) :] for name in features if name.startswith(GUARD)), None)


def neighbourhood(candidate: Candidate, around: Sequence[Candidate]) -> tuple[float, float]:
    """How far the nearest neighbour with another answer is behind, and this answer's share.

    Cosines, so the first lies in -2..2; where no other answer is near, the farthest neighbour
    stands in. The share is of the VOTERS nearest. Of no neighbours: 0 and a half.
    """
    if not around:
        return 0.0, 0.5
    own = answer_of(candidate)
    same = [answer_of(other) == own for other in around]
    rival = next(
        (other.similarity for other, alike in zip(around, same, strict=True) if not alike),
        around[-1].similarity,
    )
    nearest = same[:VOTERS]
    return candidate.similarity - rival, sum(nearest) / len(nearest)


def inputs(features: Mapping[str, float]) -> list[float]:
    """What the curve is over: a one, the numbers at about -1..1, and squares of the first four."""
    probability = features.get(PROBABILITY, 0.0)
    inside = min(1.0 - _FEWEST_ODDS, max(_FEWEST_ODDS, probability))
    graded = [
        5.0 * (features.get(COSINE, 0.0) - 0.75),
        5.0 * features.get(MARGIN, 0.0),
        2.0 * features.get(SHARE, 0.5) - 1.0,
        math.log(inside / (1.0 - inside)) / 4.0,
    ]
    refused = float(probability <= 0.0)
    guarded = float(guard_of(features) is not None)
    return [1.0, *graded, refused, guarded, *(value * value for value in graded)]


def fit(
    rows: Sequence[Mapping[str, float]],
    right: Sequence[bool],
    relaxed: frozenset[str] = frozenset(),
) -> Scorer | None:
    """The curve that makes these labels likeliest; None where they are too few of a kind.

    Candidates that were vetoed, or refused by a guard outside `relaxed`, say nothing of others.
    """
    plain = Scorer(relaxed=relaxed)
    used = [at for at, row in enumerate(rows) if not plain.refuses(row)]
    outcomes = np.array([right[at] for at in used], dtype=np.float64)
    if min(outcomes.sum(), len(used) - outcomes.sum()) < _LEAST_OF_EACH:
        return None
    design = np.array([inputs(rows[at]) for at in used], dtype=np.float64)
    return Scorer(tuple(_newton(design, outcomes).tolist()), relaxed)


def _newton(design: Floats, right: Floats) -> Floats:
    """Logistic coefficients by damped Newton steps, held towards 0 by RIDGE."""

    def loss(at: Floats) -> float:
        logits = design @ at
        misfit = (np.logaddexp(0.0, logits) - right * logits).sum()
        return float(misfit + RIDGE / 2 * at @ at)

    found = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ found, -30.0, 30.0)))
        slope = design.T @ (chance - right) + RIDGE * found
        bend = (design * (chance * (1.0 - chance))[:, None]).T @ design
        step = np.linalg.solve(bend + RIDGE * np.eye(len(slope)), slope)
        before = loss(found)
        while loss(found - step) > before and np.abs(step).max() > 1e-9:
            step = step / 2
        found = found - step
        if np.abs(step).max() < 1e-6:
            break
    return found


def _times(a: float, b: float) -> float:
    return a * b
