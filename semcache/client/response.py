"""Outcomes as the `httpx2.Response` objects that the official clients expect.

`elapsed` can be read as soon as a response is closed, as with a response from the network.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from datetime import timedelta
from queue import SimpleQueue
from typing import TypeAlias

import httpx2

from semcache.client.exchange import Live, Whole

_Item: TypeAlias = bytes | BaseException | None


class Clock:
    """Times one response from the moment its request was sent."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def elapsed(self) -> timedelta:
        """Since then."""
        return timedelta(seconds=time.perf_counter() - self._start)


def whole_response(
    whole: Whole, request: httpx2.Request, clock: Clock, *, stream: bool
) -> httpx2.Response:
    """A response whose body is there; unread if a stream was asked for."""
    length = (b"content-length", b"%d" % len(whole.body))
    headers = [*whole.headers, length]
    if stream:
        return httpx2.Response(
            whole.status,
            headers=headers,
            stream=_Body(whole.body, clock),
            request=request,
            extensions=whole.extensions,
        )
    response = httpx2.Response(
        whole.status,
        headers=headers,
        content=whole.body,
        request=request,
        extensions=whole.extensions,
    )
    response.elapsed = clock.elapsed()
    return response


def live_response(
    live: Live, body: BlockingEvents | AsyncEvents, request: httpx2.Request
) -> httpx2.Response:
    """A response whose body is still to come, unread."""
    return httpx2.Response(
        200, headers=live.headers, stream=body, request=request, extensions=live.extensions
    )


class _Body(httpx2.ByteStream):
    """Bytes as a stream that can be read once, by either kind of client."""

    def __init__(self, body: bytes, clock: Clock) -> None:
        super().__init__(body)
        self.elapsed: timedelta | None = None
        self._clock = clock

    def close(self) -> None:
        self.elapsed = self._clock.elapsed()

    async def aclose(self) -> None:
        self.elapsed = self._clock.elapsed()


class AsyncEvents(httpx2.AsyncByteStream):
    """A live answer for an async client. Closing it leaves the answer."""

    def __init__(self, live: Live, clock: Clock) -> None:
        self.elapsed: timedelta | None = None
        self._live = live
        self._clock = clock

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        return self._live.events

    async def aclose(self) -> None:
        self.elapsed = self._clock.elapsed()
        self._live.reply.close()
        with suppress(RuntimeError):  # another task is waiting in it; it ends by itself
            await self._live.events.aclose()


class BlockingEvents(httpx2.SyncByteStream):
    """A live answer for a blocking client: a task of the loop fills a queue. Made in the loop."""

    def __init__(self, live: Live, clock: Clock) -> None:
        self.elapsed: timedelta | None = None
        self._clock = clock
        self._items: SimpleQueue[_Item] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._live = live
        self._task = self._loop.create_task(self._fill())

    def __iter__(self) -> Iterator[bytes]:
        while isinstance(item := self._items.get(), bytes):
            yield item
        self._items.put(None)  # an iterator that is used again ends again
        if isinstance(item, BaseException):
            raise item

    def close(self) -> None:
        self.elapsed = self._clock.elapsed()
        with suppress(RuntimeError):  # the loop is closed, and the task with it
            self._loop.call_soon_threadsafe(self._task.cancel)

    async def _fill(self) -> None:
        try:
            async for event in self._live.events:
                self._items.put(event)
        except Exception as error:
            self._items.put(error)
        except asyncio.CancelledError:  # not for a caller who left: that one reads no more
            self._items.put(httpx2.ReadError("The cache was closed."))
            raise
        finally:
            self._live.reply.close()
            self._items.put(None)
            await self._live.events.aclose()
