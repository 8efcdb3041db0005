"""How well a passage fits a question: one number from what both kinds of search measured.

The number is a probability, fitted on questions over many documents (`benchmarks.cag.retrieval`):
that the passage answers the question. So a floor under it means something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log1p

from semcache.knowledge.lexical import Term

RELEVANCE_FLOOR = 0.15


@dataclass(frozen=True, slots=True)
class Evidence:
    """`cosine`: the encoder's, or None. `bm25`: of the words, 0 beyond the best of them.

    `words`: the terms of the passage.
    """

    cosine: float | None
    bm25: float
    words: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Features:
    """Each 0..1, but for the cosine's sign.

    `coverage`: the share of the question's terms, by idf, that the passage has; `rarest`: whether
    it has the rarest; `bm25`: the share of what a perfect passage would score.
    """

    has_cosine: float
    cosine: float
    coverage: float
    rarest: float
    bm25: float


def features(terms: Sequence[Term], evidence: Evidence, passages: int) -> Features:
    """Of one passage; `passages` is how many there are."""
    weights = {(t.field, t.text): t.weight or log1p((passages + 0.5) / 0.5) for t in terms}
    total = sum(weights.values()) or 1.0
    found = sum(weight for term, weight in weights.items() if term in evidence.words)
    rarest = max(weights, key=weights.__getitem__, default=None)
    return Features(
        has_cosine=float(evidence.cosine is not None),
        cosine=evidence.cosine or 0.0,
        coverage=found / total,
        rarest=float(rarest in evidence.words),
        bm25=min(1.0, evidence.bm25 / (2.2 * total)),
    )


_WEIGHTS = Features(has_cosine=-4.0, cosine=8.0, coverage=4.0, rarest=1.0, bm25=2.0)
_BIAS = -3.0


def score(of: Features) -> float:
    """The probability, 0..1."""
    names = ("has_cosine", "cosine", "coverage", "rarest", "bm25")
    logit = _BIAS + sum(getattr(_WEIGHTS, name) * getattr(of, name) for name in names)
    return 1.0 / (1.0 + exp(-logit))
