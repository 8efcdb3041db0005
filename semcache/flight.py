"""One answer in the making, shared by everybody who asks for it.

The work runs in a task of its own, so a caller who leaves cancels nobody; when the last one has
left, the task is cancelled. A late joiner reads what was already produced, then what comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from semcache.completion import Chunk

D = TypeVar("D")


class Flight(Generic[D]):
    """A running lookup and answer: first what was decided, then chunks, if any.

    Belongs to the event loop that made it. The work calls `decide`, `add` and `finish`; who
    decides by other means calls `decide` and `finish` itself, and starts no work.
    """

    def __init__(self) -> None:
        self._decided: list[D] = []
        self._waiting: list[asyncio.Future[D]] = []
        self._chunks: list[Chunk] = []
        self._finished = False
        self._error: BaseException | None = None
        self._news = asyncio.Event()
        self._readers = 0
        self._task: asyncio.Task[None] | None = None

    def start(self, work: Callable[[Flight[D]], Coroutine[Any, Any, None]]) -> None:
        """Run the work; whatever it raises reaches every reader."""
        self._task = asyncio.get_running_loop().create_task(self._run(work))

    def join(self) -> Reader[D]:
        """One more caller. Every reader must be closed."""
        self._readers += 1
        return Reader(self)

    def decide(self, decision: D) -> None:
        """Tell every caller what the cache has decided."""
        if self._decided or self._finished:
            return
        self._decided.append(decision)
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(decision)

    def add(self, chunk: Chunk) -> None:
        """Hand one chunk to every reader."""
        self._chunks.append(chunk)
        self._wake()

    def finish(self, error: BaseException | None = None) -> None:
        """No more chunks; the readers end, or raise `error`."""
        if self._finished:
            return
        self._finished = True
        self._error = error
        if error is not None:
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_exception(error)
        self._wake()

    @property
    def abandoned(self) -> bool:
        """Whether every caller has left before the end: nobody may join any more."""
        return self._readers == 0 and not self._finished

    @property
    def followers(self) -> int:
        """How many callers there are beside one."""
        return max(0, self._readers - 1)

    @property
    def chunks(self) -> list[Chunk]:
        """What was produced so far."""
        return self._chunks

    async def _decision(self) -> D:
        """A future for each who waits: to cancel one is not to cancel another."""
        if self._decided:
            return self._decided[0]
        if self._error is not None:
            raise self._error
        waiting: asyncio.Future[D] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        return await waiting

    async def settled(self) -> None:
        """Wait until the work, storing included, is over."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self, work: Callable[[Flight[D]], Coroutine[Any, Any, None]]) -> None:
        try:
            await work(self)
            self.finish()
        except asyncio.CancelledError:
            self.finish(asyncio.CancelledError())
            raise
        except Exception as error:
            self.finish(error)

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _leave(self) -> None:
        self._readers -= 1
        if self._readers == 0 and not self._finished and self._task is not None:
            self._task.cancel()


class Flights(dict[str, Flight[D]]):
    """The flights of one event loop that may be joined, by key."""

    def joinable(self, key: str) -> Flight[D] | None:
        """The flight under this key, unless everybody has left it."""
        flight = self.get(key)
        return None if flight is None or flight.abandoned else flight

    @property
    def followers(self) -> int:
        """How many callers share the answer to another. From any thread."""
        return sum(flight.followers for flight in list(self.values()))

    def land(self, key: str, flight: Flight[D]) -> None:
        """Nobody may join this flight any more; another under the same key stays."""
        if self.get(key) is flight:
            del self[key]


class Reader(Generic[D]):
    """One caller's view of a flight: an async iterator of chunks from the first one on."""

    def __init__(self, flight: Flight[D]) -> None:
        self._flight = flight
        self._at = 0
        self._open = True

    async def decision(self) -> D:
        """What the cache decided; raises what stopped the work before it could decide."""
        return await self._flight._decision()

    def __aiter__(self) -> Reader[D]:
        return self

    async def __anext__(self) -> Chunk:
        flight = self._flight
        while self._at == len(flight._chunks):
            if flight._finished or not self._open:
                self._end()
            await flight._news.wait()
        chunk = flight._chunks[self._at]
        self._at += 1
        return chunk

    def close(self) -> None:
        """Leave; the last to leave an unfinished flight cancels it. May be called twice."""
        if self._open:
            self._open = False
            self._flight._leave()

    def _end(self) -> None:
        error = self._flight._error
        self.close()
        if error is not None:
            raise error
        raise StopAsyncIteration
