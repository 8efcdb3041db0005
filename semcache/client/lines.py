"""How a question reaches the caller's own server: through the caller's own HTTP client.

An async client is used where it is. A blocking client works in a thread of its own for each
question, because an answer may have to outlive the caller who asked first.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Mapping
from contextlib import closing, suppress
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import httpx2

Options: TypeAlias = Mapping[str, Any]
"""The arguments of `httpx2.Client.send` beside the request."""

# How long the end of a body may lag behind `[DONE]` before its connection is given up.
_TAIL_S = 0.05


class LineError(Exception):
    """The HTTP client raised `error`; it is the caller's, as it is."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(type(error).__name__)
        self.error = error


class Opened(Protocol):
    """A response whose body has not been read."""

    @property
    def response(self) -> httpx2.Response: ...

    def feeds(self) -> AsyncGenerator[bytes, None]:
        """The body, decoded, as it comes. To be called once. Raises LineError."""
        ...

    async def skip_tail(self) -> None:
        """Nothing more is wanted; read what is left, so that the connection can be used again."""
        ...

    async def aclose(self) -> None: ...


class Line(Protocol):
    """A way to the server."""

    async def open(self, request: httpx2.Request) -> Opened:
        """Send, and wait for the head of the response. Raises LineError."""
        ...


# ---------------------------------------------------------------------------------------- async


@dataclass(frozen=True, slots=True)
class AsyncLine:
    """Through an async client, in the loop that runs us."""

    client: httpx2.AsyncClient
    options: Options

    async def open(self, request: httpx2.Request) -> Opened:
        """Send, and wait for the head of the response. Raises LineError."""
        try:
            response = await self.client.send(request, stream=True, **self.options)
        except Exception as error:
            raise LineError(error) from error
        return _AsyncOpened(response)


class _AsyncOpened:
    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._bytes = response.aiter_bytes()

    async def feeds(self) -> AsyncGenerator[bytes, None]:
        try:
            async for feed in self._bytes:
                yield feed
        except Exception as error:
            raise LineError(error) from error

    async def skip_tail(self) -> None:
        with suppress(TimeoutError, httpx2.HTTPError):
            async with asyncio.timeout(_TAIL_S):
                async for _ in self._bytes:
                    pass

    async def aclose(self) -> None:
        await self.response.aclose()


# ------------------------------------------------------------------------------------- blocking


@dataclass(frozen=True, slots=True)
class ThreadLine:
    """Through a blocking client, in a daemon thread that sees the caller's context variables."""

    client: httpx2.Client
    options: Options
    context: Context

    async def open(self, request: httpx2.Request) -> Opened:
        """Send, and wait for the head of the response. Raises LineError."""
        opened = _ThreadOpened(asyncio.get_running_loop())
        work = (opened.work, self.client, request, self.options)
        thread = threading.Thread(
            target=self.context.copy().run, args=work, name="semcache-line", daemon=True
        )
        thread.start()
        try:
            await opened.wait_for_head()
        except BaseException:
            await opened.aclose()
            raise
        return opened


class _ThreadOpened:
    """One response, read by a thread and handed over to an event loop.

    A caller who leaves is noticed at the next piece of the body: nothing can wake a thread that
    waits for a socket without harm to whoever uses the connection next.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: asyncio.Queue[httpx2.Response | bytes | LineError | None] = asyncio.Queue()
        self._left = False
        self._response: httpx2.Response | None = None

    @property
    def response(self) -> httpx2.Response:
        if self._response is None:
            raise RuntimeError("there is no response yet")
        return self._response

    async def wait_for_head(self) -> None:
        item = await self._items.get()
        if isinstance(item, LineError):
            raise item from item.error
        if isinstance(item, httpx2.Response):
            self._response = item

    async def feeds(self) -> AsyncGenerator[bytes, None]:
        while isinstance(item := await self._items.get(), bytes):
            yield item
        if isinstance(item, LineError):
            raise item from item.error

    async def skip_tail(self) -> None:
        """The thread reads the tail: nobody has to wait for it."""
        self._left = True

    async def aclose(self) -> None:
        self._left = True

    def work(self, client: httpx2.Client, request: httpx2.Request, options: Options) -> None:
        """In the thread: send, and read as long as somebody listens."""
        try:
            with closing(client.send(request, stream=True, **options)) as response:
                self._hand_over(response)
                self._read(response)
            self._hand_over(None)
        except BaseException as error:  # whatever it is, somebody waits to hear of it
            self._hand_over(LineError(error))

    def _read(self, response: httpx2.Response) -> None:
        for feed in response.iter_bytes():
            if self._left:
                return
            self._hand_over(feed)

    def _hand_over(self, item: httpx2.Response | bytes | LineError | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self._left = True
