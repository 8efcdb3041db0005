"""What the tests of the relay share: requests, answers, and an upstream over a loopback server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from semcache.chat import ChatRequest
from semcache.completion import Chunk
from semcache.errors import UpstreamError
from semcache.upstream import Upstream, UpstreamSettings
from tests.loopback import Loopback, sse

KEY = "sk-operator-0123456789"
WAIT_S = 20.0


def chat(*, stream: bool = False, **fields: Any) -> ChatRequest:
    body = {"model": "gpt-x", "messages": [{"role": "user", "content": "hi"}], **fields}
    return ChatRequest.from_wire({**body, "stream": stream}, tenant="t")


def piece(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-9", "object": "chat.completion.chunk", "created": 7, "model": "gpt-x-1"}
    return {**head, "choices": [choice]}


HELLO = [
    piece({"role": "assistant", "content": ""}),
    piece({"content": "你好 🦊"}),
    piece({}, "stop"),
]


async def use(
    server: Loopback,
    work: Callable[[Upstream], Any],
    **settings: Any,
) -> Any:
    settings = {"api_key": KEY, "timeout_s": WAIT_S, **settings}
    relay = Upstream(UpstreamSettings(base_url=server.base_url, **settings))
    try:
        return await work(relay)
    finally:
        await relay.aclose()


async def chunks_of(relay: Upstream, request: ChatRequest) -> list[Chunk]:
    return [chunk async for chunk in relay.answer(request)]


def ask(server: Loopback, request: ChatRequest, **settings: Any) -> list[Chunk]:
    answered: list[Chunk] = asyncio.run(
        use(server, lambda relay: chunks_of(relay, request), **settings)
    )
    return answered


def refusal(server: Loopback, request: ChatRequest, **settings: Any) -> UpstreamError:
    with pytest.raises(UpstreamError) as refused:
        ask(server, request, **settings)
    assert KEY not in str(refused.value)
    return refused.value


WHOLE = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-x-2031",
    "vendor_top": {"a": [1, None]},
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hé\nllo", "refusal": None, "vendor": 1},
            "logprobs": {
                "content": [
                    {"token": "Hé\n", "logprob": -0.25, "bytes": [72], "top_logprobs": []},
                    {"token": "llo", "logprob": -1.5, "bytes": None, "top_logprobs": []},
                ],
                "refusal": None,
            },
            "finish_reason": "stop",
            "content_filter_results": {"hate": {"filtered": False}},
        },
        {
            "index": 1,
            "message": {"role": "assistant", "content": "Hi", "refusal": None},
            "logprobs": None,
            "finish_reason": "length",
        },
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "x": {"cached": 1}},
    "system_fingerprint": None,
}


def endless() -> Iterator[bytes | float]:
    """The parts of a stream that never ends by itself."""
    while True:
        yield from sse(HELLO[1], done=False)
        yield 0.002
