"""What a request may ask of the engine."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from semcache.cag.answering.options import Options, read_options
from semcache.cag.prompting.conversation import Turn, conversation_of
from semcache.cag.settings import CagSettings
from semcache.chat import ChatRequest
from semcache.errors import ConfigError, RequestError

Kind = Literal["chat", "completion"]


def _request(kind: Kind = "chat", **fields: Any) -> ChatRequest:
    if kind == "chat":
        fields.setdefault("messages", [{"role": "user", "content": "hi"}])
    else:
        fields.setdefault("prompt", "hi")
    return ChatRequest.from_wire({"model": "semcache", **fields}, tenant="t", kind=kind)


def _options(kind: Kind = "chat", **fields: Any) -> Options:
    return read_options(_request(kind, **fields), CagSettings(max_tokens=77, max_choices=4))


def test_the_defaults_are_greedy_and_bounded() -> None:
    options = _options()
    assert (options.temperature, options.choices, options.max_tokens) == (0.0, 1, 77)
    assert (options.stops, options.logprobs, options.logit_bias) == ((), None, {})


def test_what_is_null_counts_as_absent() -> None:
    options = _options(temperature=None, max_tokens=None, stop=None, seed=None, tools=None)
    assert (options.temperature, options.max_tokens, options.stops) == (0.0, 77, ())


def test_the_given_values_arrive() -> None:
    options = _options(
        n=3,
        temperature=1,
        top_p=0.5,
        max_tokens=5,
        max_completion_tokens=6,
        seed=-4,
        stop=["a", "b"],
        presence_penalty=1,
        frequency_penalty=-1,
        logit_bias={"7": -100},
        logprobs=True,
        top_logprobs=2,
    )
    assert options == Options(3, 6, 1.0, 0.5, 1.0, -1.0, {7: -100.0}, -4, ("a", "b"), 2, True)
    assert _options(stop="x").stops == ("x",)
    assert _options(logprobs=True).logprobs == 0
    assert _options(logprobs=False).logprobs is None
    assert _options("completion", logprobs=3).logprobs == 3


def test_two_requests_without_a_seed_get_two() -> None:
    assert _options().seed != _options().seed


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"n": 5}, "n"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"logit_bias": {"1": 101}}, "logit_bias"),
        ({"logit_bias": {"1": True}}, "logit_bias"),
        ({"logit_bias": {"-1": 1}}, "logit_bias"),
    ],
)
def test_what_the_engine_cannot_do_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as raised:
        _options(**fields)
    assert (raised.value.param, raised.value.status) == (param, 400)


@pytest.mark.parametrize("fields", [{"suffix": "x"}, {"echo": True}, {"best_of": 2}])
def test_legacy_options_beyond_it_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as raised:
        _options("completion", **fields)
    assert raised.value.param == next(iter(fields))


def test_harmless_fields_pass() -> None:
    _options(
        user="u",
        tools=[],
        tool_choice="none",
        response_format={"type": "text"},
        metadata={"a": "b"},
        modalities=["text"],
        parallel_tool_calls=True,
    )


# ---------------------------------------------------------------------------------- conversation


def test_system_texts_are_gathered_and_turns_joined() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    conversation = conversation_of(
        _request(
            messages=[
                {"role": "system", "content": " first "},
                {"role": "user", "content": [{"type": "text", "text": "a"}]},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "1", "content": "result"},
                {"role": "developer", "content": "second"},
                {"role": "user", "content": "b"},
                {"role": "assistant", "content": "c"},
            ]
        )
    )
    assert conversation.system == "first\n\nsecond"
    assert conversation.turns == (
        Turn("user", "a"),
        Turn("assistant", '{"name":"f","arguments":"{}"}'),
        Turn("user", "result\n\nb"),
        Turn("assistant", "c"),
    )


def test_a_legacy_prompt_is_one_turn_of_the_user() -> None:
    assert conversation_of(_request("completion", prompt="x")).turns == (Turn("user", "x"),)


@pytest.mark.parametrize("prompt", [["a", "b"], [1, 2]])
def test_prompts_that_are_no_single_text_are_refused(prompt: list[Any]) -> None:
    with pytest.raises(RequestError) as raised:
        conversation_of(_request("completion", prompt=prompt))
    assert raised.value.param == "prompt"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "input_audio", "input_audio": {}},
        {"type": "file", "file": {}},
    ],
)
def test_attachments_are_refused(part: dict[str, Any]) -> None:
    content = [{"type": "text", "text": "what is this?"}, part]
    with pytest.raises(RequestError) as raised:
        conversation_of(_request(messages=[{"role": "user", "content": content}]))
    assert raised.value.param == "messages[0].content"


# -------------------------------------------------------------------------------------- settings


def test_a_model_is_served_under_its_short_name_and_ours() -> None:
    assert CagSettings().served_names == ("SmolLM2-135M-Instruct", "semcache")
    assert CagSettings(model="/models/Tiny.Q8.gguf").served_names == ("Tiny.Q8", "semcache")
    assert CagSettings(model="org/name/").served_names == ("name", "semcache")
    assert CagSettings(names=("mine",)).served_names == ("mine",)


@pytest.mark.parametrize(
    "fields", [{"max_active": 0}, {"threads": 0}, {"window": -1}, {"model": ""}, {"names": ("",)}]
)
def test_absurd_settings_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(fields))):
        CagSettings(**fields)
