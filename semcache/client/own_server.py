"""The server that the caller asked, as an answerer: the caller's own request, sent as it is.

What comes back is the caller's too. A refusal, a page of HTML or a stream that breaks off reaches
the caller as if no cache were there; only an answer that is whole becomes anybody else's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx2
import orjson

from semcache.answer_form import is_event_stream, is_last, is_whole, is_wire_of
from semcache.chat import ChatRequest, Kind
from semcache.client.lines import Line, Opened
from semcache.completion import Chunk, Completion, replay
from semcache.errors import UpstreamError
from semcache.keys import Source
from semcache.sse import DONE_DATA, EventDecoder


class StreamCut(UpstreamError):
    """A stream ended before `[DONE]`; `rest` is what the server said last that is no chunk."""

    def __init__(self, rest: bytes = b"") -> None:
        super().__init__("The stream ended before it was complete.")
        self.rest = rest


@dataclass(frozen=True, slots=True)
class Head:
    """The start of a response, as it came."""

    status: int
    headers: list[tuple[bytes, bytes]]
    extensions: dict[str, Any]


class OwnServer:
    """Answers one request by sending it. Implements `interfaces.Answerer`.

    `head` and, where it was not a stream, `body` are what the server sent, once `answer` has got
    so far. `refusers` remembers the servers that refuse `stream_options`, over many requests.
    """

    name = "upstream"  # as in a server's configuration: the same address is the same source

    def __init__(
        self, line: Line, request: httpx2.Request, address: str, refusers: set[str]
    ) -> None:
        self.head: Head | None = None
        self.body: bytes | None = None
        self.request = request
        self._line = line
        self._address = address
        self._refusers = refusers

    def accepts(self, request: ChatRequest) -> bool:
        """Always: it is this request's own server."""
        return True

    def source(self, request: ChatRequest) -> Source:
        """The address: another server's answers are never this one's."""
        return Source(answerer=self.name, model=self._address)

    def models(self) -> Sequence[str]:
        """None that we know of."""
        return ()

    async def aclose(self) -> None:
        """The HTTP client is the caller's: nothing to close."""

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Send, and relay. Raises LineError; UpstreamError where `body` is no answer; StreamCut."""
        async with aclosing(await self._open(request)) as opened:
            kind = opened.response.headers.get("content-type", "")
            if is_event_stream(kind, asked_for=request.stream):
                async with aclosing(_relayed(opened, request.kind)) as chunks:
                    async for chunk in chunks:
                        yield chunk
                return
            self.body = await _read(opened)
        for chunk in replay(Completion(_answer_in(self.body, request.kind))):
            yield chunk

    async def _open(self, request: ChatRequest) -> Opened:
        """An open response, with usage asked for in a stream where the caller did not."""
        has_usage = request.include_usage or request.kind == "response"
        if not request.stream or has_usage or self._address in self._refusers:
            return await self._send(self.request)
        try:
            return await self._send(_asking_usage(self.request, request))
        except UpstreamError as error:
            if error.status not in {400, 422} or b"stream_options" not in (self.body or b""):
                raise
        self.body = None
        opened = await self._send(self.request)
        self._refusers.add(self._address)  # only now: the refusal was not about something else
        return opened

    async def _send(self, request: httpx2.Request) -> Opened:
        opened = await self._line.open(request)
        response = opened.response
        told = ("http_version", "reason_phrase")
        extensions = {k: v for k, v in response.extensions.items() if k in told}
        self.head = Head(response.status_code, list(response.headers.raw), extensions)
        if response.is_success:
            return opened
        async with aclosing(opened):
            self.body = await _read(opened)
        raise UpstreamError("The server refused the request.", status=response.status_code)


def _asking_usage(request: httpx2.Request, asked: ChatRequest) -> httpx2.Request:
    options = {**(asked.stream_options or {}), "include_usage": True}
    body = {**orjson.loads(request.content), "stream_options": options}
    headers = request.headers.copy()
    del headers["content-length"]
    return httpx2.Request(
        request.method,
        request.url,
        headers=headers,
        content=orjson.dumps(body),
        extensions=request.extensions,
    )


async def _read(opened: Opened) -> bytes:
    async with aclosing(opened.feeds()) as feeds:
        return b"".join([feed async for feed in feeds])


async def _relayed(opened: Opened, kind: Kind) -> AsyncGenerator[Chunk, None]:
    decoder = EventDecoder()
    async with aclosing(opened.feeds()) as feeds:
        async for feed in feeds:
            for data in decoder.feed(feed):
                if data.startswith(DONE_DATA):
                    ended = kind != "response"
                else:
                    wire = _chunk_in(data, kind)
                    yield Chunk(wire)
                    ended = is_last(wire)
                if ended:
                    await opened.skip_tail()
                    return
    raise StreamCut


def _chunk_in(data: str, kind: Kind) -> dict[str, Any]:
    wire = _parsed(data, kind)
    if wire is None:
        raise StreamCut(b"data: " + data.replace("\n", "\ndata: ").encode() + b"\n\n")
    return wire


def _answer_in(body: bytes, kind: Kind) -> dict[str, Any]:
    wire = _parsed(body, kind)
    if wire is None or not is_whole(kind, wire):
        raise UpstreamError("The server sent something that is no answer.")
    return wire


def _parsed(data: str | bytes, kind: Kind) -> dict[str, Any] | None:
    try:
        wire = orjson.loads(data)
    except ValueError:
        return None
    return wire if isinstance(wire, dict) and is_wire_of(kind, wire) else None
