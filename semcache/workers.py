"""The driver's threads: blocking leaves run here, one hop away from the event loop.

A SimpleQueue and `call_soon_threadsafe` cost a third of an executor's hand-over.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")
Then: TypeAlias = Callable[[Any, BaseException | None], None]


class _Job(NamedTuple):
    loop: asyncio.AbstractEventLoop
    context: Context
    work: Callable[[], Any]
    then: Then
    dropped: Callable[[], bool]


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
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._enqueue(job, partial(_settle, future), future.cancelled)
        return await future

    def call(self, job: Callable[[], Any], then: Then) -> None:
        """Run `job` in a thread, then `then(result, error)` in this event loop.

        A task's turns are saved: two rounds of the loop in place of five. Raises as `run` does.
        """
        self._enqueue(job, then, _never)

    def _enqueue(self, work: Callable[[], Any], then: Then, dropped: Callable[[], bool]) -> None:
        job = _Job(asyncio.get_running_loop(), copy_context(), work, then, dropped)
        with self._gate:
            if self._closed:
                raise RuntimeError("the cache is closed")
            self._jobs.put(job)

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
        while (job := self._jobs.get()) is not None:
            if job.dropped():
                continue
            result, error = None, None
            try:
                result = job.work()
            except BaseException as raised:  # the caller's to handle, whatever it is
                error = raised
            if not job.loop.is_closed():
                try:
                    job.loop.call_soon_threadsafe(job.then, result, error, context=job.context)
                except RuntimeError:  # the loop was closed in between: nobody waits any more
                    continue


def _never() -> bool:
    return False


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
