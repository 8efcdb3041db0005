"""What a request to `/v1/responses` asks: its input as messages, and what keeps it from the cache.

An item of the input with a role is a message; other items (calls, their outputs, reasoning) stand
among the messages as they came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from semcache.errors import RequestError

MAX_ITEMS = 4096
ROLES = frozenset({"user", "assistant", "system", "developer"})
# Run by the caller, not by the server: their outcome is in the next request.
_CALLERS_TOOLS = frozenset({"function", "custom"})


def read_input(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The items of `input`; a bare text is one user message. Raises RequestError."""
    value = body.get("input")
    if isinstance(value, str):
        return ({"role": "user", "content": value},)
    if value is None and any(body.get(name) for name in ("prompt", "previous_response_id")):
        return ()
    if not isinstance(value, list) or not value:
        raise RequestError("'input' must be a text, or a list of items.", param="input")
    if len(value) > MAX_ITEMS:
        raise RequestError(f"'input' may hold at most {MAX_ITEMS} items.", param="input")
    for at, item in enumerate(value):
        problem = _item_problem(item)
        if problem:
            raise RequestError(f"Invalid input[{at}]: {problem}.", param=f"input[{at}]")
    return tuple(value)


def input_of(items: tuple[Mapping[str, Any], ...]) -> str | list[Mapping[str, Any]]:
    """`input` for these items: the inverse of `read_input`, in its shortest form."""
    if len(items) == 1 and items[0].keys() == {"role", "content"} and items[0]["role"] == "user":
        content = items[0]["content"]
        if isinstance(content, str):
            return content
    return list(items)


def refused(options: Mapping[str, Any]) -> str | None:
    """Why such a request neither reads from the cache nor is stored, or None.

    A conversation changes with every request; work in the background has no answer yet; tools that
    the server runs look at the world, or change it. `previous_response_id` refuses nothing: what
    stands behind an id never changes, so it is a context like any other.
    """
    if options.get("background"):
        return "background"
    if options.get("conversation") is not None:
        return "conversation"
    if any(tool.get("type") not in _CALLERS_TOOLS for tool in options.get("tools") or ()):
        return "hosted tools"
    prompt = options.get("prompt")
    if prompt is not None and not (isinstance(prompt, Mapping) and prompt.get("version")):
        return "prompt without version"
    return None


def _item_problem(item: object) -> str | None:
    if not isinstance(item, dict):
        return "expected an object"
    kind = item.get("type", "message")
    if not isinstance(kind, str):
        return "'type' must be a text"
    content = item.get("content")
    if kind != "message" and "role" not in item:
        return None if content is None else _content_problem(content)
    role = item.get("role")
    if not isinstance(role, str) or role not in ROLES:
        return f"'role' must be one of {', '.join(sorted(ROLES))}"
    return _content_problem(content)


def _content_problem(content: object) -> str | None:
    if isinstance(content, str):
        return None
    if not isinstance(content, list) or not content:
        return "'content' must be a text or a list of parts"
    return next(filter(None, map(_part_problem, content)), None)


def _part_problem(part: object) -> str | None:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        return "every content part must be an object with a 'type'"
    if part["type"] in {"input_text", "output_text"} and not isinstance(part.get("text"), str):
        return f"an {part['type']} part needs 'text'"
    return None
