"""GPTCache's sessions over our store."""

from __future__ import annotations

from typing import Any

from gptcache.adapter.api import get, put
from gptcache.session import Session

from semcache.gptcache import StoreDataManager, sessions
from tests.gptcache.plane import cache_over, embed


def test_a_session_is_not_given_the_same_answer_twice(manager: StoreDataManager) -> None:
    cache = cache_over(manager)
    first, second = Session("first", manager), Session("second", manager)
    put("sea", "salt", cache_obj=cache, session=first)
    assert get("sea", cache_obj=cache, session=first) is None
    assert get("ocean", cache_obj=cache, session=second) == "salt"
    assert get("ocean", cache_obj=cache, session=second) is None
    assert get("ocean", cache_obj=cache) == "salt"
    assert manager.list_sessions() == ["first", "second"]
    second.drop()
    assert manager.list_sessions() == ["first"]
    assert get("ocean", cache_obj=cache, session=second) == "salt"
    first.drop()
    second.drop()
    assert manager.list_sessions() == []
    assert get("sea", cache_obj=cache, session=first) == "salt"


def test_a_check_function_sees_sessions_questions_and_answer(manager: StoreDataManager) -> None:
    cache = cache_over(manager)
    put("sea", "salt", cache_obj=cache, session=Session("one", manager))
    calls: list[tuple[Any, ...]] = []

    def check(*args: Any) -> bool:
        calls.append(args)
        return True

    asking = Session("two", manager, check_hit_func=check)
    assert get("ocean", cache_obj=cache, session=asking) == "salt"
    assert get("sea", cache_obj=cache, session=asking) == "salt"
    assert calls == [
        ("two", ["one"], ["sea"], "salt"),
        ("two", ["one", "two"], ["sea", "ocean"], "salt"),
    ]


def test_rows_of_an_entry_and_of_a_session(manager: StoreDataManager) -> None:
    manager.import_data(
        ["sea", "moon"], ["salt", "dust"], [embed("sea"), embed("moon")], ["one", "two"]
    )
    hit = manager.search(embed("sea"))[0]
    rows = manager.list_sessions(key=hit[1])
    assert [(row.session_id, row.session_question) for row in rows] == [("one", "sea")]
    assert manager.list_sessions(session_id="one") == [rows[0].id]
    assert manager.list_sessions(session_id="three") == []
    assert manager.get_scalar_data(hit).answers[0].answer == "salt"


def test_a_pair_is_noted_once_and_the_first_of_too_many_is_forgotten(
    manager: StoreDataManager,
) -> None:
    manager.save("sea", "salt", embed("sea"))
    hit = manager.search(embed("sea"))[0]
    for index in range(sessions.MAX_PER_ENTRY + 1):
        manager.add_session(hit, f"session {index}", "sea")
        manager.add_session(hit, f"session {index}", "sea")
    rows = manager.list_sessions(key=hit[1])
    assert len(rows) == sessions.MAX_PER_ENTRY
    assert rows[0].session_id == "session 1"
    assert rows[-1].session_id == f"session {sessions.MAX_PER_ENTRY}"
