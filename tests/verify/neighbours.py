"""Candidates by question, answer and cosine, for tests that need no encoder."""

from __future__ import annotations

from semcache.completion import text_completion_of
from semcache.interfaces import Candidate, Entry
from semcache.keys import Scope, Source

SCOPE = Scope("tenant", "model", Source("upstream", "model", ""), "context", "params")


def candidate(question: str, answer: str, similarity: float, id_: int = 1) -> Candidate:
    """A stored question with its answer."""
    completion = text_completion_of(answer, id="c", created=1, model="m")
    return Candidate(Entry(question, SCOPE, question, completion, 0.0, id=id_), similarity)
