"""HTTP clients for code that runs in several event loops: one each, for connections cannot move."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol
from weakref import WeakKeyDictionary

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
    """A client for each event loop, made on first use. A closed loop's client is dropped.

    `fresh` makes them, without `auth`; every request brings its own timeout.
    """

    authenticates = False

    def __init__(self, fresh: Callable[[], httpx2.AsyncClient]) -> None:
        self.is_closed = False
        self.timeout = httpx2.Timeout(5.0)  # httpx2's own default: nobody asked for another
        self._fresh = fresh
        self._clients: WeakKeyDictionary[object, httpx2.AsyncClient] = WeakKeyDictionary()

    def here(self) -> httpx2.AsyncClient:
        """The client for the running event loop."""
        loop = _running()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = self._fresh()
        return client

    async def aclose(self) -> None:
        """Close every client, each in its own loop."""
        self.is_closed = True
        here = _running()
        clients = list(self._clients.items())
        self._clients.clear()
        for loop, client in clients:
            if loop is here:
                await client.aclose()
            elif isinstance(loop, asyncio.AbstractEventLoop) and loop.is_running():
                asyncio.run_coroutine_threadsafe(client.aclose(), loop)


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


class _NoAsyncioLoop:
    """Stands for whatever runs us that is not asyncio."""


_ELSEWHERE = _NoAsyncioLoop()


def _running() -> object:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return _ELSEWHERE
