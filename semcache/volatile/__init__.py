"""Which answers may not be kept as others are: those that change with time, and one person's own.

    changing_rules.py   rules: what changes with time, and what is only true at the moment
    personal_rules.py   rules: what is answered from one person's records
    probe.py            a linear probe on the question's vector, for what changes and no rule tells

Pure. The rules need only the text, and a text is judged once; the probe needs the vector, and
speaks only for the encoder that it was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from semcache.interfaces import Vector
from semcache.volatile.changing_rules import changing, momentary
from semcache.volatile.personal_rules import personal
from semcache.volatile.probe import Probe, packaged_probe

__all__ = ["LASTING", "Kind", "Probe", "Timeliness", "classify", "packaged_probe"]

Kind = Literal["lasting", "volatile", "momentary", "personal"]

_MAX_CHARS = 1_000  # of each end of a text: longer ones are beyond most encoders, and rules cost
_CACHED_CHARS = 1_000


@dataclass(frozen=True, slots=True)
class Timeliness:
    """How an answer keeps.

    `lasting`: as any other. `volatile`: it changes with time. `momentary`: it is wrong at the next
    asking. `personal`: it comes from one person's records, and those change. `p` is the probability
    that the answer changes with time, 0..1; a rule that spoke is sure. `reason` names what decided.
    """

    kind: Kind
    p: float
    reason: str


LASTING = Timeliness("lasting", 0.0, "no rule")


def classify(
    question: str,
    vector: Vector | None = None,
    probe: Probe | None = None,
    *,
    whose: bool = True,
) -> Timeliness:
    """Judge a question by its text and, where a probe for its encoder is given, by its vector.

    `vector` has shape (dim,) and unit length. Without `whose` nothing is called personal.
    """
    ruled = _cached(question, whose) if len(question) <= _CACHED_CHARS else _ruled(question, whose)
    if ruled.kind != "lasting" or vector is None or probe is None:
        return ruled
    p = probe.probability(vector)
    if p >= probe.threshold:
        return Timeliness("volatile", p, "probe")
    return Timeliness("lasting", p, "probe")


def _ruled(question: str, whose: bool) -> Timeliness:
    if len(question) > 2 * _MAX_CHARS:
        question = f"{question[:_MAX_CHARS]}\n{question[-_MAX_CHARS:]}"
    reason = personal(question) if whose else None
    if reason is not None:
        return Timeliness("personal", 1.0, reason)
    reason = momentary(question)
    if reason is not None:
        return Timeliness("momentary", 1.0, reason)
    reason = changing(question)
    return LASTING if reason is None else Timeliness("volatile", 1.0, reason)


_cached = lru_cache(maxsize=8192)(_ruled)
