"""The vector of the question in hand, for whoever needs it again on the way to its answer.

A lookup has encoded the question; to find passages for it, it would be encoded once more. What is
known is handed on in the request's own context (`contextvars`), so that nothing of one request can
be found, or timed, by another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from semcache.interfaces import Encoded

_KNOWN: ContextVar[tuple[str, str, Encoded] | None] = ContextVar("question vector", default=None)


@contextmanager
def known(question: str | None, encoder: str | None, encoded: Encoded | None) -> Iterator[None]:
    """Hand on what the encoder with this fingerprint said of the question, if it did."""
    if question is None or encoder is None or encoded is None:
        yield
        return
    token = _KNOWN.set((question.strip(), encoder, encoded))
    try:
        yield
    finally:
        _KNOWN.reset(token)


def known_of(text: str, encoder: str) -> Encoded | None:
    """What that encoder has said of this text for the same request, or None."""
    found = _KNOWN.get()
    return found[2] if found is not None and found[:2] == (text.strip(), encoder) else None
