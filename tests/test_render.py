"""The bytes of a stored answer: the same answer, under an id of its own."""

from __future__ import annotations

import orjson
import pytest

from semcache.chat import text_request
from semcache.completion import Chunk, Completion, collect
from semcache.render import Rendered, fresh_id
from semcache.sse import EventDecoder
from tests.scripted import echo

ANSWER = echo(text_request("Why is the sky blue?", tenant="t", model="m"))


def without(wire: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in wire.items() if name not in {"id", "created"}}


def test_a_body_is_the_answer_with_a_fresh_id() -> None:
    rendered = Rendered(ANSWER)
    first, second = orjson.loads(rendered.body(5)), orjson.loads(rendered.body(6))
    assert without(first) == without(second) == without(dict(ANSWER.wire))
    assert (first["created"], second["created"]) == (5, 6)
    assert len({first["id"], second["id"], ANSWER.wire["id"]}) == 3
    assert first["id"].startswith("chatcmpl-")


@pytest.mark.parametrize("include_usage", [True, False])
def test_events_are_the_stream_of_the_answer(include_usage: bool) -> None:
    raw = b"".join(Rendered(ANSWER).events(7, include_usage=include_usage))
    events = EventDecoder().feed(raw)
    assert events[-1] == "[DONE]"
    wires = [orjson.loads(event) for event in events[:-1]]
    assert len({wire["id"] for wire in wires}) == 1
    assert {wire["created"] for wire in wires} == {7}
    whole = dict(collect(Chunk(wire) for wire in wires).wire)
    expected = dict(ANSWER.wire)
    if not include_usage:
        del expected["usage"]
    assert without(whole) == without(expected)
    assert any(wire["choices"] == [] for wire in wires) is include_usage


@pytest.mark.parametrize(
    ("id_", "is_text", "prefix"),
    [
        ("chatcmpl-abc", False, "chatcmpl-"),
        ("gen-123", False, "gen-"),
        ("cmpl-1", True, "cmpl-"),
        (None, True, "cmpl-"),
        ("", False, "chatcmpl-"),
        ("0b1f6c52d7e84d7f9", False, "chatcmpl-"),
    ],
)
def test_a_fresh_id_keeps_the_form(id_: str | None, is_text: bool, prefix: str) -> None:
    kind = "text_completion" if is_text else "chat.completion"
    made = fresh_id(Completion({"id": id_, "object": kind, "choices": []}))
    assert made.startswith(prefix)
    assert made != fresh_id(Completion({"id": id_, "object": kind, "choices": []}))
