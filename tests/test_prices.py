"""What hits save and say of their tokens: values computed by hand."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from semcache.completion import Completion
from semcache.config import Config
from semcache.errors import ConfigError
from semcache.prices import Price, Prices, Saved, saved
from semcache.render import Rendered
from semcache.usage import UsageMode, shown

CHAT = {
    "prompt_tokens": 1000,
    "completion_tokens": 200,
    "total_tokens": 1200,
    "prompt_tokens_details": {"cached_tokens": 400, "audio_tokens": 0},
}
RESPONSES = {
    "input_tokens": 1000,
    "input_tokens_details": {"cached_tokens": 400},
    "output_tokens": 200,
    "total_tokens": 1200,
}
LISTED = Prices(
    {
        "gpt-4o": Price(5.0, 15.0),
        "gpt-*": Price(2.5, 10.0, 1.25),
        "*-mini": Price(0.1, 0.4),
    }
)


@pytest.mark.parametrize("usage", [CHAT, RESPONSES], ids=["chat", "responses"])
@pytest.mark.parametrize(
    ("model", "usd"),
    [
        ("gpt-4o", 1000 * 5e-6 + 200 * 15e-6),
        ("gpt-5-mini", 600 * 2.5e-6 + 400 * 1.25e-6 + 200 * 10e-6),
        ("o9-mini", 1000 * 0.1e-6 + 200 * 0.4e-6),
        ("else", 0.0),
    ],
)
def test_money_by_the_first_name_that_fits(usage: dict[str, Any], model: str, usd: float) -> None:
    made = saved({"model": model, "usage": usage}, "asked", LISTED, cost_s=1.5)
    assert made.usd == pytest.approx(usd)
    assert made == Saved(1000, 200, made.usd, 1.5)


def test_the_model_asked_for_stands_in_and_odd_usage_costs_nothing() -> None:
    assert saved({"model": "x", "usage": CHAT}, "o9-mini", LISTED).usd == pytest.approx(0.00018)
    odd: list[Any] = [
        None,
        [],
        {"prompt_tokens": -1},
        {"prompt_tokens": True},
        {"input_tokens": "7"},
    ]
    for usage in odd:
        assert saved({"model": "gpt-4o", "usage": usage}, "m", LISTED) == Saved()


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("replay", CHAT),
        (
            "zero",
            {
                "prompt_tokens": 0,
                "completion_tokens": 0,
                "total_tokens": 0,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            },
        ),
        (
            "cached_details",
            {**CHAT, "prompt_tokens_details": {"cached_tokens": 1000, "audio_tokens": 0}},
        ),
    ],
)
def test_usage_in_the_body_and_in_the_stream(mode: UsageMode, expected: dict[str, Any]) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}
    stored = Completion({"id": "chatcmpl-1", "model": "m", "choices": [choice], "usage": CHAT})
    rendered = Rendered(stored, mode)
    assert orjson.loads(rendered.body(7))["usage"] == expected
    *_, last, done = rendered.events(7, include_usage=True)
    assert orjson.loads(last.removeprefix(b"data: "))["usage"] == expected
    assert done == b"data: [DONE]\n\n"
    assert rendered.completion is stored
    told = shown(Completion({"usage": RESPONSES}), "cached_details").wire["usage"]
    assert told == {**RESPONSES, "input_tokens_details": {"cached_tokens": 1000}}


def test_the_section_is_checked() -> None:
    values = {"prices": {"gpt-*": {"input": 2.5, "output": 10}}, "policy": {"usage": "zero"}}
    settings = Config.from_mapping(values).policy_settings()
    assert settings.usage == "zero"
    assert settings.prices == Prices({"gpt-*": Price(2.5, 10)})
    wrongs: list[Any] = [[], {"m": {"inpt": 1}}, {"m": {"input": -1}}, {"m": 3}, {7: {}}]
    for wrong in wrongs:
        with pytest.raises(ConfigError, match="prices"):
            Config.from_mapping({"prices": wrong})
