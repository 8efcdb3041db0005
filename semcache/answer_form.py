"""What an OpenAI-compatible server's reply is: a stream or a whole, an answer or something else.

Pure. Servers disagree in details; whatever passes here can be merged and replayed without a fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from semcache.chat import Kind
from semcache.embedding_items import is_embeddings
from semcache.responses.form import ENDS, is_event_wire, is_response, is_sound_event


def is_event_stream(content_type: str, *, asked_for: bool) -> bool:
    """What the server says that it sends; what was asked for where it does not say."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "text/event-stream" or (asked_for and not kind.endswith("json"))


def is_wire_of(kind: Kind, wire: Mapping[str, Any]) -> bool:
    """Whether this object is an answer of this kind, or an event of one, and tells no error."""
    if kind == "response":
        return is_response(wire) or is_sound_event(wire)
    if kind == "embedding":
        return wire.get("object") == "list" and is_embeddings(wire)
    return not wire.get("error") and not is_event_wire(wire) and is_answer(wire)


def is_whole(kind: Kind, wire: Mapping[str, Any]) -> bool:
    """Whether an object that `is_wire_of` its kind is a whole answer, not a part of a stream."""
    if kind == "response":
        return is_response(wire)
    return kind == "embedding" or wire.get("choices") is not None


def error_in(wire: Mapping[str, Any]) -> Any:
    """The error that a server tells in place of an answer, or None."""
    if wire.get("type") == "error" and "error" not in wire:  # an event of a response's stream
        return {"type": "server_error", **{n: wire.get(n) for n in ("message", "code", "param")}}
    return wire.get("error") or None


def is_last(wire: Mapping[str, Any]) -> bool:
    """Whether a response's stream ends with this event; other streams end with `[DONE]`."""
    return wire.get("type") in ENDS


def is_answer(wire: Mapping[str, Any]) -> bool:
    """Whether the merging of chunks can rely on the form of this object."""
    choices = wire.get("choices")
    return choices is None or (isinstance(choices, list) and all(map(_is_choice, choices)))


def _is_choice(choice: object) -> bool:
    if not isinstance(choice, dict) or not isinstance(choice.get("index", 0), int):
        return False
    inner = (choice.get(name) or {} for name in ("delta", "message", "logprobs"))
    if not all(isinstance(value, dict) for value in inner):
        return False
    message = choice.get("delta") or choice.get("message") or {}
    calls = message.get("tool_calls") or []
    return isinstance(calls, list) and all(isinstance(call, dict) for call in calls)
