"""The pieces of one choice in a stream, merged into the choice that a plain answer has. Pure.

Rules of this file:
1. Texts that come in pieces are joined, and so are lists; objects are merged member by member. Of
   anything else the last value stays.
2. A null or an empty text never replaces what was said: many servers fill their later pieces up
   with them.
3. A tool call is found by its index; where a server sends none, by its id, and a piece without
   either continues the last call.
4. What came in is never changed.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

Wire = Mapping[str, Any]

SPOKEN = ("reasoning_content", "reasoning", "content", "refusal")
_JOINED = frozenset({*SPOKEN, "text", "arguments", "input", "transcript"})
_JOINED_BASE64 = "data"  # of an audio answer


def merge_choice(into: dict[str, Any], piece: Wire) -> None:
    """Merge one piece of a choice, chat or legacy, into what there is of it.

    Servers that send a `message` beside the `delta` repeat in it what they have said so far.
    """
    for name, value in piece.items():
        if name == "delta" or (name == "message" and "delta" not in piece):
            _merge_message(into.setdefault("message", {}), value or {})
        elif name != "message":
            into[name] = _merged(name, into.get(name), value)


def whole_choice(merged: dict[str, Any], *, is_text: bool) -> dict[str, Any]:
    """The choice as a plain answer has it, after its last piece."""
    if not is_text:
        message = merged.setdefault("message", {})
        calls = message.get("tool_calls")
        if isinstance(calls, dict):
            message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return merged


def _merge_message(message: dict[str, Any], delta: Wire) -> None:
    for name, value in delta.items():
        if name == "tool_calls" and isinstance(value, list):
            calls = message.get(name) or {}
            message[name] = calls
            for piece in value:
                _merge_call(calls.setdefault(_place(calls, piece), {}), piece)
        else:
            message[name] = _merged(name, message.get(name), value)


def _merge_call(call: dict[str, Any], piece: Wire) -> None:
    for name, value in piece.items():
        if name != "index":
            call[name] = _merged(name, call.get(name), value)


def _place(calls: Mapping[int, Wire], piece: Wire) -> int:
    """The place of the call that this piece belongs to, or of a new one."""
    index = piece.get("index")
    if isinstance(index, int):
        return index
    if not calls:
        return 0
    last = max(calls)
    if piece.get("id"):
        return next((at for at, call in calls.items() if call.get("id") == piece["id"]), last + 1)
    called = piece.get("function") or piece.get("custom")
    begins = isinstance(called, dict) and bool(called.get("name"))
    return last + 1 if begins else last


def _merged(name: str, old: Any, new: Any) -> Any:
    if old is None or new is None:
        return new if old is None else old
    if isinstance(old, str) and isinstance(new, str):
        if name == _JOINED_BASE64:
            return _joined_base64(old, new)
        return old + new if name in _JOINED else new or old
    if isinstance(old, list) and isinstance(new, list):
        return old + new
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{member: _merged(member, old.get(member), new[member]) for member in new}}
    return new


def _joined_base64(old: str, new: str) -> str:
    """One base64 text of both contents: padding may stand at the end only (RFC 4648, 4)."""
    if not old.endswith("="):
        return old + new
    try:
        content = base64.b64decode(old, validate=True) + base64.b64decode(new, validate=True)
    except ValueError:
        return old + new
    return base64.b64encode(content).decode()
