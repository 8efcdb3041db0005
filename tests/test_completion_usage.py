"""Usage that the caller did not ask for."""

from __future__ import annotations

from typing import Any

import pytest

from semcache.completion import Chunk, without_usage

SPOKEN: dict[str, Any] = {"id": "1", "choices": [{"index": 0, "delta": {"content": "a"}}]}
USAGE = {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12}


def test_the_chunk_that_is_there_for_its_usage_goes() -> None:
    assert without_usage(Chunk({"id": "1", "choices": [], "usage": USAGE})) is None


def test_the_empty_member_that_comes_with_asking_goes() -> None:
    wire = {**SPOKEN, "usage": None, "x": 1}
    assert without_usage(Chunk(wire)) == Chunk({**SPOKEN, "x": 1})
    assert "usage" in wire
    filtered: dict[str, Any] = {"choices": [], "prompt_filter_results": [{}], "usage": None}
    assert without_usage(Chunk(filtered)) == Chunk({"choices": [], "prompt_filter_results": [{}]})


@pytest.mark.parametrize(
    "wire", [SPOKEN, {**SPOKEN, "usage": USAGE}, {"choices": [], "prompt_filter_results": [{}]}]
)
def test_everything_else_stays(wire: dict[str, Any]) -> None:
    assert without_usage(Chunk(wire)) == Chunk(wire)
