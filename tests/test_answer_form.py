"""What passes for an answer can be merged; the rest is somebody else's object."""

from __future__ import annotations

from typing import Any

import pytest

from semcache.answer_form import is_answer, is_event_stream
from semcache.completion import Chunk, collect
from tests.relaying import HELLO, WHOLE


@pytest.mark.parametrize(
    ("content_type", "asked_for", "expected"),
    [
        ("text/event-stream", False, True),
        ("Text/Event-Stream; charset=utf-8", True, True),
        ("application/json", True, False),
        ("application/problem+json; charset=utf-8", True, False),
        ("application/json", False, False),
        ("text/html", True, True),
        ("text/html", False, False),
        ("", True, True),
        ("", False, False),
    ],
)
def test_stream_or_whole(content_type: str, asked_for: bool, expected: bool) -> None:
    assert is_event_stream(content_type, asked_for=asked_for) is expected


@pytest.mark.parametrize("wire", [WHOLE, *HELLO, {}, {"choices": None}, {"choices": []}])
def test_answers(wire: dict[str, Any]) -> None:
    assert is_answer(wire)
    collect([Chunk(wire)])


@pytest.mark.parametrize(
    "choices",
    [
        "text",
        {"index": 0},
        [None],
        [{"index": "0"}],
        [{"delta": "text"}],
        [{"message": ["x"]}],
        [{"logprobs": 1}],
        [{"delta": {"tool_calls": {"index": 0}}}],
        [{"delta": {"tool_calls": ["x"]}}],
    ],
)
def test_other_objects(choices: Any) -> None:
    assert not is_answer({"choices": choices})
