"""Streams as servers send them, merged into the answer that a plain request would have got."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest

from semcache.completion import Chunk, collect

Wire = dict[str, Any]


def stream(*deltas: Wire, **every: Any) -> list[Chunk]:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", **every}
    return [Chunk({**head, **delta}) for delta in deltas]


def one(delta: Wire, index: int = 0, finish: str | None = None, **more: Any) -> Wire:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish, **more}]}


def test_openai_with_usage_in_a_last_chunk() -> None:
    chunks = stream(
        {
            **one({"role": "assistant", "content": "", "refusal": None}, logprobs=None),
            "usage": None,
        },
        {**one({"content": "Hel"}, logprobs=None), "usage": None},
        {**one({"content": "lo"}, logprobs=None), "usage": None},
        {**one({}, finish="stop", logprobs=None), "usage": None},
        {"choices": [], "usage": {"total_tokens": 5}},
        system_fingerprint="fp",
    )
    message = {"role": "assistant", "content": "Hello", "refusal": None}
    assert collect(chunks).wire == {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "system_fingerprint": "fp",
        "usage": {"total_tokens": 5},
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
    }


def test_choices_come_interleaved() -> None:
    chunks = stream(
        one({"role": "assistant", "content": "b"}, index=1),
        one({"role": "assistant", "content": "a"}, index=0),
        one({"content": "B"}, index=1, finish="stop"),
        one({"content": "A"}, index=0, finish="length"),
    )
    made = collect(chunks).choices
    said = [(c["index"], c["message"]["content"], c["finish_reason"]) for c in made]
    assert said == [(0, "aA", "length"), (1, "bB", "stop")]


@pytest.mark.parametrize("with_index", [True, False])
def test_tool_calls_come_in_pieces(with_index: bool) -> None:
    at = {"index": 0} if with_index else {}
    first = {**at, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
    chunks = stream(
        one({"role": "assistant", "content": None, "tool_calls": [first]}),
        one({"tool_calls": [{**at, "function": {"arguments": '{"a"'}}]}),
        one({"tool_calls": [{**at, "function": {"arguments": ": 1}"}}]}),
        one({}, finish="tool_calls"),
    )
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    message = collect(chunks).choices[0]["message"]
    assert message == {"role": "assistant", "content": None, "tool_calls": [call]}


def test_parallel_tool_calls_keep_their_places() -> None:
    def piece(index: int, **more: Any) -> Wire:
        return one({"tool_calls": [{"index": index, **more}]})

    chunks = stream(
        one({"role": "assistant", "content": None}),
        piece(0, id="a", type="function", function={"name": "f", "arguments": "1"}),
        piece(1, id="b", type="function", function={"name": "g", "arguments": "2"}),
        piece(0, function={"arguments": "1"}),
        piece(1, function={"arguments": "2"}),
        one({}, finish="tool_calls"),
    )
    made = collect(chunks).choices[0]["message"]["tool_calls"]
    assert [(c["id"], c["function"]["arguments"]) for c in made] == [("a", "11"), ("b", "22")]


def test_logprobs_come_in_pieces() -> None:
    def token(text: str) -> Wire:
        return {"content": [{"token": text, "logprob": -0.5}], "refusal": None}

    chunks = stream(
        one({"role": "assistant", "content": ""}, logprobs={"content": [], "refusal": None}),
        one({"content": "a"}, logprobs=token("a")),
        one({"content": "b"}, logprobs=token("b")),
        one({}, finish="stop", logprobs=None),
    )
    logprobs = collect(chunks).choices[0]["logprobs"]
    assert [entry["token"] for entry in logprobs["content"]] == ["a", "b"]


def message_of(*deltas: Wire) -> Wire:
    """The merged message of a stream of one choice; what came in stays as it was."""
    chunks = stream(*(one(delta) for delta in deltas), one({}, finish="stop"))
    before = copy.deepcopy(chunks)
    message: Wire = collect(chunks).choices[0]["message"]
    assert chunks == before
    return message


def test_azure_says_nothing_in_the_fields_of_its_first_chunk() -> None:
    first = Chunk(
        {
            "id": "",
            "object": "",
            "created": 0,
            "model": "",
            "choices": [],
            "prompt_filter_results": [{"prompt_index": 0}],
        }
    )
    safe = {"hate": {"filtered": False, "severity": "safe"}}
    chunks = stream(
        one({"role": "assistant", "content": ""}, content_filter_results={}),
        one({"content": "Hi"}, content_filter_results=safe),
        one({}, finish="stop", content_filter_results={}),
    )
    whole = collect([first, *chunks]).wire
    assert (whole["id"], whole["created"], whole["model"]) == ("c", 1, "m")
    assert whole["object"] == "chat.completion"
    assert whole["prompt_filter_results"] == [{"prompt_index": 0}]
    assert whole["choices"][0]["content_filter_results"] == safe


def test_vllm_counts_usage_as_it_goes_and_says_why_it_stopped() -> None:
    def used(count: int) -> Wire:
        return {"usage": {"prompt_tokens": 3, "completion_tokens": count}}

    chunks = stream(
        {**one({"role": "assistant", "content": ""}, logprobs=None), **used(0)},
        {**one({"reasoning_content": "Hm"}, logprobs=None, stop_reason=None), **used(1)},
        {**one({"content": "Hi"}, logprobs=None, stop_reason=None), **used(2)},
        {**one({}, finish="stop", logprobs=None, stop_reason=7), **used(3)},
        {"choices": [], **used(3)},
    )
    whole = collect(chunks).wire
    assert whole["usage"] == {"prompt_tokens": 3, "completion_tokens": 3}
    message = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm"}
    choice = {"index": 0, "message": message, "logprobs": None}
    assert whole["choices"] == [{**choice, "finish_reason": "stop", "stop_reason": 7}]


def test_padding_is_no_part_of_the_answer() -> None:
    chunks = stream({**one({"content": "a"}), "obfuscation": "x9"}, one({}, finish="stop"))
    assert "obfuscation" not in collect(chunks).wire


def test_empty_texts_in_later_pieces_replace_nothing() -> None:
    begun = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "1"}}
    later = {"id": "", "type": "", "function": {"name": "", "arguments": "2"}}
    message = message_of(
        {"role": "assistant", "content": None, "tool_calls": [{"index": 0, **begun}]},
        {"role": "", "content": None, "tool_calls": [{"index": 0, **later}]},
        {"role": None, "tool_calls": None},
    )
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "12"}}
    assert message == {"role": "assistant", "content": None, "tool_calls": [call]}


def calls_of(*deltas: Wire) -> list[tuple[Any, ...]]:
    made = message_of(*({"tool_calls": [delta]} for delta in deltas))["tool_calls"]
    return [
        (call.get("id"), call["function"]["name"], call["function"]["arguments"]) for call in made
    ]


def test_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    assert calls_of(
        {"id": "a", "function": {"name": "f", "arguments": "1"}},
        {"function": {"arguments": "2"}},
        {"id": "b", "function": {"name": "g", "arguments": "3"}},
        {"function": {"arguments": "4"}},
        {"id": "a", "index": None, "function": {"arguments": "5"}},
    ) == [("a", "f", "125"), ("b", "g", "34")]


def test_calls_without_index_and_id_begin_with_a_name() -> None:
    assert calls_of(
        {"function": {"name": "f", "arguments": "1"}},
        {"function": {"name": "f", "arguments": "2"}},
        {"function": {"arguments": "3"}},
    ) == [(None, "f", "1"), (None, "f", "23")]


def test_custom_and_legacy_calls_come_in_pieces() -> None:
    custom = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": "SEL"}}
    message = message_of(
        {"role": "assistant", "tool_calls": [custom]},
        {"tool_calls": [{"index": 0, "custom": {"input": "ECT"}}]},
        {"function_call": {"name": "g", "arguments": ""}},
        {"function_call": {"arguments": "{"}},
        {"function_call": {"arguments": "}"}},
    )
    assert message["tool_calls"][0]["custom"] == {"name": "f", "input": "SELECT"}
    assert "index" not in message["tool_calls"][0]
    assert message["function_call"] == {"name": "g", "arguments": "{}"}


@pytest.mark.parametrize("cut", [(3, 6), (1, 2), (4, 5)])
def test_sound_comes_in_pieces_of_base64(cut: tuple[int, int]) -> None:
    sound = bytes(range(9))
    pieces = [sound[: cut[0]], sound[cut[0] : cut[1]], sound[cut[1] :]]
    message = message_of(
        {"role": "assistant", "audio": {"id": "s", "transcript": "Good "}},
        *({"audio": {"data": base64.b64encode(piece).decode()}} for piece in pieces),
        {"audio": {"transcript": "day"}},
        {"audio": {"expires_at": 9}},
    )
    audio = message["audio"]
    assert base64.b64decode(audio.pop("data"), validate=True) == sound
    assert audio == {"id": "s", "transcript": "Good day", "expires_at": 9}


def test_sound_that_is_not_base64_is_joined_as_it_is() -> None:
    message = message_of({"audio": {"data": "?="}}, {"audio": {"data": "QQ=="}})
    assert message["audio"]["data"] == "?=QQ=="


def test_annotations_add_up() -> None:
    message = message_of({"annotations": [{"n": 1}]}, {"annotations": [{"n": 2}, {"n": 3}]})
    assert message["annotations"] == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_a_message_that_repeats_what_was_said_does_not_count() -> None:
    chunks = stream(
        one({"role": "assistant", "content": "a"}, message={"role": "assistant", "content": "a"}),
        one({"content": "b"}, message={"role": "assistant", "content": "ab"}, finish="stop"),
    )
    assert collect(chunks).choices[0]["message"] == {"role": "assistant", "content": "ab"}


def test_a_whole_message_in_a_stream_counts_as_one_piece() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "1"}}
    message = {"role": "assistant", "content": "a", "tool_calls": [call]}
    chunks = stream(
        {"choices": [{"index": 0, "message": message, "finish_reason": None}]},
        one({"content": "b", "tool_calls": [{"index": 1, **call}]}, finish="tool_calls"),
    )
    before = copy.deepcopy(chunks)
    made = collect(chunks).choices[0]["message"]
    assert made == {"role": "assistant", "content": "ab", "tool_calls": [call, call]}
    assert chunks == before


def test_a_legacy_stream() -> None:
    def piece(text: str, finish: str | None, offset: int) -> Wire:
        logprobs = {"tokens": [text], "token_logprobs": [-0.5], "text_offset": [offset]}
        choice = {"index": 0, "text": text, "finish_reason": finish, "logprobs": logprobs}
        return {"object": "text_completion", "choices": [choice]}

    chunks = stream(piece("Hel", None, 0), piece("lo", "stop", 3), {"choices": [], "usage": {}})
    answer = collect(chunks)
    assert answer.is_text
    assert answer.text == "Hello"
    assert answer.choices[0]["finish_reason"] == "stop"
    assert answer.choices[0]["logprobs"] == {
        "tokens": ["Hel", "lo"],
        "token_logprobs": [-0.5, -0.5],
        "text_offset": [0, 3],
    }
