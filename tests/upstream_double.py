"""A double of OpenAI's server on a loopback port: chats, completions, responses, embeddings.

What it says is made here, by hand, and streamed in pieces of its own choosing.
"""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

from tests.loopback import Events, Json, Reply, Seen, sse
from tests.responding import responding

USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
CALLS = [
    {
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": "weather", "arguments": f'{{"city": "Zürich", "days": {number}}}'},
    }
    for number in (1, 2)
]


def openai_like(seen: Seen) -> Reply:
    """The reply that OpenAI's server would give."""
    if seen.method == "GET":
        listed = [{"id": "gpt-x", "object": "model", "created": 1, "owned_by": "o"}]
        return Json({"object": "list", "data": listed})
    path = seen.path.removeprefix("/v1/")
    if path == "responses":
        return responding(seen)
    if path == "embeddings":
        return embedding(seen)
    return chatting(seen)


def chatting(seen: Seen) -> Reply:
    """A chat completion, or a legacy one."""
    body = seen.json()
    is_chat = "messages" in body
    head: dict[str, Any] = {
        "id": f"{'chatcmpl' if is_chat else 'cmpl'}-{id(seen)}",
        "object": "chat.completion" if is_chat else "text_completion",
        "created": 1_700_000_000,
        "model": "gpt-x-2031",
        "system_fingerprint": "fp_1",
        "service_tier": "default",
    }
    asked = range(body.get("n") or 1)
    choices = [_choice(body, at) if is_chat else _text_choice(body, at) for at in asked]
    if not body.get("stream"):
        return Json({**head, "choices": choices, "usage": USAGE})
    if is_chat:
        head["object"] = "chat.completion.chunk"
    pieces = [
        {**head, "choices": [piece]}
        for choice in choices
        for piece in (_deltas(choice) if is_chat else _text_pieces(choice))
    ]
    if (body.get("stream_options") or {}).get("include_usage"):
        pieces.append({**head, "choices": [], "usage": USAGE})
    return Events(sse(*pieces))


def _choice(body: dict[str, Any], at: int) -> dict[str, Any]:
    said = f"Choice {at} to {json.dumps(body['messages'][-1].get('content'), ensure_ascii=False)}"
    message: dict[str, Any] = {"role": "assistant", "content": said, "refusal": None}
    message["reasoning_content"] = "It was asked."
    message["annotations"] = []
    finish: str = "stop"
    logprobs: dict[str, Any] | None = None
    if body.get("tools"):
        message |= {"content": None, "tool_calls": CALLS}
        finish = "tool_calls"
    elif (body.get("response_format") or {}).get("type") == "json_schema":
        message["content"] = json.dumps({"name": "fête", "guests": ["Ana", "Bo"]})
    elif body.get("logprobs"):
        tokens = [said[:4], said[4:]]
        bare: dict[str, Any] = {"logprob": -0.5, "bytes": None, "top_logprobs": []}
        logprobs = {"content": [{"token": t, **bare} for t in tokens], "refusal": None}
    return {"index": at, "message": message, "logprobs": logprobs, "finish_reason": finish}


def _text_choice(body: dict[str, Any], at: int) -> dict[str, Any]:
    said = f"Choice {at} to {json.dumps(body['prompt'], ensure_ascii=False)}"
    return {"index": at, "text": said, "logprobs": None, "finish_reason": "stop"}


def _deltas(choice: dict[str, Any]) -> list[dict[str, Any]]:
    message, index = choice["message"], choice["index"]
    spoken = ("content", "reasoning_content", "tool_calls")
    first = {name: value for name, value in message.items() if name not in spoken}
    deltas: list[tuple[dict[str, Any], Any]] = [({**first, "content": None}, None)]
    deltas += [({"reasoning_content": piece}, None) for piece in _cut(message["reasoning_content"])]
    if choice["logprobs"] is not None:
        for token in choice["logprobs"]["content"]:
            deltas.append(({"content": token["token"]}, {"content": [token], "refusal": None}))
    elif message["content"] is not None:
        deltas += [({"content": piece}, None) for piece in _cut(message["content"])]
    for at, call in enumerate(message.get("tool_calls") or ()):
        function = call["function"]
        bare = {**call, "index": at, "function": {**function, "arguments": ""}}
        deltas.append(({"tool_calls": [bare]}, None))
        for piece in _cut(function["arguments"]):
            deltas.append(({"tool_calls": [{"index": at, "function": {"arguments": piece}}]}, None))
    ended = [{"index": index, "delta": {}, "logprobs": None}]
    told: list[dict[str, Any]] = [
        {"index": index, "delta": delta, "logprobs": log} for delta, log in deltas
    ]
    told += ended
    reasons = [None] * len(deltas) + [choice["finish_reason"]]
    return [{**one, "finish_reason": why} for one, why in zip(told, reasons, strict=True)]


def _text_pieces(choice: dict[str, Any]) -> list[dict[str, Any]]:
    index = {"index": choice["index"], "logprobs": None}
    told = [{**index, "text": piece, "finish_reason": None} for piece in _cut(choice["text"])]
    return [*told, {**index, "text": "", "finish_reason": choice["finish_reason"]}]


def _cut(text: str) -> list[str]:
    return [text[at : at + 7] for at in range(0, len(text), 7)]


def vector_of(item: Any) -> list[float]:
    """Three numbers that a float32 holds exactly, another for every input."""
    number = len(item) if isinstance(item, str) else sum(item)
    return [number / 8, -0.5, float(isinstance(item, str))]


def embedding(seen: Seen) -> Reply:
    """One vector for each input, out of order; a letter or token id counts as one token."""
    body = seen.json()
    given = body["input"]
    items = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    if "short" in items:
        items = items[:-1]
    data = []
    for at, item in enumerate(items):
        vector: Any = vector_of(item)
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack("<3f", *vector)).decode()
        data.append({"object": "embedding", "index": at, "embedding": vector})
    tokens = sum(map(len, items))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Json({"object": "list", "data": data[::-1], "model": "text-3", "usage": usage})
