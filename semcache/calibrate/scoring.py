"""What the installation would make of each pair: gate, guards, cosine, verifier.

A pair is judged by itself: other answers stored nearby, which a verifier holds against a candidate,
are not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from semcache import guards, policy
from semcache.calibrate.records import Record
from semcache.chat import text_request
from semcache.completion import text_completion_of
from semcache.interfaces import Asked, Candidate, Embedder, Encoded, Entry, Verifier
from semcache.keys import request_key
from semcache.policy import PolicySettings

BATCH = 32
COSINE, VERIFIER, LOG = "cosine", "verifier", "log"
Scores = dict[str, list[float]]


def score_all(
    records: Sequence[Record],
    settings: PolicySettings,
    embedder: Embedder,
    verifier: Verifier | None,
    progress: Callable[[int], None] = lambda done: None,
) -> Scores:
    """Scores (0..1) by name, one for each record; 0 for what gate or guards refuse."""
    texts = sorted({text for one in records for text in (one.asked, one.stored)}, key=len)
    encoded = _encode(texts, embedder, progress)
    scores: Scores = {COSINE: []} if verifier is None else {COSINE: [], VERIFIER: []}
    for record in records:
        cosine, probability = _score(record, settings, encoded, embedder, verifier)
        scores[COSINE].append(cosine)
        if verifier is not None:
            scores[VERIFIER].append(probability)
    return scores


def _encode(
    texts: Sequence[str], embedder: Embedder, progress: Callable[[int], None]
) -> Mapping[str, Encoded]:
    known: dict[str, Encoded] = {}
    for begin in range(0, len(texts), BATCH):
        part = texts[begin : begin + BATCH]
        known.update(zip(part, embedder.encode(part), strict=True))
        progress(len(known))
    return known


def _score(
    record: Record,
    settings: PolicySettings,
    encoded: Mapping[str, Encoded],
    embedder: Embedder,
    verifier: Verifier | None,
) -> tuple[float, float]:
    asked, stored = encoded[record.asked], encoded[record.stored]
    if any(policy.matchable(one, settings) is not None for one in (asked, stored)):
        return 0.0, 0.0
    if asked.vector is None or stored.vector is None:
        return 0.0, 0.0
    cosine = min(1.0, float(asked.vector @ stored.vector))
    if cosine < settings.threshold or cosine <= 0:
        return 0.0, 0.0
    if guards.refusal(settings.guards, record.asked, record.stored) is not None:
        return 0.0, 0.0
    if verifier is None:
        return cosine, 0.0
    candidate = _candidate(record.stored, stored, embedder.fingerprint, cosine)
    question = Asked(record.asked, asked.vector, asked.sketch)
    verdict = verifier.judge(question, [candidate], [candidate])[0]
    return cosine, min(1.0, max(0.0, verdict.score))


def _candidate(question: str, encoded: Encoded, embedder: str, cosine: float) -> Candidate:
    """The stored question as a verifier sees it."""
    key = request_key(text_request(question, tenant="calibration", model="calibration"))
    answer = text_completion_of(question, id="chatcmpl-0", created=0, model="calibration")
    entry = Entry(key.exact, key.scope, question, answer, created_at=0.0, embedder=embedder)
    return Candidate(entry, cosine, encoded.sketch)


def logged(records: Iterable[Record]) -> Scores:
    """The scores that a log's records came with."""
    return {LOG: [record.score or 0.0 for record in records]}
