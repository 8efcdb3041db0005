"""What the tests of the drop-in client share: a server's answers, and ways to ask for them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import openai

import semcache
from semcache.cache import SemCache
from semcache.completion import Completion, replay
from tests.loopback import Events, Json, Loopback, Reply, Seen, sse

WAIT_S = 20.0
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
TOOL_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Zürich", "days": 3}'},
}


def question_of(seen: Seen) -> str:
    body = seen.json()
    text: str = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
    return text


def answer_to(seen: Seen) -> dict[str, Any]:
    """The whole answer; each has an id of its own, as a server's have."""
    body = seen.json()
    head = {"id": f"chatcmpl-{id(seen)}", "created": 1_700_000_000, "model": "gpt-x-2031"}
    said = f"You asked: {question_of(seen)} – 你好 🦊"
    if "prompt" in body:
        choice = {"index": 0, "text": said, "logprobs": None, "finish_reason": "stop"}
        return {**head, "object": "text_completion", "choices": [choice], "usage": USAGE}
    message: dict[str, Any] = {"role": "assistant", "content": said, "refusal": None}
    finish = "stop"
    if "tools" in body:
        message |= {"content": None, "tool_calls": [TOOL_CALL]}
        finish = "tool_calls"
    elif "response_format" in body:
        message["content"] = json.dumps({"name": "fête", "guests": ["Ana", "Bo"]})
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    return {**head, "object": "chat.completion", "choices": [choice], "usage": USAGE}


def answering(seen: Seen) -> Reply:
    """Answers as OpenAI's server does: a stream where asked, with usage where asked."""
    if seen.method != "POST":
        return Json({"object": "list", "data": []})
    body, answer = seen.json(), answer_to(seen)
    headers = {"x-request-id": f"req-{question_of(seen)}", "x-ratelimit-remaining-tokens": "77"}
    if not body.get("stream"):
        return Json(answer, headers=headers)
    usage = (body.get("stream_options") or {}).get("include_usage")
    wires = [chunk.wire for chunk in replay(Completion(answer))]
    return Events(sse(*(w for w in wires if usage or w["choices"])), headers=headers)


def body_of(question: str = "Why?", **fields: Any) -> dict[str, Any]:
    return {"model": "gpt-x", "messages": [{"role": "user", "content": question}], **fields}


def blocking(server: Loopback, cache: SemCache, **options: Any) -> semcache.OpenAI:
    options = {"api_key": "sk-1", "max_retries": 0, "timeout": WAIT_S, **options}
    return semcache.OpenAI(base_url=server.base_url, cache=cache, **options)


def bare(server: Loopback, **options: Any) -> openai.OpenAI:
    options = {"api_key": "sk-1", "max_retries": 0, "timeout": WAIT_S, **options}
    return openai.OpenAI(base_url=server.base_url, **options)


def asynchronous(server: Loopback, cache: SemCache, **options: Any) -> semcache.AsyncOpenAI:
    options = {"api_key": "sk-1", "max_retries": 0, "timeout": WAIT_S, **options}
    return semcache.AsyncOpenAI(base_url=server.base_url, cache=cache, **options)


def bare_asynchronous(server: Loopback, **options: Any) -> openai.AsyncOpenAI:
    options = {"api_key": "sk-1", "max_retries": 0, "timeout": WAIT_S, **options}
    return openai.AsyncOpenAI(base_url=server.base_url, **options)


def using(client: openai.AsyncOpenAI, work: Callable[[openai.AsyncOpenAI], Awaitable[Any]]) -> Any:
    """Run `work` in an event loop of its own, and close the client there."""

    async def run() -> Any:
        async with contextlib.aclosing(_Closing(client)):
            return await work(client)

    return asyncio.run(run())


class _Closing:
    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self.aclose = client.close


def raised(work: Callable[[], Any]) -> BaseException:
    """What `work` raises."""
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")
