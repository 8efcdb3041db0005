"""A chat's answer as a response object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Wire = Mapping[str, Any]

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_DEFAULTS: Wire = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def begun(id_: str, created_at: int, model: str, options: Wire) -> dict[str, Any]:
    """A response that has said nothing yet. It is kept nowhere, whatever `store` asks."""
    echoed = {n: v if options.get(n) is None else options[n] for n, v in _DEFAULTS.items()}
    return {
        "id": f"resp_{id_}",
        "object": "response",
        "created_at": created_at,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        **echoed,
        "metadata": options.get("metadata") or {},
        "model": model,
        "output": [],
        "store": False,
        "usage": None,
    }


def response_of(started: Wire, completion: Wire, *, words_first: bool = False) -> dict[str, Any]:
    """The whole response, from a `chat.completion` with at least one choice.

    `words_first`: the message is the first item, as it has been streamed already.
    """
    choice = completion["choices"][0]
    message, finish = choice.get("message") or {}, choice.get("finish_reason")
    reason = _INCOMPLETE.get(str(finish))
    apart = {"id", "object", "created", "model", "choices", "usage"}
    more = {k: v for k, v in completion.items() if k not in apart and v is not None}
    status = "incomplete" if reason else "completed"
    return {
        **started,
        **more,
        "status": status,
        "incomplete_details": {"reason": reason} if reason else None,
        "model": completion.get("model", started["model"]),
        "output": [
            *_thought(str(started["id"]), {} if words_first else message),
            *_output(str(started["id"]), message, choice.get("logprobs"), status),
            *_thought(str(started["id"]), message if words_first else {}),
        ],
        "usage": _usage(completion.get("usage")),
    }


def message_id(response_id: str) -> str:
    """The id of the message in a response of ours."""
    return f"msg_{response_id.removeprefix('resp_')}"


def _output(id_: str, message: Wire, logprobs: Any, status: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    text, refusal = message.get("content"), message.get("refusal")
    parts: list[dict[str, Any]] = []
    if isinstance(text, str) and (text or not message.get("tool_calls")):
        tokens = (logprobs or {}).get("content") or []
        parts.append({"type": "output_text", "text": text, "annotations": [], "logprobs": tokens})
    if isinstance(refusal, str):
        parts.append({"type": "refusal", "refusal": refusal})
    if parts:
        said = {"id": message_id(id_), "type": "message", "role": "assistant"}
        items.append({**said, "status": status, "content": parts})
    for at, call in enumerate(message.get("tool_calls") or ()):
        function = call.get("function") or {}
        items.append(
            {
                "id": f"fc_{id_.removeprefix('resp_')}{at:02d}",
                "type": "function_call",
                "call_id": str(call.get("id")),
                "name": str(function.get("name")),
                "arguments": str(function.get("arguments") or ""),
                "status": "completed",
            }
        )
    return items


def _thought(id_: str, message: Wire) -> list[dict[str, Any]]:
    thought = message.get("reasoning_content")
    if not isinstance(thought, str) or not thought:
        return []
    content = [{"type": "reasoning_text", "text": thought}]
    named = {"id": f"rs_{id_.removeprefix('resp_')}", "type": "reasoning"}
    return [{**named, "summary": [], "content": content}]


def _usage(usage: Any) -> dict[str, Any] | None:
    if not isinstance(usage, dict):
        return None
    read, written = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
    known = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens", 0)
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": known},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": usage.get("total_tokens", read + written),
    }
