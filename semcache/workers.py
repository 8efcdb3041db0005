"""The driver's threads: blocking leaves run here, one hop away from the event loop.

A SimpleQueue and `call_soon_threadsafe` cost a third of an executor's hand-over.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
_Job: TypeAlias = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class Workers:
    """A fixed set of threads that serve any number of event loops."""

    def __init__(self, count: int, name: str = "semcache") -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._closed = False
        self._gate = threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{at}", daemon=True)
            for at in range(count)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, job: Callable[[], T]) -> T:
        """Run `job` in a thread; its result or exception is this coroutine's.

        Raises RuntimeError after `close`: nobody would ever do the job.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._gate:
            if self._closed:
                raise RuntimeError("the cache is closed")
            self._jobs.put((loop, future, job))
        return await future

    def close(self) -> None:
        """Finish what is queued, then end the threads. Not from a worker thread."""
        with self._gate:
            self._closed = True
            for _ in self._threads:
                self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _work(self) -> None:
        while (queued := self._jobs.get()) is not None:
            loop, future, job = queued
            if future.cancelled():
                continue
            result, error = None, None
            try:
                result = job()
            except BaseException as raised:  # the caller's to handle, whatever it is
                error = raised
            if not loop.is_closed():
                try:
                    loop.call_soon_threadsafe(_settle, future, result, error)
                except RuntimeError:  # the loop was closed in between: nobody waits any more
                    continue


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
