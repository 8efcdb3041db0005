"""Tenants, encoders, pictures and time: what must never meet in StoreDataManager."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from gptcache.adapter.api import get, put
from gptcache.manager.scalar_data.base import DataType, Question, QuestionDep
from gptcache.session import Session

from semcache.errors import ConfigError
from semcache.gptcache import StoreDataManager
from semcache.store import LocalStore
from tests.gptcache.memory_store import MemoryStore
from tests.gptcache.plane import ANGLES, DIM, OpenStore, cache_over, embed, only


def _fill(managers: list[StoreDataManager]) -> None:
    for index, manager in enumerate(managers):
        manager.save("sea", f"answer {index}", embed("sea"))
        manager.add_session(manager.search(embed("sea"))[0], f"session {index}", "sea")


def test_tenants_never_meet(open_store: OpenStore) -> None:
    store = open_store()
    red, blue, again = (
        StoreDataManager(store, embedder="plane", tenant=tenant, owns_store=False)
        for tenant in ("red", "blue", "red")
    )
    _fill([red, blue])
    assert only(red, "sea", top_k=9).answers[0].answer == "answer 0"
    assert only(blue, "sea", top_k=9).answers[0].answer == "answer 1"
    assert red.get_scalar_data((0.0, int(blue.search(embed("sea"))[0][1]))) is None
    assert (red.list_sessions(), blue.list_sessions()) == (["session 0"], ["session 1"])
    again.add_session(again.search(embed("sea"))[0], "session 2", "ocean")
    assert red.list_sessions() == ["session 0", "session 2"]
    again.delete_session("session 0")
    assert red.list_sessions() == ["session 2"]
    store.close()


def test_vectors_of_two_encoders_never_meet() -> None:
    store = MemoryStore()
    managers = [StoreDataManager(store, embedder=name) for name in ("one", "two")]
    _fill(managers)
    for index, manager in enumerate(managers):
        assert only(manager, "sea", top_k=9).answers[0].answer == f"answer {index}"


def test_a_store_opened_for_another_encoder_is_refused_at_the_first_save(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "answers", dim=DIM, embedder="another")
    manager = StoreDataManager(store, embedder="plane")
    with pytest.raises(ConfigError, match="'plane'"):
        manager.save("sea", "salt", embed("sea"))
    assert store.stats().entries == 0
    manager.close()


def test_what_was_put_is_there_after_a_new_start(tmp_path: Path) -> None:
    for step in range(2):
        store = LocalStore(tmp_path / "answers", dim=DIM, embedder="plane")
        manager = StoreDataManager(store, embedder="plane")
        cache = cache_over(manager)
        if step == 0:
            put("sea", "salt", cache_obj=cache, session=Session("one", manager))
        assert get("ocean", cache_obj=cache) == "salt"
        assert get("ocean", cache_obj=cache, session=Session("one", manager)) is None
        assert manager.list_sessions() == ["one"]
        manager.close()


def test_threads_put_and_get_at_once(open_store: OpenStore) -> None:
    manager = StoreDataManager(open_store(), embedder="plane")
    cache = cache_over(manager)

    def work(worker: int) -> list[Any]:
        for word in ANGLES:
            put(word, f"of {word}", cache_obj=cache, session=Session(f"{worker}", manager))
        return [get(word, cache_obj=cache) for word in ANGLES]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(work, range(8)))
    assert answers == [[f"of {word}" for word in ANGLES]] * 8
    assert manager.list_sessions() == [str(worker) for worker in range(8)]
    assert len(manager.list_sessions(key=manager.search(embed("sea"))[0][1])) == 8
    manager.close()


def _about(image: str) -> Any:
    return Question("what is it?", [QuestionDep("image", image, DataType.IMAGE_URL)])


def test_two_pictures_with_one_question_never_share_an_answer(manager: StoreDataManager) -> None:
    manager.save(_about("cat.png"), "a cat", embed("sea"))
    manager.save(_about("dog.png"), "a dog", embed("sea"))
    for image, answer in (("cat.png", "a cat"), ("dog.png", "a dog")):
        data = only(manager, "sea", top_k=9, extra_param={"deps": _about(image).deps})
        assert data.answers[0].answer == answer
        assert data.question == _about(image)
    assert manager.search(embed("sea"), top_k=9) == []


def test_the_pictures_reach_a_search_through_gptcaches_context(manager: StoreDataManager) -> None:
    cache = cache_over(manager)
    manager.save(_about("cat.png"), "a cat", embed("sea"))
    cat = {"name": "image", "data": "cat.png", "dep_type": DataType.IMAGE_URL}
    for dep, answer in ((cat, "a cat"), ({**cat, "data": "dog.png"}, None)):
        context = {"search_func": {"deps": [dep]}}
        assert get("ocean", cache_obj=cache, cache_context=context) == answer


def test_dependencies_may_be_left_to_the_evaluation(open_store: OpenStore) -> None:
    manager = StoreDataManager(open_store(), embedder="plane", exact_dependencies=False)
    manager.save(_about("cat.png"), "a cat", embed("sea"))
    manager.save(_about("dog.png"), "a dog", embed("ocean"))
    found = manager.search(embed("sea"), top_k=9)
    assert [manager.get_scalar_data(hit).question.deps[0].data for hit in found] == [
        "cat.png",
        "dog.png",
    ]
    manager.close()


def test_an_expired_answer_is_not_found(open_store: OpenStore) -> None:
    now = [100.0]
    manager = StoreDataManager(open_store(), embedder="plane", ttl_s=10.0, clock=lambda: now[0])
    manager.save("sea", "salt", embed("sea"))
    now[0] = 109.0
    assert len(manager.search(embed("sea"))) == 1
    now[0] = 110.0
    assert manager.search(embed("sea")) == []
    manager.close()
