"""What an OpenAI-compatible server's reply is: a stream or a whole, an answer or something else.

Pure. Servers disagree in details; whatever passes here can be merged and replayed without a fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_event_stream(content_type: str, *, asked_for: bool) -> bool:
    """What the server says that it sends; what was asked for where it does not say."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "text/event-stream" or (asked_for and not kind.endswith("json"))


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
