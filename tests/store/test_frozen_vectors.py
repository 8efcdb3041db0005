"""Vectors that never change: the nearest exactly where few, and nearly all of them where many."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from semcache.store.frozen_vectors import CODED_FROM, FrozenVectors


def unit(count: int, dim: int, seed: int = 0) -> NDArray[np.float32]:
    centres = np.random.default_rng(9).standard_normal((50, dim))
    rng = np.random.default_rng(seed)
    rows = centres[rng.integers(50, size=count)] + 0.7 * rng.standard_normal((count, dim))
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(
        np.float32
    )
    return unit


@pytest.mark.parametrize(("count", "dim"), [(0, 384), (1, 384), (500, 64), (CODED_FROM + 900, 384)])
def test_the_nearest_and_their_cosines(count: int, dim: int) -> None:
    vectors = unit(count, dim)
    frozen = FrozenVectors(vectors)
    assert len(frozen) == count
    found = wanted = 0
    for query in unit(40, dim, seed=1):
        exact = vectors @ query
        positions, cosines = frozen.nearest(query, 10)
        assert len(positions) == min(10, count)
        assert np.allclose(cosines, exact[positions], atol=2e-3)
        assert (np.diff(cosines) <= 0).all()
        best = set(np.argsort(-exact)[:10].tolist())
        found += len(best & set(positions.tolist()))
        wanted += len(best)
    assert found >= 0.97 * wanted


def test_cosines_of_chosen_positions() -> None:
    vectors = unit(300, 32)
    positions = np.array([7, 0, 299], dtype=np.int64)
    cosines = FrozenVectors(vectors).cosines(vectors[7], positions)
    assert np.allclose(cosines, vectors[positions] @ vectors[7], atol=2e-3)
    assert cosines[0] == pytest.approx(1.0, abs=2e-3)
