"""The HTTP client under `openai.AsyncOpenAI`: questions go through the cache, the rest passes by.

It works in the event loop of whoever awaits it. The inner client keeps its ways.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2

from semcache.client.asking import Asked, Asking, explained
from semcache.client.attached import Attached, Ready
from semcache.client.calls import answer_call, read_call
from semcache.client.exchange import Live, PassOn, exchange
from semcache.client.lines import AsyncLine, LineError, Options
from semcache.client.question import read_question
from semcache.client.response import AsyncEvents, Clock, live_response, whole_response
from semcache.per_loop import AsyncClients

_DEFAULT = httpx2.USE_CLIENT_DEFAULT


class CachingAsyncClient(httpx2.AsyncClient):
    """For `openai.AsyncOpenAI`. The cache runs in the caller's own event loop.

    Under anything but asyncio the cache is passed by.
    """

    def __init__(self, clients: AsyncClients, attached: Attached) -> None:
        super().__init__(transport=_AsyncThrough(clients), timeout=clients.timeout, trust_env=False)
        self.clients = clients
        self.attached = attached
        self._released = False
        self._asking = Asking(attached, authenticates_itself=clients.authenticates)

    @property
    def is_closed(self) -> bool:
        """Whether it can send no more."""
        return self.clients.is_closed

    def build_request(self, *args: Any, **kwargs: Any) -> httpx2.Request:
        """As the inner client builds it: with its headers, parameters and cookies."""
        return self.clients.here().build_request(*args, **kwargs)

    async def send(
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        auth: Any = _DEFAULT,
        follow_redirects: Any = _DEFAULT,
    ) -> httpx2.Response:
        """Answer from the cache, through it, or without it. Raises as httpx2.AsyncClient.send."""
        options: Options = {"auth": auth, "follow_redirects": follow_redirects}
        clock = Clock()
        inner = self._inner()
        question = None if inner.is_closed else read_question(request, inner.cookies)
        if question is None:
            answered = await self._called(inner, request, clock, options, stream=stream)
            return answered or await inner.send(request, stream=stream, **options)
        ready = await self._ready()
        if ready is None:
            return await inner.send(request, stream=stream, **options)
        asked = self._asking.asked(ready, question, request, AsyncLine(inner, options))
        if asked is None:
            return await inner.send(request, stream=stream, **options)
        if asked.is_none_of_ours:
            return explained(asked, await inner.send(request, stream=stream, **options))
        whole = self._asking.remembered(asked)
        if whole is not None:
            return whole_response(whole, request, clock, stream=stream)
        try:
            response = await _fetch(asked, clock, stream=stream)
        except PassOn as why:
            self._asking.passed_on(why)
            return await inner.send(request, stream=stream, **options)
        if not stream:
            await response.aread()
        return response

    async def _called(
        self,
        inner: httpx2.AsyncClient,
        request: httpx2.Request,
        clock: Clock,
        options: Options,
        *,
        stream: bool,
    ) -> httpx2.Response | None:
        """The answer to a call for the cache itself."""
        call = None if inner.is_closed else read_call(request, inner.cookies)
        ready = None if call is None else await self._ready()
        if call is None or ready is None:
            return None
        line, mark = AsyncLine(inner, options), self._asking.mark
        whole = await asyncio.to_thread(answer_call, call, ready, mark, line)
        return None if whole is None else whole_response(whole, request, clock, stream=stream)

    def _inner(self) -> httpx2.AsyncClient:
        if self.clients.is_closed:
            raise RuntimeError("Cannot send a request, as the client has been closed.")
        return self.clients.here()

    async def _ready(self) -> Ready | None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return None
        if self.attached.settled:
            return self.attached.get()
        return await asyncio.to_thread(self.attached.get)

    async def aclose(self) -> None:
        """Close the inner client, and the cache if this was its last client."""
        await self.clients.aclose()
        await super().aclose()
        if self._released:
            return
        self._released = True
        left = self.attached.release()
        if left.cache is not None:
            await left.cache.aclose()
        if left.last:
            self.attached.loop.close()

    def detach(self) -> None:
        """Let go of the cache before it was used, and leave the inner client open."""
        if not self._released:
            self._released = True
            self.attached.release()

    async def __aenter__(self) -> CachingAsyncClient:
        await self.clients.here().__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.aclose()


async def _fetch(asked: Asked, clock: Clock, *, stream: bool) -> httpx2.Response:
    request = asked.own.request
    try:
        outcome = await exchange(asked.ready.cache, asked.plan, asked.own, asked.patience_s())
    except LineError as failure:
        broken = failure.error
    else:
        if isinstance(outcome, Live):
            return live_response(outcome, AsyncEvents(outcome, clock), request)
        return whole_response(outcome, request, clock, stream=stream)
    raise broken


class _AsyncThrough(httpx2.AsyncBaseTransport):
    """For code that reaches below `send`: what the inner client does, without the cache."""

    def __init__(self, clients: AsyncClients) -> None:
        self._clients = clients

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self._clients.here().send(
            request, stream=True, auth=httpx2.Auth(), follow_redirects=False
        )
