"""Passages as vectors, by the cache's own encoder."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from semcache.interfaces import Embedder, Vector

MAX_UNKNOWN_SHARE = 0.2
"""Of a text's tokens; above it the encoder does not read this language, and says nothing of it."""

_MOST_HALVINGS = 6


def vectors_of(texts: Sequence[str], embedder: Embedder, threads: int = 1) -> list[Vector | None]:
    """Unit vectors, or None where the encoder cannot read a text. Raises EmbeddingError.

    A text beyond the encoder's window has the mean of its halves' vectors: passages are measured
    by the tokens of the model that answers, and the encoder's are others.
    """
    if threads == 1 or len(texts) < 2 * threads:
        return _vectors_of(texts, embedder, _MOST_HALVINGS)
    with ThreadPoolExecutor(threads) as pool:
        shares = [texts[at::threads] for at in range(threads)]
        made = list(pool.map(lambda some: _vectors_of(some, embedder, _MOST_HALVINGS), shares))
    return [made[at % threads][at // threads] for at in range(len(texts))]


def _vectors_of(texts: Sequence[str], embedder: Embedder, halvings: int) -> list[Vector | None]:
    vectors: list[Vector | None] = []
    for text, encoded in zip(texts, embedder.encode(texts), strict=True):
        if encoded.unknown_share > MAX_UNKNOWN_SHARE:
            vectors.append(None)
        elif encoded.truncated and halvings:
            vectors.append(_mean(_vectors_of(_halves(text), embedder, halvings - 1)))
        else:
            vectors.append(encoded.vector)
    return vectors


def _halves(text: str) -> list[str]:
    """Cut at the white space nearest to the middle, if there is some."""
    middle = len(text) // 2
    before = max(text.rfind(" ", 0, middle), text.rfind("\n", 0, middle))
    cut = before if before > len(text) // 4 else middle
    return [text[:cut], text[cut:]]


def _mean(vectors: Sequence[Vector | None]) -> Vector | None:
    known = [vector for vector in vectors if vector is not None]
    if not known:
        return None
    total = np.sum(known, axis=0)
    length = float(np.linalg.norm(total))
    return (total / length).astype(np.float32) if length else None
