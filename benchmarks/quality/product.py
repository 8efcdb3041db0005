"""The library's own certification (`semcache.verify.certify`), as the stream asks for it."""

from __future__ import annotations

import math

from benchmarks.quality.rates import Floats
from semcache.verify.certify import Label, Terms, certify


def library_threshold(
    scores: Floats, wrong: Floats, weights: Floats, delta: float, alpha: float, requests: int | None
) -> float:
    """As `certified.certified_threshold`, but proven for weighted labels too.

    Labels come in order of time, which is all that their times say.
    """
    labels = [
        Label(float(score), bool(bad), float(weight), at=float(at))
        for at, (score, bad, weight) in enumerate(zip(scores, wrong, weights, strict=True))
    ]
    terms = Terms(delta, 1 - alpha, "hit" if requests is None else "request")
    found = certify(labels, terms, now=float(len(labels))).of()
    return math.inf if found is None else found
