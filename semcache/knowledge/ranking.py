"""How well a passage fits a question: one number from what both kinds of search measured.

The number is a probability, fitted on questions over many documents (`benchmarks.cag.retrieval`):
that the passage answers the question. So a floor under it means something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from math import exp

from semcache.knowledge.lexical import Term

RELEVANCE_FLOOR = 0.15

_BEST_PER_WEIGHT = 2.2
"""BM25 gives a term at most k1 + 1 times its weight, however often a passage says it."""


@dataclass(frozen=True, slots=True)
class Features:
    """`cosine`: the encoder's, 0 without one; `unread`: 1 where it read question or passage not.

    `words`: 0..1, the BM25 as a share of what a passage full of the question's terms would have,
    terms that no passage has among them; `words_alone`: the same, where there is no cosine.
    """

    cosine: float
    unread: float
    words: float
    words_alone: float


def features(cosine: float | None, bm25: float, terms: Sequence[Term]) -> Features:
    """Of one passage for the question with these terms."""
    most = _BEST_PER_WEIGHT * sum(term.weight for term in terms)
    words = bm25 / most if most else 0.0
    unread = cosine is None
    return Features(
        cosine=cosine or 0.0,
        unread=float(unread),
        words=0.0 if unread else words,
        words_alone=words if unread else 0.0,
    )


_WEIGHTS = Features(cosine=8.0, unread=2.0, words=8.0, words_alone=10.0)
_BIAS = -5.0


def score(of: Features) -> float:
    """The probability, 0..1."""
    logit = _BIAS + sum(w * x for w, x in zip(astuple(_WEIGHTS), astuple(of), strict=True))
    return 1.0 / (1.0 + exp(-logit))
