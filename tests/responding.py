"""An upstream's answers to `/v1/responses`, written by hand after OpenAI's API reference."""

from __future__ import annotations

import json
from typing import Any

from tests.loopback import Events, Json, Reply, Seen

USAGE = {
    "input_tokens": 12,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 21,
}
REASONING = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "It was asked before."}],
    "encrypted_content": "gAAAAA==",
    "status": "completed",
}
CALLS = [
    {
        "id": "fc_1",
        "type": "function_call",
        "call_id": "call_1",
        "name": "weather",
        "arguments": '{"city": "Zürich", "days": 3}',
        "status": "completed",
    },
    {
        "id": "ctc_1",
        "type": "custom_tool_call",
        "call_id": "call_2",
        "name": "shell",
        "input": "ls -l\n",
        "status": "completed",
    },
]
NOTE = {"type": "url_citation", "start_index": 0, "end_index": 3, "title": "t", "url": "http://x/"}


def question_of(body: dict[str, Any]) -> str:
    """What is asked: the input, or its last item, as JSON where it is no text."""
    asked = body.get("input")
    last = asked[-1] if isinstance(asked, list) else asked
    return last if isinstance(last, str) else json.dumps(last, ensure_ascii=False)


def message(*parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": list(parts),
    }


def text_part(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": [], **more}


def output_for(body: dict[str, Any]) -> list[dict[str, Any]]:
    if "tools" in body:
        return [REASONING, *CALLS]
    if (body.get("text") or {}).get("format", {}).get("type") == "json_schema":
        return [message(text_part(json.dumps({"name": "fête", "guests": ["Ana", "Bo"]})))]
    said = text_part(f"You asked: {question_of(body)} – 你好 🦊", annotations=[NOTE])
    return [REASONING, message(said)]


def response_to(body: dict[str, Any], number: int = 1) -> dict[str, Any]:
    """The whole response; it repeats of its request what OpenAI's repeats."""
    return {
        "id": f"resp_{number:048x}",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": "gpt-x-2031",
        "output": output_for(body),
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None},
        "store": body.get("store", True),
        "temperature": 1.0,
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": body.get("tools", []),
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": USAGE,
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
        "vendor": {"kept": [1, None]},
    }


def streamed(response: dict[str, Any]) -> list[dict[str, Any]]:
    """The events for a response of one message, as few as OpenAI's server may send."""
    empty = {**response, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": empty},
        {"type": "response.in_progress", "response": empty},
    ]
    for at, item in enumerate(response["output"]):
        place = {"output_index": at}
        begun = {**item, "status": "in_progress"}
        if item["type"] == "message":
            begun["content"] = []
        events.append({"type": "response.output_item.added", **place, "item": begun})
        if item["type"] == "message":
            part, here = item["content"][0], {**place, "item_id": item["id"], "content_index": 0}
            bare = {**part, "text": "", "annotations": []}
            events.append({"type": "response.content_part.added", **here, "part": bare})
            delta = {"delta": part["text"], "logprobs": [], "obfuscation": "xyz"}
            events.append({"type": "response.output_text.delta", **here, **delta})
            done = {"text": part["text"], "logprobs": []}
            events.append({"type": "response.output_text.done", **here, **done})
            events.append({"type": "response.content_part.done", **here, "part": part})
        events.append({"type": "response.output_item.done", **place, "item": item})
    events.append({"type": "response.completed", "response": response})
    return [{**event, "sequence_number": at} for at, event in enumerate(events)]


def named_events(events: list[dict[str, Any]]) -> list[bytes]:
    return [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]


def responding(seen: Seen) -> Reply:
    """The reply to a request for a response, streamed where asked."""
    body = seen.json()
    response = response_to(body, number=id(seen))
    if body.get("stream"):
        return Events(named_events(streamed(response)))
    return Json(response)
