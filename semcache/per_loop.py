"""HTTP clients for code that runs in several event loops: one each, for connections cannot move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Protocol

import httpx2


class AsyncClients(Protocol):
    """Where an async HTTP client comes from."""

    @property
    def is_closed(self) -> bool: ...

    @property
    def timeout(self) -> httpx2.Timeout:
        """What a request without a timeout of its own gets."""
        ...

    @property
    def authenticates(self) -> bool:
        """Whether requests are given a name on their way out."""
        ...

    def here(self) -> httpx2.AsyncClient:
        """The client for the running event loop."""
        ...

    async def aclose(self) -> None: ...


class PerLoop:
    """A client for each event loop, made on first use, closed with it.

    `fresh` makes them, without `auth`; every request brings its own timeout. Under another
    library than asyncio there is one client for all.
    """

    authenticates = False

    def __init__(self, fresh: Callable[[], httpx2.AsyncClient]) -> None:
        self.is_closed = False
        self.timeout = httpx2.Timeout(5.0)  # httpx2's own default: nobody asked for another
        self._fresh = fresh
        self._clients: dict[asyncio.AbstractEventLoop | None, _Held] = {}

    def here(self) -> httpx2.AsyncClient:
        """The client for the running event loop."""
        loop = _running()
        held = self._clients.get(loop)
        if held is None:
            self._forget_closed_loops()
            held = self._clients[loop] = _Held(self._fresh(), loop)
        return held.client

    async def aclose(self) -> None:
        """Close every client, each in its own loop."""
        self.is_closed = True
        here = _running()
        clients = list(self._clients.items())
        self._clients.clear()
        for loop, held in clients:
            if loop is here:
                await held.client.aclose()
            elif loop is not None and loop.is_running():
                asyncio.run_coroutine_threadsafe(held.client.aclose(), loop)

    def _forget_closed_loops(self) -> None:
        for loop in list(self._clients):
            if loop is not None and loop.is_closed():
                del self._clients[loop]


class _Held:
    """A client that its loop closes: `asyncio.run` ends by closing the generators it knows."""

    def __init__(self, client: httpx2.AsyncClient, loop: asyncio.AbstractEventLoop | None) -> None:
        self.client = client
        if loop is not None:
            self._guard = _closing(client)
            self._entered = loop.create_task(_enter(self._guard))


async def _closing(client: httpx2.AsyncClient) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await client.aclose()


async def _enter(guard: AsyncGenerator[None, None]) -> None:
    await anext(guard)


class Given:
    """Somebody else's client, the same for every loop."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    @property
    def is_closed(self) -> bool:
        """Whether it can send no more."""
        return self._client.is_closed

    @property
    def timeout(self) -> httpx2.Timeout:
        """Its own."""
        return self._client.timeout

    @property
    def authenticates(self) -> bool:
        """Whether it was given `auth`."""
        return self._client.auth is not None

    def here(self) -> httpx2.AsyncClient:
        """The client."""
        return self._client

    async def aclose(self) -> None:
        """Close it."""
        await self._client.aclose()


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
