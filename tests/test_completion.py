"""Answers replayed as streams: nothing is lost on the way there and back."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semcache.completion import Completion, collect, replay, text_completion_of

settings.register_profile("calm", deadline=None)
settings.load_profile("calm")

Wire = dict[str, Any]

texts = st.text(max_size=40) | st.sampled_from(["", "数据 漢字", "👩‍👩‍👧 ok", " a  b\n", "x" * 60])
names = st.from_regex(r"[a-z_]{3,9}", fullmatch=True).map("x_".__add__)
values = st.recursive(
    st.none() | st.integers() | texts | st.booleans(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
extras = st.dictionaries(names, values, max_size=2)
token_logprobs = st.fixed_dictionaries(
    {"token": texts, "logprob": st.floats(-9, 0), "bytes": st.none(), "top_logprobs": st.just([])}
)
functions = st.fixed_dictionaries({"name": texts, "arguments": texts})
calls = st.one_of(
    st.fixed_dictionaries(
        {"id": texts, "type": st.just("function"), "function": functions}, optional={"x": values}
    ),
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
        "x_new": values,
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
    usage: Wire = {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 0}, "x": [1]}
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


def test_a_tool_call_with_an_index_of_its_own_keeps_its_place() -> None:
    """Some servers number the calls of a plain answer, and some number them all 0."""
    calls = [
        {"id": id_, "type": "function", "function": {"name": "f", "arguments": arguments}}
        for id_, arguments in (("a", "[1, 2]"), ("b", "[3]"))
    ]
    for numbers in ((0, 1), (0, 0)):
        numbered = [{"index": n, **call} for n, call in zip(numbers, calls, strict=True)]
        message = {"role": "assistant", "content": None, "tool_calls": numbered}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        wire = {"id": "c", "object": "chat.completion", "choices": [choice]}
        assert collect(replay(Completion(wire))).choices[0]["message"]["tool_calls"] == calls


@pytest.mark.parametrize("name", ["text", "arguments", "data", "transcript", "input", "delta_of"])
def test_a_field_that_nobody_knows_is_not_spoken(name: str) -> None:
    message = {"role": "assistant", "content": "Hi", name: "kept whole"}
    logprobs = {"content": None, name: [{"token": "kept whole", "logprob": -1.0}]}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": logprobs}
    answer = Completion({"id": "c", "object": "chat.completion", "choices": [choice], name: "top"})
    assert collect(replay(answer)) == answer


def test_a_replay_says_each_token_with_its_logprob() -> None:
    tokens = [{"token": text, "logprob": -0.5} for text in ("Hel", "lo", " 漢")]
    message = {"role": "assistant", "content": "Hello 漢", "refusal": None}
    logprobs = {"content": tokens, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": logprobs}
    answer = Completion({"id": "c", "object": "chat.completion", "choices": [choice]})
    said = [
        (piece["delta"]["content"], piece["logprobs"]["content"])
        for chunk in replay(answer)
        for piece in chunk.wire["choices"]
        if piece["delta"].get("content")
    ]
    assert said == [(token["token"], [token]) for token in tokens]


def test_neither_a_replay_nor_its_merging_changes_what_it_was_given() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "[1, 2]"}}
    message = {
        "role": "assistant",
        "content": "a b",
        "tool_calls": [call],
        "audio": {"data": "QQ=="},
    }
    choice = {"index": 0, "message": message, "logprobs": {"content": []}, "finish_reason": "stop"}
    answer = Completion({"id": "c", "object": "chat.completion", "choices": [choice]})
    before = copy.deepcopy(answer)
    chunks = list(replay(answer))
    told = copy.deepcopy(chunks)
    assert collect(chunks) == collect(chunks) == before
    assert answer == before
    assert chunks == told


def test_the_text_of_an_answer() -> None:
    made = text_completion_of("Hi", id="c", created=1, model="m", usage={"total_tokens": 2})
    assert made.text == "Hi"
    assert made.wire["usage"] == {"total_tokens": 2}
    assert Completion({"object": "text_completion", "choices": [{"text": "x"}]}).text == "x"
    assert Completion({"choices": []}).text == ""
    assert Completion({"choices": [{"message": {"content": None}}]}).text == ""
