"""Questions, candidates and judgements for the verifier's tests, with the packaged encoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from semcache.completion import text_completion_of
from semcache.embedding import SentenceEncoder
from semcache.interfaces import Asked, Candidate, Entry, Verdict
from semcache.keys import Scope, Source
from semcache.verify.verifier import PairVerifier

SCOPE = Scope("tenant", "model", Source("upstream", "model", ""), "context", "params")


@cache
def encoder() -> SentenceEncoder:
    return SentenceEncoder.open(sketches=True)


@cache
def verifier() -> PairVerifier:
    return PairVerifier.open()


@cache
def asked(question: str) -> Asked:
    encoded = encoder().encode([question])[0]
    assert encoded.vector is not None
    return Asked(question, encoded.vector, encoded.sketch)


def candidate(
    question: str,
    of: Asked,
    answer: str = "",
    sketched: bool = True,
    embedder: str | None = None,
) -> Candidate:
    other = asked(question)
    entry = Entry(
        key=question,
        scope=SCOPE,
        question=question,
        completion=text_completion_of(answer or question, id="c", created=1, model="m"),
        created_at=0.0,
        embedder=embedder or encoder().fingerprint,
    )
    return Candidate(entry, float(of.vector @ other.vector), other.sketch if sketched else None)


def judged(question: str, stored: Sequence[str]) -> list[Verdict]:
    of = asked(question)
    return list(verifier().judge(of, [candidate(one, of) for one in stored]))
