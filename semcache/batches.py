"""Threads that do together what waits together.

The encoder reads eight questions in less time than it needs for five alone, but nobody should wait
for company: what is alone runs alone, and only what has queued up meanwhile is taken as one batch,
shared fairly among the threads.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from queue import Empty, SimpleQueue
from typing import Any, Generic, NamedTuple, TypeVar

A = TypeVar("A")
R = TypeVar("R")


class _Waiting(NamedTuple):
    item: Any
    then: Callable[[Any, BaseException | None], None]
    loop: asyncio.AbstractEventLoop
    context: Context


class Batches(Generic[A, R]):
    """`work` maps items to results, in order; what it raises is every item's of that batch."""

    def __init__(
        self, count: int, work: Callable[[Sequence[A]], Sequence[R]], most: int, name: str
    ) -> None:
        self._work = work
        self._most = most
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._closed = False
        self._gate = threading.Lock()
        self._threads = [
            threading.Thread(target=self._serve, name=f"{name}-{at}", daemon=True)
            for at in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def call(self, item: A, then: Callable[[R, BaseException | None], None]) -> None:
        """Queue an item; `then(result, error)` runs in this event loop, in this context.

        `result` is None where there is an error. Raises RuntimeError after `close`.
        """
        waiting = _Waiting(item, then, asyncio.get_running_loop(), copy_context())
        with self._gate:
            if self._closed:
                raise RuntimeError("the cache is closed")
            self._queue.put(waiting)

    def close(self) -> None:
        """Finish what is queued, then end the threads. Not from one of them."""
        with self._gate:
            self._closed = True
            for _ in self._threads:
                self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _serve(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._next()
            if batch:
                self._do(batch)

    def _next(self) -> tuple[list[_Waiting], bool]:
        """One thread's share of what is queued now, and whether this thread has to end."""
        first = self._queue.get()
        if first is None:
            return [], True
        batch = [first]
        share = -(-(self._queue.qsize() + 1) // max(1, len(self._threads)))
        while len(batch) < min(share, self._most):
            try:
                another = self._queue.get_nowait()
            except Empty:
                break
            if another is None:
                return batch, True
            batch.append(another)
        return batch, False

    def _do(self, batch: Sequence[_Waiting]) -> None:
        results: Sequence[Any] = [None] * len(batch)
        error: BaseException | None = None
        try:
            results = self._work([one.item for one in batch])
        except BaseException as raised:  # the callers' to handle, whatever it is
            error = raised
        for one, result in zip(batch, results, strict=True):
            if not one.loop.is_closed():
                try:
                    one.loop.call_soon_threadsafe(one.then, result, error, context=one.context)
                except RuntimeError:  # the loop was closed in between: nobody waits any more
                    continue
