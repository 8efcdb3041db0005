"""An OpenAI-compatible server as an answerer, relayed.

Fields that nobody here knows pass as they came, in plain answers and in streams. An answer that
is not complete never looks complete: a stream that ends without `[DONE]` is an error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from fnmatch import fnmatchcase
from typing import Any

import httpx2
import orjson

from semcache.answer_form import error_in, is_event_stream, is_last, is_whole, is_wire_of
from semcache.chat import ChatRequest, Kind
from semcache.citations import without_own_fields
from semcache.completion import Chunk, Completion, replay
from semcache.endpoint import MAX_ANSWER_BYTES, Endpoint, UpstreamSettings
from semcache.errors import AuthenticationError, UpstreamError
from semcache.keys import Source
from semcache.sse import DONE_DATA, EventDecoder

__all__ = ["Upstream", "UpstreamSettings"]

_PATHS: Mapping[Kind, str] = {
    "chat": "chat/completions",
    "completion": "completions",
    "response": "responses",
    "embedding": "embeddings",
}
# How long the end of the body may lag behind `[DONE]` before its connection is given up.
_TAIL_S = 0.05
_log = logging.getLogger(__name__)


class Upstream:
    """One OpenAI-compatible server. Implements `interfaces.Answerer`.

    `http` is a client to send through instead of our own; it stays the caller's to close.
    """

    def __init__(
        self, settings: UpstreamSettings, *, http: httpx2.AsyncClient | None = None
    ) -> None:
        self._endpoint = Endpoint(settings, http=http)
        self._patterns = settings.models
        self._source = Source(answerer=settings.name, model=self._endpoint.root)
        self._asks_usage = settings.usage_in_streams
        self._from_caller = settings.key_from_caller

    @property
    def name(self) -> str:
        """The name in the configuration; part of every key."""
        return self._endpoint.name

    def accepts(self, request: ChatRequest) -> bool:
        """Whether a pattern matches the model asked for; case counts."""
        return self._serves(request.model)

    def source(self, request: ChatRequest) -> Source:
        """This server: another upstream's answers are never this one's."""
        return self._source

    def models(self) -> list[str]:
        """The patterns that are plain names."""
        return [pattern for pattern in self._patterns if not set("*?[") & set(pattern)]

    async def fetch_models(self, key: str | None = None) -> list[dict[str, Any]]:
        """What the upstream lists under `/models`, as far as it is accepted; empty on an error.

        `key` is a caller's, where callers bring theirs.
        """
        try:
            async with aclosing(await self._endpoint.get("models", key)) as response:
                listed = orjson.loads(await self._endpoint.body(response))["data"]
            named = [model for model in listed if isinstance(model["id"], str)]
        except (httpx2.HTTPError, UpstreamError, ValueError, KeyError, TypeError) as error:
            _log.warning("upstream %s: no list of models: %s", self.name, type(error).__name__)
            return []
        return [model for model in named if self._serves(model["id"])]

    async def knows(self, key: str, path: str) -> bool:
        """Whether a caller's key is good for a GET of `path`.

        Raises UpstreamError where that cannot be told.
        """
        try:
            async with aclosing(await self._endpoint.get(path, key)) as response:
                await self._endpoint.body(response)
            return True
        except httpx2.HTTPError as error:
            raise self._endpoint.failure(error) from error
        except UpstreamError as error:
            if error.status in {401, 403}:
                return False
            raise

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Relay the upstream's answer, chunk by chunk. Closing it early leaves the upstream.

        Raises UpstreamError with the upstream's own status, body and headers, or with 502 (no
        connection, a broken or unfinished answer), 503 (no connection free) or 504 (silence);
        RequestError where the request cannot be written as JSON.
        """
        try:
            async with aclosing(await self._ask(request)) as response:
                kind = response.headers.get("content-type", "")
                if is_event_stream(kind, asked_for=request.stream):
                    async with aclosing(self._relayed(response, request.kind)) as chunks:
                        async for chunk in chunks:
                            yield chunk
                    return
                wire = self._whole(await self._endpoint.body(response), request.kind)
        except httpx2.HTTPError as error:
            raise self._endpoint.failure(error) from error
        for chunk in replay(Completion(wire)):
            yield chunk

    async def aclose(self) -> None:
        """Close the connections."""
        await self._endpoint.aclose()

    async def _ask(self, request: ChatRequest) -> httpx2.Response:
        """An open response, with usage asked for in a stream where the caller did not."""
        path, wire = _PATHS[request.kind], without_own_fields(request.to_wire())
        headers = self._headers(request)
        has_usage = request.include_usage or request.kind == "response"
        if not request.stream or has_usage or not self._asks_usage:
            return await self._endpoint.post(path, wire, headers)
        options = {**(request.stream_options or {}), "include_usage": True}
        try:
            return await self._endpoint.post(path, {**wire, "stream_options": options}, headers)
        except UpstreamError as error:
            if error.status not in {400, 422} or b"stream_options" not in (error.body or b""):
                raise
        response = await self._endpoint.post(path, wire, headers)
        self._asks_usage = False  # only now: the refusal was not about something else
        _log.info("upstream %s refuses stream_options; its streams carry no usage", self.name)
        return response

    def _headers(self, request: ChatRequest) -> dict[str, str]:
        """The caller's own, of which there are two kinds: what the operator lets through, a key."""
        headers = dict(request.headers)
        if self._from_caller:
            key = "" if request.caller is None else request.caller.key
            if not key:  # nobody else's key ever stands in for it
                raise AuthenticationError("This upstream needs the caller's own key.")
            headers["authorization"] = f"Bearer {key}"
        return headers

    def _serves(self, model: str) -> bool:
        return any(fnmatchcase(model, pattern) for pattern in self._patterns)

    async def _relayed(self, response: httpx2.Response, kind: Kind) -> AsyncGenerator[Chunk, None]:
        decoder = EventDecoder()
        read_bytes = 0
        async with aclosing(response.aiter_bytes()) as feeds:
            async for feed in feeds:
                read_bytes += len(feed)
                if read_bytes > MAX_ANSWER_BYTES:
                    raise self._endpoint.too_large()
                for data in decoder.feed(feed):
                    if data == DONE_DATA:
                        ended = kind != "response"
                    else:
                        wire = self._parsed(data, kind)
                        yield Chunk(wire)
                        ended = is_last(wire)
                    if ended:
                        await _skip_tail(feeds)
                        return
        end = "its last event" if kind == "response" else "[DONE]"
        raise UpstreamError(f"The upstream {self.name!r} ended its stream without {end}.")

    def _whole(self, body: bytes, kind: Kind) -> dict[str, Any]:
        wire = self._parsed(body, kind)
        if not is_whole(kind, wire):
            raise self._no_answer()
        return wire

    def _parsed(self, data: str | bytes, kind: Kind) -> dict[str, Any]:
        """The object in an event or a body; raises the error that it may hold instead."""
        try:
            wire = orjson.loads(data)
        except ValueError as error:
            raise UpstreamError(f"The upstream {self.name!r} sent invalid JSON.") from error
        if not isinstance(wire, dict):
            raise self._no_answer()
        if is_wire_of(kind, wire):
            return wire
        if (told := error_in(wire)) is None:
            raise self._no_answer()
        body = data.encode() if isinstance(data, str) else data
        if "error" not in wire:
            body = orjson.dumps({"error": told})
        raise UpstreamError(
            f"The upstream {self.name!r} answered with an error.",
            status=_status_in(told),
            body=self._endpoint.without_key(body),
            headers={"content-type": "application/json"},
        )

    def _no_answer(self) -> UpstreamError:
        return UpstreamError(f"The upstream {self.name!r} sent JSON that is no answer.")


def _status_in(error: object) -> int:
    """The HTTP status that an error inside a good response stands for."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code <= 599 else 502


async def _skip_tail(feeds: AsyncGenerator[bytes, None]) -> None:
    """Read the end of the body, so that its connection can serve the next request."""
    try:
        async with asyncio.timeout(_TAIL_S):
            async for _ in feeds:
                pass
    except (TimeoutError, httpx2.HTTPError):
        return  # the answer is whole; only the connection is lost
