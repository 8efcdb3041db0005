"""The form of a response object and of an event of its stream, as far as the cache relies on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

Wire = Mapping[str, Any]

ENDS = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}
"""The last event of a stream, and the status that it tells."""

ECHOED = ("metadata", "prompt_cache_key", "safety_identifier", "user")
"""What a response repeats of its request without any bearing on the answer."""

_INCOMPLETE = {"max_output_tokens": "truncated", "content_filter": "filtered"}


def is_event_wire(wire: Wire) -> bool:
    """Whether this is an event of a response's stream, not a chunk of a completion's."""
    kind = wire.get("type")
    return isinstance(kind, str) and kind.startswith("response.")


def is_sound_event(wire: Wire) -> bool:
    """Whether relaying this event can rely on its form; an error is none."""
    kind = wire.get("type")
    if not isinstance(kind, str) or kind == "error" or "choices" in wire:
        return False
    return kind not in ENDS or is_response(wire.get("response"))


def is_response(wire: object) -> bool:
    """Whether this is a response object whose parts can be replayed."""
    if not isinstance(wire, dict) or not isinstance(wire.get("output"), list):
        return False
    return isinstance(wire.get("id"), str) and all(map(_is_item, wire["output"]))


def text_of(wire: Wire) -> str:
    """All that the messages say, as the official client's `output_text`."""
    parts = (part for item in _items(wire, "message") for part in item.get("content") or ())
    return "".join(part["text"] for part in parts if part.get("type") == "output_text")


def problem(wire: Wire) -> str | None:
    """Why a response must not be given to somebody else, or None."""
    if not is_response(wire):
        return "malformed"
    if wire.get("error") is not None or wire.get("status") == "failed":
        return "error"
    if wire.get("status") != "completed":
        details = wire.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, Mapping) else None
        return _INCOMPLETE.get(str(reason), "unfinished")
    calls = [item for item in wire["output"] if str(item["type"]).endswith("_call")]
    if any(_is_broken_call(call) for call in calls):
        return "broken tool call"
    parts = [part for item in _items(wire, "message") for part in item["content"]]
    if any(part["type"] == "refusal" for part in parts):
        return "refused"
    said = any(part.get("text") or part["type"] != "output_text" for part in parts)
    return None if said or calls else "empty"


def _items(wire: Wire, kind: str) -> Iterable[Wire]:
    return (item for item in wire.get("output") or () if item.get("type") == kind)


def _is_item(item: object) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get("type"), str):
        return False
    if item["type"] == "message":
        return isinstance(item.get("content"), list) and all(map(_is_part, item["content"]))
    if item["type"] == "function_call":
        return isinstance(item.get("arguments"), str)
    if item["type"] == "custom_tool_call":
        return isinstance(item.get("input"), str)
    if item["type"] == "reasoning":
        texts = [*_listed(item, "summary"), *_listed(item, "content")]
        return all(isinstance(one, dict) and isinstance(one.get("text"), str) for one in texts)
    return True


def _listed(item: Wire, name: str) -> list[Any]:
    value = item.get(name)
    return value if isinstance(value, list) else [] if value is None else [value]


def _is_part(part: object) -> bool:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        return False
    if part["type"] == "refusal":
        return isinstance(part.get("refusal"), str)
    if part["type"] != "output_text":
        return True
    lists = (part.get("annotations"), part.get("logprobs"))
    return isinstance(part.get("text"), str) and all(
        value is None or isinstance(value, list) for value in lists
    )


def _is_broken_call(call: Wire) -> bool:
    if call["type"] != "function_call":
        return False
    try:
        orjson.loads(call["arguments"])
    except orjson.JSONDecodeError:
        return True
    return not call.get("name")
