"""A request to `/v1/responses` as one to `/v1/chat/completions`: for answerers that only chat.

What a chat cannot say is refused, by name; what has no bearing on an answer is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from semcache.errors import RequestError

Wire = Mapping[str, Any]
Message = dict[str, Any]

_NAMES = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_completion_tokens",
    "parallel_tool_calls": "parallel_tool_calls",
    "top_logprobs": "top_logprobs",
    "user": "user",
    "safety_identifier": "safety_identifier",
}
_UNSPOKEN = ("previous_response_id", "conversation", "background", "prompt")


def messages_of(items: tuple[Wire, ...], options: Wire) -> list[Message]:
    """The instructions and the input, as messages. Raises RequestError."""
    messages: list[Message] = []
    instructions = options.get("instructions")
    if isinstance(instructions, str) and instructions:
        messages.append({"role": "system", "content": instructions})
    for at, item in enumerate(items):
        _add(messages, item, f"input[{at}]")
    if not messages:
        raise RequestError("'input' says nothing.", param="input")
    return messages


def options_of(options: Wire) -> dict[str, Any]:
    """The parameters. Raises RequestError for those that need what the provider has kept."""
    for name in _UNSPOKEN:
        if options.get(name):
            message = f"'{name}' is not supported by the model that answers here."
            raise RequestError(message, param=name)
    asked = {new: options[old] for old, new in _NAMES.items() if options.get(old) is not None}
    if "message.output_text.logprobs" in (options.get("include") or ()):
        asked["logprobs"] = True
    effort = _member(options, "reasoning", "effort")
    if effort is not None:
        asked["reasoning_effort"] = effort
    form = _member(options, "text", "format")
    if isinstance(form, dict) and form.get("type") != "text":
        asked["response_format"] = _format(form)
    if options.get("tools"):
        asked["tools"] = [_tool(tool) for tool in options["tools"]]
    choice = options.get("tool_choice")
    if choice is not None and asked.get("tools"):
        asked["tool_choice"] = _choice(choice)
    known = {*_NAMES, *_ELSEWHERE, *_UNSPOKEN}
    return asked | {name: value for name, value in options.items() if name not in known}


_ELSEWHERE = frozenset(
    {
        *("include", "instructions", "max_tool_calls", "metadata", "prompt_cache_key", "reasoning"),
        *("prompt_cache_retention", "service_tier", "store", "text", "tool_choice", "tools"),
        "truncation",
    }
)


def _member(options: Wire, name: str, member: str) -> Any:
    value = options.get(name)
    return value.get(member) if isinstance(value, dict) else None


def _add(messages: list[Message], item: Wire, path: str) -> None:
    kind = item.get("type", "message")
    if kind == "message" or (kind not in _OTHERS and "role" in item):
        messages.append({"role": item["role"], "content": _content(item["content"], path)})
    elif kind in {"function_call", "custom_tool_call"}:
        if not messages or messages[-1]["role"] != "assistant":
            messages.append({"role": "assistant", "content": None})
        messages[-1].setdefault("tool_calls", []).append(_call(item))
    elif kind in {"function_call_output", "custom_tool_call_output"}:
        told = item.get("output")
        content = told if isinstance(told, str) else _content(told, path)
        said = {"role": "tool", "tool_call_id": str(item.get("call_id")), "content": content}
        messages.append(said)
    elif kind != "reasoning":  # what was thought is not said again
        message = f"{path} of type '{kind}' is not supported by the model that answers here."
        raise RequestError(message, param=path)


_OTHERS = frozenset(
    {
        *("function_call", "function_call_output", "reasoning"),
        *("custom_tool_call", "custom_tool_call_output"),
    }
)


def _content(content: Any, path: str) -> Any:
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise RequestError(f"{path} needs a text or a list of parts.", param=path)
    parts = [_part(part, path) for part in content]
    texts = [part["text"] for part in parts if part["type"] == "text"]
    return "\n".join(texts) if len(texts) == len(parts) else parts


def _part(part: Wire, path: str) -> Message:
    match part.get("type"):
        case "input_text" | "output_text" | "text" if isinstance(part.get("text"), str):
            return {"type": "text", "text": part["text"]}
        case "refusal" if isinstance(part.get("refusal"), str):
            return {"type": "text", "text": part["refusal"]}
        case "input_image" if isinstance(part.get("image_url"), str):
            detail = {"detail": part["detail"]} if "detail" in part else {}
            return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}
    message = f"A part of type '{part.get('type')}' in {path} is not supported here."
    raise RequestError(message, param=path)


def _call(item: Wire) -> dict[str, Any]:
    said = item.get("arguments", item.get("input"))
    function = {"name": str(item.get("name")), "arguments": said if isinstance(said, str) else ""}
    return {"id": str(item.get("call_id")), "type": "function", "function": function}


def _format(form: Wire) -> dict[str, Any]:
    if form.get("type") != "json_schema":
        return dict(form)
    schema = {name: value for name, value in form.items() if name != "type"}
    return {"type": "json_schema", "json_schema": schema}


def _tool(tool: Wire) -> dict[str, Any]:
    if tool.get("type") != "function":
        message = f"A tool of type '{tool.get('type')}' is not supported by the model here."
        raise RequestError(message, param="tools")
    return {"type": "function", "function": {k: v for k, v in tool.items() if k != "type"}}


def _choice(choice: Any) -> Any:
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return choice
