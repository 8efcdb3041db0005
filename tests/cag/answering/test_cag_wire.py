"""Events to chunks, put together again by the library's own `collect`."""

from __future__ import annotations

from typing import Any

from semcache.cag.answering.events import Begun, Done, Ended, Event, Said, TokenScore
from semcache.cag.answering.wire import WireForm
from semcache.chat import Kind
from semcache.completion import Chunk, collect

HEAD = {"id": "x-1", "created": 5, "model": "tiny", "system_fingerprint": "fp_1"}
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 6},
}


def _chunks(kind: Kind, events: list[Event], choices: int = 1) -> list[Chunk]:
    form = WireForm(kind, "x-1", 5, "tiny", "fp_1", choices)
    return [chunk for event in events for chunk in form.chunks(event)]


def test_a_chat_stream_begins_with_the_role_and_ends_with_usage() -> None:
    events: list[Event] = [Begun(9, 6), Said(0, "a"), Said(0, "b"), Ended(0, "stop"), Done(4)]
    wires = [chunk.wire for chunk in _chunks("chat", events)]
    assert all(
        wire.items() >= {**HEAD, "object": "chat.completion.chunk"}.items() for wire in wires
    )
    assert [wire["choices"][0]["delta"] for wire in wires[:-1]] == [
        {"role": "assistant", "content": ""},
        {"content": "a"},
        {"content": "b"},
        {},
    ]
    reasons = [wire["choices"][0]["finish_reason"] for wire in wires[:-1]]
    assert reasons == [None, None, None, "stop"]
    assert (wires[-1]["choices"], wires[-1]["usage"]) == ([], USAGE)
    assert all("usage" not in wire for wire in wires[:-1])


def test_choices_are_told_apart() -> None:
    events: list[Event] = [
        Begun(9, 6),
        Said(1, "one"),
        Said(0, "zero"),
        Ended(0, "length"),
        Ended(1, "stop"),
        Done(4),
    ]
    completion = collect(_chunks("chat", events, choices=2))
    told = [(c["message"]["content"], c["finish_reason"]) for c in completion.choices]
    assert told == [("zero", "length"), ("one", "stop")]
    assert completion.wire["usage"] == USAGE


def test_chat_scores_have_bytes_where_the_text_tells_them() -> None:
    scores = (
        TokenScore("é", -0.5, (("é", -0.5), ("\ufffd", float("-inf")))),
        TokenScore("\ufffd", -1.0),
    )
    events: list[Event] = [Begun(1, 0), Said(0, "é", scores), Ended(0, "stop"), Done(2)]
    told: Any = collect(_chunks("chat", events)).choices[0]["logprobs"]["content"]
    assert told[0] == {
        "token": "é",
        "logprob": -0.5,
        "bytes": [0xC3, 0xA9],
        "top_logprobs": [
            {"token": "é", "logprob": -0.5, "bytes": [0xC3, 0xA9]},
            {"token": "\ufffd", "logprob": -9999.0, "bytes": None},
        ],
    }
    assert told[1]["bytes"] is None


def test_a_text_completion_has_its_own_form() -> None:
    scores = [(TokenScore("ab", -0.5, (("ab", -0.5),)),), (TokenScore("c", -1.0, (("d", -0.1),)),)]
    events: list[Event] = [
        Begun(9, 6),
        Said(0, "ab", scores[0]),
        Said(0, "c", scores[1]),
        Ended(0, "stop"),
        Done(4),
    ]
    completion = collect(_chunks("completion", events))
    assert completion.is_text
    assert completion.text == "abc"
    assert completion.wire["usage"] == USAGE
    assert completion.choices[0]["logprobs"] == {
        "tokens": ["ab", "c"],
        "token_logprobs": [-0.5, -1.0],
        "top_logprobs": [{"ab": -0.5}, {"d": -0.1}],
        "text_offset": [0, 2],
    }
