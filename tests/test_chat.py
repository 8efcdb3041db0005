"""Requests: what comes in goes out again; what no server could mean is refused by name."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from semcache.chat import ChatRequest, message_text, text_request
from semcache.errors import RequestError

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}

BODIES: list[dict[str, Any]] = [
    {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": "Really."},
            {"role": "user", "name": "ann", "content": [{"type": "text", "text": "hi"}, IMAGE]},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "4"},
        ],
        "tools": [TOOL],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        "temperature": 0.5,
        "top_p": 1,
        "n": 2,
        "seed": -7,
        "stop": ["a", "b"],
        "logprobs": True,
        "top_logprobs": 3,
        "max_completion_tokens": 9,
        "presence_penalty": -2,
        "frequency_penalty": 2.0,
        "logit_bias": {"50256": -100},
        "stream": True,
        "stream_options": {"include_usage": True},
        "user": "u",
        "metadata": {"a": "b"},
        "something_new": {"deep": [1, None]},
    },
    {"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": None},
    {"model": "m", "messages": [{"role": "function", "name": "f", "content": "4"}]},
    {"model": "m", "messages": [{"role": "function", "name": "f", "content": None}]},
    {
        "model": "m",
        "messages": [
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "QQ=="}}]},
            {"role": "assistant", "refusal": "No.", "function_call": None, "tool_calls": None},
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "https://x/y"}}],
            },
        ],
        "functions": [{"name": "f"}],
        "function_call": "auto",
        "stop": "a",
        "modalities": ["text", "audio"],
        "audio": {"voice": "v", "format": "wav"},
        "stream": True,
        "stream_options": {},
    },
]


@pytest.mark.parametrize("body", BODIES)
def test_what_comes_in_goes_out(body: dict[str, Any]) -> None:
    before = copy.deepcopy(body)
    request = ChatRequest.from_wire(body, tenant="t")
    assert request.to_wire() == before
    assert body == before
    assert (request.tenant, request.kind, request.model) == ("t", "chat", "m")


@pytest.mark.parametrize("silent", [{"stream": False}, {"stream": None}, {"stream_options": None}])
def test_not_streaming_is_said_by_silence(silent: dict[str, Any]) -> None:
    assert ChatRequest.from_wire({**BODIES[0], **silent}, tenant="t").to_wire() == BODIES[0]


def test_streaming_and_usage_are_read() -> None:
    request = ChatRequest.from_wire(BODIES[1], tenant="t")
    assert request.stream
    assert request.include_usage
    plain = ChatRequest.from_wire(BODIES[0], tenant="t")
    assert not plain.stream
    assert not plain.include_usage


@pytest.mark.parametrize("prompt", ["2+2=", ["2+2="]])
def test_one_prompt_is_one_user_message(prompt: Any) -> None:
    body = {"model": "m", "prompt": prompt, "echo": False}
    request = ChatRequest.from_wire(body, tenant="t", kind="completion")
    assert request.messages == ({"role": "user", "content": "2+2="},)
    assert request.to_wire() == {"model": "m", "prompt": "2+2=", "echo": False}


@pytest.mark.parametrize("prompt", [["a", "b"], [1, 2], [[1], [2, 3]]])
def test_a_batch_of_prompts_is_kept_as_it_is(prompt: Any) -> None:
    body = {"model": "m", "prompt": prompt}
    request = ChatRequest.from_wire(body, tenant="t", kind="completion")
    assert request.messages == ()
    assert request.to_wire() == body


@pytest.mark.parametrize("prompt", [None, "x", [], [None], [[]], [1, "a"], [True], {"a": 1}, 7])
def test_a_prompt_is_text_texts_or_tokens(prompt: Any) -> None:
    body = {"model": "m", "prompt": prompt}
    if prompt == "x":
        assert ChatRequest.from_wire(body, tenant="t", kind="completion").messages
        return
    with pytest.raises(RequestError) as raised:
        ChatRequest.from_wire(body, tenant="t", kind="completion")
    assert raised.value.param == "prompt"


def asking(**changes: Any) -> dict[str, Any]:
    return {**BODIES[0], **changes}


def saying(message: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}, message]}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (None, None),
        ([], None),
        ("hi", None),
        ({}, "model"),
        (asking(model=""), "model"),
        (asking(model="m" * 257), "model"),
        (asking(model=["m"]), "model"),
        (asking(messages=None), "messages"),
        (asking(messages=[]), "messages"),
        (asking(messages={}), "messages"),
        (asking(messages=[{"role": "user", "content": "hi"}] * 4097), "messages"),
        (saying("hi"), "messages[1]"),
        (saying({"content": "hi"}), "messages[1]"),
        (saying({"role": ["user"], "content": "hi"}), "messages[1]"),
        (saying({"role": "user", "content": None}), "messages[1]"),
        (saying({"role": "user", "content": 7}), "messages[1]"),
        (saying({"role": "user", "content": []}), "messages[1]"),
        (saying({"role": "user", "content": ["hi"]}), "messages[1]"),
        (saying({"role": "user", "content": [{"type": "text"}]}), "messages[1]"),
        (saying({"role": "user", "content": [{"type": "image_url"}]}), "messages[1]"),
        (saying({"role": "tool", "tool_call_id": "c"}), "messages[1]"),
        (saying({"role": "assistant", "tool_calls": {"id": "c"}}), "messages[1]"),
        (saying({"role": "assistant", "tool_calls": ["f"]}), "messages[1]"),
        (saying({"role": "assistant", "function_call": "f"}), "messages[1]"),
        (saying({"role": "user", "content": [IMAGE, {"type": 1}]}), "messages[1]"),
        (
            saying({"role": "user", "content": [{"type": "image_url", "image_url": "u"}]}),
            "messages[1]",
        ),
        (asking(temperature=-0.1), "temperature"),
        (asking(temperature=2.1), "temperature"),
        (asking(temperature="1"), "temperature"),
        (asking(temperature=True), "temperature"),
        (asking(temperature=float("nan")), "temperature"),
        (asking(temperature=float("inf")), "temperature"),
        (asking(top_p=1.1), "top_p"),
        (asking(presence_penalty=3), "presence_penalty"),
        (asking(frequency_penalty="1"), "frequency_penalty"),
        (asking(n=0), "n"),
        (asking(n=1.0), "n"),
        (asking(n=True), "n"),
        (asking(max_tokens=0), "max_tokens"),
        (asking(max_completion_tokens=2**31), "max_completion_tokens"),
        (asking(seed=2**63), "seed"),
        (asking(top_logprobs=21), "top_logprobs"),
        (asking(logprobs="yes"), "logprobs"),
        (asking(stop=""), "stop"),
        (asking(stop=["a", ""]), "stop"),
        (asking(stop=["a"] * 65), "stop"),
        (asking(tools={}), "tools"),
        (asking(tools=[{"function": {}}]), "tools"),
        (asking(response_format="json"), "response_format"),
        (asking(logit_bias=[1]), "logit_bias"),
        (asking(metadata="x"), "metadata"),
        (asking(stream=1), "stream"),
        (asking(stream_options=[]), "stream_options"),
        (asking(parallel_tool_calls="no"), "parallel_tool_calls"),
        (asking(user=7), "user"),
        (asking(n=129), "n"),
        (asking(best_of=0), "best_of"),
        (asking(seed="1"), "seed"),
        (asking(seed=1.5), "seed"),
        (asking(max_tokens=-1), "max_tokens"),
        (asking(max_tokens="9"), "max_tokens"),
        (asking(logprobs=21), "logprobs"),
        (asking(stop=[1]), "stop"),
        (asking(stop={}), "stop"),
        (asking(response_format={}), "response_format"),
        (asking(functions={}), "functions"),
        (asking(suffix=1), "suffix"),
        (asking(echo="yes"), "echo"),
    ],
)
def test_nonsense_is_refused_by_name(body: Any, param: str | None) -> None:
    with pytest.raises(RequestError) as raised:
        ChatRequest.from_wire(body, tenant="t")
    assert raised.value.param == param
    assert raised.value.status == 400


def test_the_text_of_a_message() -> None:
    assert message_text({"role": "user", "content": "hi"}) == "hi"
    parts = [{"type": "text", "text": "a"}, IMAGE, {"type": "text", "text": "b"}]
    assert message_text({"role": "user", "content": parts}) == "a\nb"
    assert message_text({"role": "assistant", "content": None}) == ""


def test_a_plain_request() -> None:
    request = text_request("hi", tenant="t", model="m")
    assert request == ChatRequest.from_wire(BODIES[0], tenant="t")
