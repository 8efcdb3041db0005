"""GPTCache's similarity scale, and ours. The one place where the two are converted.

For unit vectors the squared distance that GPTCache's FAISS store reports is d² = 2 − 2·cos. Its
SearchDistanceEvaluation scores a candidate with m − min(d², m), where m is `max_distance`, and its
adapter serves it where the score is at least `similarity_threshold` · m. Hence

    hit  ⇔  m − d² ≥ t·m  ⇔  cos ≥ 1 − m·(1 − t)/2        and with its m = 4:  cos ≥ 2t − 1

so its default 0.8 is a cosine of 0.60, 0.9 is 0.80 and 0.95 is 0.90.

With `positive: true` GPTCache takes what the store reports for a similarity and serves it where
min(s, m) ≥ t·m. Our measure of that kind is the cosine itself: cos ≥ t·m. At t = 0 GPTCache serves
every candidate, whatever the measure.
"""

from __future__ import annotations

import math

from semcache.errors import ConfigError

DEFAULT_SIMILARITY_THRESHOLD = 0.8
DEFAULT_MAX_DISTANCE = 4.0
_DIGITS = 12


def cosine_threshold(
    similarity_threshold: float,
    max_distance: float = DEFAULT_MAX_DISTANCE,
    positive: bool = False,
) -> float:
    """The least cosine (−1..1) that GPTCache serves at `similarity_threshold` (0..1).

    Rounded to twelve digits, so that 0.8 gives 0.6. Raises ConfigError where a number is out of
    range, or where no cosine could reach the threshold.
    """
    _require_distance(max_distance)
    if not 0.0 <= similarity_threshold <= 1.0:
        raise ConfigError("'similarity_threshold' must be a number between 0 and 1.")
    if similarity_threshold == 0.0:
        return -1.0
    if not positive:
        return round(max(-1.0, 1.0 - max_distance * (1.0 - similarity_threshold) / 2.0), _DIGITS)
    cosine = round(similarity_threshold * max_distance, _DIGITS)
    if cosine > 1.0:
        message = "With 'positive: true' no cosine reaches the threshold: set 'max_distance' to 1."
        raise ConfigError(message)
    return cosine


def gptcache_threshold(
    cosine: float, max_distance: float = DEFAULT_MAX_DISTANCE, positive: bool = False
) -> float:
    """The inverse: the `similarity_threshold` (0..1) at which GPTCache serves from `cosine` on.

    A cosine below what the scale can say (1 − m/2, or 0 with `positive`) gives 0: everything hits.
    """
    _require_distance(max_distance)
    if not -1.0 <= cosine <= 1.0:
        raise ConfigError("A cosine is a number between -1 and 1.")
    share = cosine / max_distance if positive else 1.0 - 2.0 * (1.0 - cosine) / max_distance
    return round(min(1.0, max(0.0, share)), _DIGITS)


def squared_distance(cosine: float) -> float:
    """d² (0..4) of two unit vectors with this cosine, as GPTCache's FAISS store reports it."""
    return max(0.0, 2.0 - 2.0 * cosine)


def _require_distance(max_distance: float) -> None:
    if not (math.isfinite(max_distance) and max_distance > 0.0):
        raise ConfigError("'max_distance' must be a number above 0.")
