"""The fields of a request's body whose values are checked, and how."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value must be, and how to say so."""

    holds: Callable[[Any], bool]
    says: str


def is_int(value: object) -> bool:
    """A whole number; a bool is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _number(low: float, high: float) -> Rule:
    def holds(value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return math.isfinite(value) and low <= value <= high

    return Rule(holds, f"a number between {low:g} and {high:g}")


def _integer(low: int, high: int) -> Rule:
    return Rule(lambda v: is_int(v) and low <= v <= high, f"an integer from {low} to {high}")


def _of(kind: type, says: str) -> Rule:
    return Rule(lambda v: isinstance(v, kind), says)


def _is_stop(value: object) -> bool:
    if isinstance(value, list):
        return len(value) <= 64 and all(isinstance(item, str) and item for item in value)
    return isinstance(value, str) and bool(value)


def is_objects(value: object) -> bool:
    """A list of JSON objects."""
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _is_tools(value: Any) -> bool:
    return is_objects(value) and all(isinstance(tool.get("type"), str) for tool in value)


def _is_response_format(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type"), str)


_MAX_INT = 2**31 - 1
RULES: Mapping[str, Rule] = {
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "n": _integer(1, 128),
    "best_of": _integer(1, 128),
    "max_tokens": _integer(1, _MAX_INT),
    "max_completion_tokens": _integer(1, _MAX_INT),
    "top_logprobs": _integer(0, 20),
    "seed": _integer(-(2**63), 2**63 - 1),
    "logprobs": Rule(
        lambda v: isinstance(v, bool) or (is_int(v) and 0 <= v <= 20),
        "true, false, or (for completions) an integer from 0 to 20",
    ),
    "stop": Rule(_is_stop, "a text, or a list of at most 64 texts, none of them empty"),
    "tools": Rule(_is_tools, "a list of objects with a 'type'"),
    "functions": _of(list, "a list"),
    "logit_bias": _of(dict, "an object"),
    "metadata": _of(dict, "an object"),
    "response_format": Rule(_is_response_format, "an object with a 'type'"),
    "stream": _of(bool, "true or false"),
    "stream_options": _of(dict, "an object"),
    "parallel_tool_calls": _of(bool, "true or false"),
    "user": _of(str, "a text"),
    "suffix": _of(str, "a text"),
    "echo": _of(bool, "true or false"),
    "knowledge": _of(bool, "true or false"),
    "dimensions": _integer(1, 65_536),
    "encoding_format": Rule(lambda v: v in ("float", "base64"), "'float' or 'base64'"),
    "background": _of(bool, "true or false"),
    "include": _of(list, "a list"),
    "max_output_tokens": _integer(1, _MAX_INT),
    "max_tool_calls": _integer(1, _MAX_INT),
    "previous_response_id": _of(str, "a text"),
    "reasoning": _of(dict, "an object"),
    "store": _of(bool, "true or false"),
}
