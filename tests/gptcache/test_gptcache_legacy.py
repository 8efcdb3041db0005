"""The bodies of gptcache_server's routes."""

from __future__ import annotations

from typing import Any

import pytest

from semcache.errors import RequestError
from semcache.gptcache import legacy


def test_put_and_get_are_read() -> None:
    assert legacy.parse_put({"prompt": "q", "answer": "a"}) == legacy.Put("q", "a")
    assert legacy.parse_get({"prompt": "q", "answer": ""}) == legacy.Get("q")


def test_replies_are_gptcache_servers() -> None:
    asked = legacy.parse_get({"prompt": "q"})
    assert asked.answered("a") == {"prompt": "q", "answer": "a"}
    assert asked.answered(None) == {"prompt": "q", "answer": None}
    assert legacy.HELLO == "hello gptcache server"
    assert legacy.UPDATED == "successfully update the cache"
    assert legacy.FLUSHED == "successfully flush the cache"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (None, None),
        ([], None),
        ({}, "prompt"),
        ({"prompt": 5, "answer": "a"}, "prompt"),
        ({"prompt": " ", "answer": "a"}, "prompt"),
        ({"prompt": "q"}, "answer"),
        ({"prompt": "q", "answer": ""}, "answer"),
        ({"prompt": "q", "answer": None}, "answer"),
    ],
)
def test_a_broken_put_names_the_field(body: Any, param: str | None) -> None:
    with pytest.raises(RequestError) as caught:
        legacy.parse_put(body)
    assert caught.value.param == param
