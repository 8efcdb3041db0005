"""The threshold scale, against GPTCache's own evaluation, adapter and FAISS store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache.errors import ConfigError
from semcache.gptcache.loading import load_gptcache
from semcache.gptcache.threshold import cosine_threshold, gptcache_threshold, squared_distance
from semcache.interfaces import Vector
from semcache.store import LocalStore

DIM = 32
PAIRS = 300


@pytest.mark.parametrize(
    ("t", "cosine"), [(0.8, 0.6), (0.9, 0.8), (0.95, 0.9), (1.0, 1.0), (0, -1)]
)
def test_documented_points(t: float, cosine: float) -> None:
    assert cosine_threshold(t) == cosine
    assert gptcache_threshold(cosine) == t


@given(
    t=st.floats(0.001, 1.0),
    max_distance=st.floats(0.1, 8.0),
    cosine=st.floats(-1.0, 1.0),
)
def test_agrees_with_gptcaches_evaluation(t: float, max_distance: float, cosine: float) -> None:
    load_gptcache()
    from gptcache.similarity_evaluation import SearchDistanceEvaluation

    evaluation = SearchDistanceEvaluation(max_distance=max_distance)
    low, high = evaluation.range()
    score = evaluation.evaluation({}, {"search_result": (2.0 - 2.0 * cosine, 1)})
    margin = score - (high - low) * t
    if abs(margin) > 1e-9:
        assert (cosine >= cosine_threshold(t, max_distance)) == (margin > 0.0)


@given(t=st.floats(0.001, 1.0), max_distance=st.floats(0.1, 1.0), cosine=st.floats(-1.0, 1.0))
def test_a_positive_measure_is_the_cosine(t: float, max_distance: float, cosine: float) -> None:
    load_gptcache()
    from gptcache.similarity_evaluation import SearchDistanceEvaluation

    evaluation = SearchDistanceEvaluation(max_distance=max_distance, positive=True)
    margin = evaluation.evaluation({}, {"search_result": (cosine, 1)}) - max_distance * t
    if abs(margin) > 1e-9:
        limit = cosine_threshold(t, max_distance, positive=True)
        assert (cosine >= limit) == (margin > 0.0)


@given(t=st.floats(0.0, 1.0), max_distance=st.floats(0.1, 4.0))
def test_the_inverse_gives_back_the_threshold(t: float, max_distance: float) -> None:
    cosine = cosine_threshold(t, max_distance)
    if cosine > max(-1.0, 1.0 - max_distance / 2.0):
        assert gptcache_threshold(cosine, max_distance) == pytest.approx(t, abs=1e-10)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: cosine_threshold(1.1),
        lambda: cosine_threshold(float("nan")),
        lambda: cosine_threshold(0.8, max_distance=0.0),
        lambda: cosine_threshold(0.8, positive=True),
        lambda: gptcache_threshold(1.5),
        lambda: gptcache_threshold(0.5, max_distance=float("inf")),
    ],
)
def test_what_no_scale_can_say_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError):
        wrong()


def _pairs() -> tuple[list[Vector], list[Vector], list[float]]:
    """Stored and asked unit vectors, each asked one at a cosine of .55 to .65 to its own."""
    random = np.random.default_rng(20240)
    stored, asked, cosines = [], [], []
    for cosine in np.linspace(0.55, 0.65, PAIRS):
        own = random.normal(size=DIM)
        own /= np.linalg.norm(own)
        other = random.normal(size=DIM)
        other -= own * (own @ other)
        other /= np.linalg.norm(other)
        near = (cosine * own + np.sqrt(1.0 - cosine**2) * other).astype(np.float32)
        stored.append(own.astype(np.float32))
        asked.append(near)
        cosines.append(float(stored[-1] @ near))
    return stored, asked, cosines


def _gptcache_over(manager: Any, embed: Any) -> Any:
    from gptcache import Cache, Config
    from gptcache.processor.pre import get_prompt
    from gptcache.similarity_evaluation import SearchDistanceEvaluation

    cache = Cache()
    cache.init(
        pre_embedding_func=get_prompt,
        embedding_func=embed,
        data_manager=manager,
        similarity_evaluation=SearchDistanceEvaluation(),
        config=Config(similarity_threshold=0.8),
    )
    return cache


@pytest.mark.filterwarnings("ignore:The ``declarative_base")
def test_the_same_pairs_hit_as_in_gptcache(tmp_path: Path) -> None:
    load_gptcache()
    from gptcache.adapter.api import get, put
    from gptcache.manager import manager_factory

    from semcache.gptcache import StoreDataManager

    stored, asked, cosines = _pairs()
    vectors = {f"s{i}": v for i, v in enumerate(stored)} | {f"a{i}": v for i, v in enumerate(asked)}

    def embed(text: str, **_: Any) -> Vector:
        return vectors[text]

    theirs = manager_factory(
        "sqlite,faiss", data_dir=str(tmp_path / "theirs"), vector_params={"dimension": DIM}
    )
    hits: list[list[str | None]] = []
    store = LocalStore(tmp_path / "ours", dim=DIM, embedder="test")
    for manager in (theirs, StoreDataManager(store, embedder="test")):
        cache = _gptcache_over(manager, embed)
        questions = [f"s{i}" for i in range(PAIRS)]
        cache.import_data(questions, [f"answer {i}" for i in range(PAIRS)])
        hits.append([get(f"a{i}", cache_obj=cache) for i in range(PAIRS)])
        put("s0", "again", cache_obj=cache)
        manager.close()
    theirs.s._engine.dispose()

    assert hits[0] == hits[1]
    assert 50 < sum(hit is not None for hit in hits[0]) < PAIRS
    nearest = [float(np.max(np.stack(stored) @ vector)) for vector in asked]
    ours = [cosine >= cosine_threshold(0.8) for cosine in nearest]
    assert ours == [hit is not None for hit in hits[0]]
    assert min(abs(cosine - 0.6) for cosine in cosines) < 2e-4


def test_squared_distance_is_that_of_unit_vectors() -> None:
    stored, asked, cosines = _pairs()
    for own, near, cosine in zip(stored, asked, cosines, strict=True):
        distance = float(np.sum((own.astype(np.float64) - near) ** 2))
        assert squared_distance(cosine) == pytest.approx(distance, abs=1e-5)
    assert squared_distance(1.0000001) == 0.0
