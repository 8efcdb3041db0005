"""One thread that owns the model; jobs take turns on it, a step each.

Any thread may submit. A job's failure is its own; a cancelled job is dropped before its next step.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from semcache.errors import EngineBusy, EngineError, SemcacheError

log = logging.getLogger("semcache.cag")

T = TypeVar("T")


class Job(Protocol):
    """Work in steps. Every method is called on the model's thread."""

    cancelled: bool
    """Set from any thread: no further step is taken."""

    def step(self) -> bool:
        """Do a little; True when all is done."""
        ...

    def fail(self, error: BaseException) -> None:
        """No step follows: one has raised, or the scheduler closes."""
        ...


class Scheduler:
    """Round-robin over at most `max_active` jobs, while at most `max_queued` wait."""

    def __init__(self, *, max_active: int, max_queued: int, name: str = "semcache-cag") -> None:
        self._max_active = max_active
        self._max_queued = max_queued
        self._news = threading.Condition()
        self._urgent: deque[Job] = deque()
        self._waiting: deque[Job] = deque()
        self._active: deque[Job] = deque()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a request's job. Raises EngineBusy (the queue is full), EngineError (closed)."""
        with self._news:
            self._require_open()
            if len(self._waiting) >= self._max_queued:
                self._waiting = deque(job for job in self._waiting if not job.cancelled)
            if len(self._waiting) >= self._max_queued:
                raise EngineBusy(
                    f"The local engine is busy: {len(self._waiting)} requests wait. Try again soon."
                )
            self._waiting.append(job)
            self._news.notify()

    def run(self, job: Job) -> None:
        """Run a job of the engine's own, beside the requests; blocks. Raises what it raises."""
        errand = _Errand(job)
        with self._news:
            self._require_open()
            self._urgent.append(errand)
            self._news.notify()
        errand.ended.wait()
        if errand.error is not None:
            raise errand.error

    def call(self, work: Callable[[], T]) -> T:
        """Run one function on the model's thread; blocks. Raises what it raises."""
        single = _Single(work)
        self.run(single)
        return single.results[0]

    def close(self) -> None:
        """Fail every job with EngineError and end the thread; returns when it has ended."""
        with self._news:
            self._closed = True
            self._news.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _require_open(self) -> None:
        if self._closed:
            raise EngineError("The local engine is shutting down.")

    def _work(self) -> None:
        while (job := self._next()) is not None:
            if job.cancelled:
                continue
            try:
                ended = job.step()
            except BaseException as error:  # a job's failure must not end the thread
                _fail(job, error)
                continue
            if not ended:
                self._active.append(job)
        for job in (*self._urgent, *self._active, *self._waiting):
            _fail(job, EngineError("The local engine is shutting down."))

    def _next(self) -> Job | None:
        with self._news:
            while not (self._closed or self._urgent or self._active or self._waiting):
                self._news.wait()
            if self._closed:
                return None
            while self._urgent:
                self._active.append(self._urgent.popleft())
            while self._waiting and len(self._active) < self._max_active:
                self._active.append(self._waiting.popleft())
            return self._active.popleft()


class _Errand:
    """A job that somebody waits for."""

    def __init__(self, job: Job) -> None:
        self.cancelled = False
        self.ended = threading.Event()
        self.error: BaseException | None = None
        self._job = job

    def step(self) -> bool:
        ended = self._job.step()
        if ended:
            self.ended.set()
        return ended

    def fail(self, error: BaseException) -> None:
        self.error = error
        self._job.fail(error)
        self.ended.set()


class _Single(Generic[T]):
    """A function as a job."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.cancelled = False
        self.results: list[T] = []
        self._work = work

    def step(self) -> bool:
        self.results.append(self._work())
        return True

    def fail(self, error: BaseException) -> None:
        return


def _fail(job: Job, error: BaseException) -> None:
    if not isinstance(error, SemcacheError):
        log.error("a step on the model's thread failed", exc_info=error)
    try:
        job.fail(error)
    except Exception:
        log.exception("a failed job could not be told so")
