"""Answers and streams: nothing is lost on the way from one to the other and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semcache.completion import Chunk, Completion, collect, replay, text_completion_of

settings.register_profile("calm", deadline=None)
settings.load_profile("calm")

Wire = dict[str, Any]

texts = st.text(max_size=40) | st.sampled_from(["", "数据 漢字", "👩‍👩‍👧 ok", " a  b\n", "x" * 60])
names = st.from_regex(r"[a-z_]{3,9}", fullmatch=True).map("x_".__add__)
extras = st.dictionaries(names, st.integers() | texts.filter(bool) | st.booleans(), max_size=2)
token_logprobs = st.fixed_dictionaries(
    {"token": texts, "logprob": st.floats(-9, 0), "bytes": st.none(), "top_logprobs": st.just([])}
)
functions = st.fixed_dictionaries({"name": texts, "arguments": texts})
calls = st.one_of(
    st.fixed_dictionaries({"id": texts, "type": st.just("function"), "function": functions}),
    st.fixed_dictionaries(
        {
            "id": texts,
            "type": st.just("custom"),
            "custom": st.fixed_dictionaries({"name": texts, "input": texts}),
        }
    ),
)
messages = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.none() | texts},
    optional={
        "refusal": st.none() | texts,
        "reasoning_content": st.none() | texts,
        "reasoning": st.none() | texts,
        "annotations": st.lists(st.fixed_dictionaries({"type": texts}), max_size=2),
        "audio": st.none() | st.fixed_dictionaries({"id": texts, "data": texts}),
        "tool_calls": st.none() | st.lists(calls, max_size=3),
        "function_call": st.none() | functions,
        "x_new": st.integers(),
    },
)


@st.composite
def choices(draw: st.DrawFn, index: int) -> Wire:
    message: Wire = dict(draw(messages))
    choice: Wire = {
        "index": index,
        "message": message,
        "finish_reason": draw(st.sampled_from(["stop", "length", "tool_calls", None])),
        **draw(extras),
    }
    form = draw(st.sampled_from(["missing", "null", "other", "spelling", "empty"]))
    if form == "null":
        choice["logprobs"] = None
    elif form == "empty":
        choice["logprobs"] = {}
    elif form == "other":
        tokens = draw(st.lists(token_logprobs, max_size=3))
        choice["logprobs"] = {"content": tokens, "refusal": None}
    elif form == "spelling":
        text = message["content"] or ""
        cut = [text[at : at + 3] for at in range(0, len(text), 3)]
        choice["logprobs"] = {"content": [{"token": t, "logprob": -1.0} for t in cut]}
    return choice


@st.composite
def text_choices(draw: st.DrawFn, index: int) -> Wire:
    logprobs = st.none() | st.fixed_dictionaries(
        {
            "tokens": st.lists(texts, max_size=3),
            "token_logprobs": st.lists(st.floats(-9, 0), max_size=3),
            "top_logprobs": st.none(),
            "text_offset": st.lists(st.integers(0, 9), max_size=3),
        }
    )
    return {
        "index": index,
        "text": draw(texts),
        "finish_reason": draw(st.sampled_from(["stop", "length"])),
        "logprobs": draw(logprobs),
        **draw(extras),
    }


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    is_text = draw(st.booleans())
    of = text_choices if is_text else choices
    wire: Wire = {
        "id": draw(texts),
        "object": "text_completion" if is_text else "chat.completion",
        "created": draw(st.integers(0, 2**31)),
        "model": draw(texts),
        "choices": [draw(of(index)) for index in range(draw(st.integers(0, 3)))],
        **draw(extras),
    }
    usage: Wire = {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 0}}
    form = draw(st.sampled_from(["missing", "null", "present"]))
    if form != "missing":
        wire["usage"] = usage if form == "present" else None
    for name in ("system_fingerprint", "service_tier"):
        if draw(st.booleans()):
            wire[name] = draw(st.none() | texts)
    return Completion(wire)


@given(completions())
def test_nothing_is_lost_in_a_replay(completion: Completion) -> None:
    assert collect(replay(completion)) == completion


@given(completions())
def test_a_replay_looks_like_a_stream(completion: Completion) -> None:
    wires = [chunk.wire for chunk in replay(completion)]
    kind = "text_completion" if completion.is_text else "chat.completion.chunk"
    assert {wire["object"] for wire in wires} == {kind}
    assert {wire["id"] for wire in wires} == {completion.wire["id"]}
    finished = [
        choice["index"] for w in wires for choice in w["choices"] if choice.get("finish_reason")
    ]
    expected = [c["index"] for c in completion.choices if c["finish_reason"]]
    assert finished == expected
    usages = [wire for wire in wires if wire.get("usage")]
    assert len(usages) == (1 if completion.wire.get("usage") else 0)
    if usages:
        assert wires[-1] is usages[0]
        assert usages[0]["choices"] == []
    if not completion.is_text:
        for index in range(len(completion.choices)):
            first = next(w for w in wires if w["choices"] and w["choices"][0]["index"] == index)
            assert first["choices"][0]["delta"]["role"] == "assistant"


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


def test_azure_begins_with_a_chunk_without_choices() -> None:
    chunks = stream(
        {"choices": [], "prompt_filter_results": [{"prompt_index": 0}], "model": ""},
        one({"role": "assistant", "content": "Hi"}, content_filter_results={}),
        one({}, finish="stop", content_filter_results={"hate": {"filtered": False}}),
    )
    whole = collect(chunks).wire
    assert whole["prompt_filter_results"] == [{"prompt_index": 0}]
    assert whole["choices"][0]["content_filter_results"] == {"hate": {"filtered": False}}
    assert whole["choices"][0]["message"]["content"] == "Hi"


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


def test_the_text_of_an_answer() -> None:
    made = text_completion_of("Hi", id="c", created=1, model="m", usage={"total_tokens": 2})
    assert made.text == "Hi"
    assert made.wire["usage"] == {"total_tokens": 2}
    assert Completion({"object": "text_completion", "choices": [{"text": "x"}]}).text == "x"
    assert Completion({"choices": []}).text == ""
    assert Completion({"choices": [{"message": {"content": None}}]}).text == ""
