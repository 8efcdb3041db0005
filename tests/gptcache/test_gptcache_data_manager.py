"""StoreDataManager under GPTCache's own Cache, adapter and evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gptcache import Config
from gptcache.adapter.api import get, put
from gptcache.manager.scalar_data.base import Answer, CacheData, DataType, Question
from gptcache.processor.post import nop
from gptcache.similarity_evaluation import NumpyNormEvaluation

from semcache.errors import EmbeddingError, RequestError, StoreError
from semcache.gptcache import StoreDataManager
from semcache.store import LocalStore
from tests.gptcache.memory_store import MemoryStore
from tests.gptcache.plane import DIM, OpenStore, cache_over, embed, only


def test_put_and_get_by_meaning(manager: StoreDataManager) -> None:
    cache = cache_over(manager)
    put("sea", "salt", cache_obj=cache)
    assert get("sea", cache_obj=cache) == "salt"
    assert get("ocean", cache_obj=cache) == "salt"
    assert get("moon", cache_obj=cache) is None


def test_a_miss_on_nothing(manager: StoreDataManager) -> None:
    assert get("sea", cache_obj=cache_over(manager)) is None
    assert manager.search(embed("sea")) == []


def test_a_second_put_replaces_the_answer(manager: StoreDataManager) -> None:
    cache = cache_over(manager)
    put("sea", "salt", cache_obj=cache)
    put("sea", "deep", cache_obj=cache)
    assert get("sea", cache_obj=cache) == "deep"
    assert manager.store.stats().entries == 1


def test_distances_are_squared_and_nearest_first(manager: StoreDataManager) -> None:
    cache = cache_over(manager)
    cache.import_data(["moon", "sea", "lake"], ["a", "b", "c"])
    found = manager.search(embed("ocean"), top_k=3)
    expected = [2.0 - 2.0 * np.cos(np.radians(angle)) for angle in (20, 30, 70)]
    assert [distance for distance, _ in found] == pytest.approx(expected, abs=1e-5)
    assert [manager.get_scalar_data(hit).question for hit in found] == ["sea", "lake", "moon"]
    assert len(manager.search(embed("ocean"))) == 1
    assert len(manager.search(embed("ocean"), top_k=-1)) == 1
    assert len(manager.search(embed("ocean"), top_k=2)) == 2


def test_top_k_gives_all_answers_to_the_post_function(manager: StoreDataManager) -> None:
    cache = cache_over(
        manager, config=Config(similarity_threshold=0), post_process_messages_func=nop
    )
    cache.import_data(["moon", "sea", "lake"], ["a", "b", "c"])
    assert get("sea", cache_obj=cache, top_k=3) == ["b", "c", "a"]


def test_an_evaluation_that_needs_the_stored_embedding(manager: StoreDataManager) -> None:
    cache = cache_over(
        manager, NumpyNormEvaluation(enable_normal=True), config=Config(data_check=True)
    )
    put("sea", "salt", cache_obj=cache)
    assert get("ocean", cache_obj=cache) == "salt"
    assert get("moon", cache_obj=cache) is None


def test_the_hit_callback_gets_the_question(manager: StoreDataManager) -> None:
    cache = cache_over(manager)
    put("sea", "salt", cache_obj=cache)
    seen: list[Any] = []
    assert get("sea", cache_obj=cache, hit_callback=seen.extend) == "salt"
    assert seen == [("sea", pytest.approx(1.0, abs=1e-6))]


def test_hits_are_counted_for_eviction(manager: StoreDataManager) -> None:
    cache = cache_over(manager)
    put("sea", "salt", cache_obj=cache)
    for _ in range(3):
        get("ocean", cache_obj=cache)
    cache.flush()
    assert [entry.hits for entry in manager.store.scan()] == [3]


def test_an_id_without_its_entry_is_looked_up(manager: StoreDataManager) -> None:
    cache_over(manager).import_data(["sea", "moon"], ["salt", "dust"])
    ids = [int(manager.search(embed(word))[0][1]) for word in ("sea", "moon")]
    assert [manager.get_scalar_data((0.0, i)).answers[0].answer for i in ids] == ["salt", "dust"]
    assert manager.get_scalar_data((0.0, max(ids) + 1)) is None


@pytest.mark.parametrize(
    "answer",
    [
        "text",
        "",
        Answer("aGVsbG8=", DataType.IMAGE_BASE64),
        Answer(b"\x00\xff raw", DataType.IMAGE_BASE64),
        Answer("https://pictures.invalid/a.png", DataType.IMAGE_URL),
        [Answer("one"), Answer(b"two", DataType.IMAGE_BASE64), Answer("three")],
        ["one", ("two", DataType.IMAGE_URL)],
        [7],
        [True],
        [1.5],
    ],
)
def test_answers_come_back_as_they_were(manager: StoreDataManager, answer: Any) -> None:
    manager.save("sea", answer, embed("sea"))
    got = only(manager, "sea").answers
    expected = CacheData("sea", answer).answers
    assert got == expected
    assert [type(said.answer) for said in got] == [type(said.answer) for said in expected]


def test_question_embedding_and_times_come_back(open_store: OpenStore) -> None:
    manager = StoreDataManager(open_store(), embedder="plane", clock=lambda: 1_700_000_000.0)
    manager.save("sea", "salt", embed("ocean"))
    data = only(manager, "sea")
    assert data.question == "sea"
    np.testing.assert_allclose(data.embedding_data, embed("ocean") / 3.0, atol=1e-7)
    assert data.embedding_data.dtype == np.float32
    assert data.create_on.timestamp() == 1_700_000_000.0
    manager.close()


@pytest.mark.parametrize(
    "answer", [[{"a": 1}], [float("nan")], [2**70], ["\ud800"], [None], [], [np.float64(1)]]
)
def test_an_answer_that_json_would_change_is_refused(
    manager: StoreDataManager, answer: Any
) -> None:
    with pytest.raises(RequestError):
        manager.save("sea", answer, embed("sea"))
    assert manager.store.stats().entries == 0


@pytest.mark.parametrize("question", [{"a": 1}, b"bytes", None, "\ud800", Question(content=5)])
def test_a_question_must_be_text(manager: StoreDataManager, question: Any) -> None:
    with pytest.raises(RequestError, match="question"):
        manager.save(question, "a", embed("sea"))


@pytest.mark.parametrize("embedding", ["sea", None, [0.0] * DIM, [float("nan")] * DIM, [[], [1]]])
def test_an_embedding_must_be_a_vector(manager: StoreDataManager, embedding: Any) -> None:
    with pytest.raises(EmbeddingError):
        manager.save("sea", "salt", embedding)
    with pytest.raises(EmbeddingError):
        manager.search(embedding)


def test_an_import_of_unequal_lengths_or_with_a_bad_vector_stores_nothing(
    manager: StoreDataManager,
) -> None:
    with pytest.raises(RequestError, match="as many"):
        manager.import_data(["sea"], ["a", "b"], [embed("sea")], [None])
    with pytest.raises(EmbeddingError):
        manager.import_data(["sea", "moon"], ["a", "b"], [embed("sea"), [0.0]], [None, None])
    assert manager.store.stats().entries == 0


def test_close_is_final_and_may_be_repeated() -> None:
    store = MemoryStore()
    manager = StoreDataManager(store, embedder="plane")
    manager.close()
    manager.close()
    manager.flush()
    assert (store.flushed, store.closed) == (1, 1)


def test_a_borrowed_store_stays_open() -> None:
    store = MemoryStore()
    StoreDataManager(store, embedder="plane", owns_store=False).close()
    assert (store.flushed, store.closed) == (1, 0)


def test_a_borrowed_store_may_be_closed_first(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, dim=2, embedder="plane")
    manager = StoreDataManager(store, embedder="plane", owns_store=False)
    store.close()
    manager.close()
    owner = StoreDataManager(store, embedder="plane")
    with pytest.raises(StoreError, match="closed"):
        owner.close()


def test_flush_reaches_the_store() -> None:
    store = MemoryStore()
    cache = cache_over(StoreDataManager(store, embedder="plane", owns_store=False))
    cache.flush()
    assert store.flushed == 1
