"""Vectors that never change, and the nearest of them: a matrix, and codes where it is large.

Half precision holds a unit vector's components to three digits, and a cosine to four.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semcache.interfaces import Vector
from semcache.store.codes import ScanCodes

CODED_FROM = 2_048
_RERANKED = 256
_RERANKED_PER_RESULT = 8


class FrozenVectors:
    """Unit vectors by position 0 … len-1. Any number of threads may search."""

    def __init__(self, vectors: NDArray[np.floating]) -> None:
        """From an array of shape (n, dim)."""
        self._vectors: NDArray[np.float16] = vectors.astype(np.float16, copy=False)
        coded = len(vectors) >= CODED_FROM
        self._codes = ScanCodes.of(vectors.astype(np.float32)) if coded else None

    def __len__(self) -> int:
        return len(self._vectors)

    def nearest(self, query: Vector, k: int) -> tuple[NDArray[np.int64], Vector]:
        """Positions and cosines of the k nearest to a unit vector, nearest first."""
        if self._codes is None:
            positions: NDArray[np.int64] = np.arange(len(self._vectors))
        else:
            wanted = max(_RERANKED, _RERANKED_PER_RESULT * k)
            positions = self._codes.nearest(query, wanted)
        cosines = self.cosines(query, positions)
        best = np.argsort(-cosines, kind="stable")[:k]
        return positions[best], cosines[best]

    def cosines(self, query: Vector, positions: NDArray[np.int64]) -> Vector:
        """Of the vectors at these positions."""
        found: Vector = self._vectors[positions].astype(np.float32) @ query
        return np.clip(found, -1.0, 1.0)
