"""An upstream that answers, fails, stalls, breaks off and talks nonsense, at random but by seed."""

from __future__ import annotations

import asyncio
import random
import socket
from itertools import count
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from typing import Any

import orjson
import uvicorn

from benchmarks.soak.questions import answer_to

STALL_S = 6.0
_WHOLE_S = (0.005, 0.08)
_FAILURES = (500, 502, 503, 429)
_SHARES = {"well": 80, "fails": 8, "breaks": 5, "stalls": 3, "nonsense": 4}


class Upstream:
    """The ASGI application."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._serials = count(1)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = await _body(receive)
        mood = self._chance.choices([*_SHARES], [*_SHARES.values()])[0]
        await asyncio.sleep(self._chance.uniform(*_WHOLE_S))
        if mood == "stalls":
            await asyncio.sleep(STALL_S)
        elif mood == "fails":
            status = self._chance.choice(_FAILURES)
            error = {"error": {"message": "not now", "type": "server_error", "code": None}}
            await _respond(send, status, orjson.dumps(error))
            return
        elif mood == "nonsense":
            await _respond(send, 200, b'{"choices": [{"mess')
            return
        await self._answer(orjson.loads(body), send, cut=mood == "breaks")

    async def _answer(self, asked: dict[str, Any], send: Any, *, cut: bool) -> None:
        serial = next(self._serials)
        text = answer_to(str(asked["messages"][-1]["content"]), serial)
        head = {"id": f"chatcmpl-{serial}", "created": 1_700_000_000, "model": asked["model"]}
        if asked.get("stream"):
            await self._stream(head, text, send, cut=cut)
            return
        usage = {"prompt_tokens": 12, "completion_tokens": 20, "total_tokens": 32}
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        whole = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        body = orjson.dumps(whole)
        await _respond(send, 200, body[: len(body) // 2] if cut else body, len(body))

    async def _stream(self, head: dict[str, Any], text: str, send: Any, *, cut: bool) -> None:
        kind = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        pieces = [word + " " for word in text.split(" ")]
        pieces[-1] = pieces[-1].rstrip()
        deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant"}, None)]
        deltas += [({"content": piece}, None) for piece in pieces]
        deltas.append(({}, "stop"))
        for at, (delta, finish) in enumerate(deltas):
            if cut and at == len(deltas) // 2:
                raise ConnectionError("broken off on purpose")
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            chunk = {**head, "object": "chat.completion.chunk", "choices": [choice]}
            await _event(send, orjson.dumps(chunk))
            if self._chance.random() < 0.1:
                await asyncio.sleep(0.01)
        await _event(send, b"[DONE]")
        await send({"type": "http.response.body", "body": b""})


async def _body(receive: Any) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _respond(send: Any, status: int, body: bytes, length: int | None = None) -> None:
    said = len(body) if length is None else length
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % said)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _event(send: Any, data: bytes) -> None:
    await send({"type": "http.response.body", "body": b"data: %b\n\n" % data, "more_body": True})


def start(listener: socket.socket, seed: int) -> SpawnProcess:
    """Serve in a process of its own, on this socket."""
    process = get_context("spawn").Process(target=_serve, args=(listener, seed), daemon=True)
    process.start()
    return process


def _serve(listener: socket.socket, seed: int) -> None:
    config = uvicorn.Config(Upstream(seed), log_level="critical", lifespan="off", ws="none")
    uvicorn.Server(config).run(sockets=[listener])
