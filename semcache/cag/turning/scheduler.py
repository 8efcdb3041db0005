"""One thread that owns the model; jobs take turns on it, a step each.

Jobs of one crew take their turns together (`turns`: one forward pass for all of them), in the
place of the first; new ones join, and those that are done leave, at any turn.

Any thread may submit. A job's failure is its own; a cancelled job is dropped before its next step.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from semcache.errors import EngineBusy, EngineError, SemcacheError

log = logging.getLogger("semcache.cag")

T = TypeVar("T")


class Job(Protocol):
    """Work in turns. Every method is called on the model's thread."""

    cancelled: bool
    """Set from any thread: no further turn is taken."""

    def fail(self, error: BaseException) -> None:
        """No turn follows: one has raised, or the scheduler closes."""
        ...


class Stepping(Job, Protocol):
    """A job that takes its turns alone."""

    def step(self) -> bool:
        """Do a little; True when all is done."""
        ...


J = TypeVar("J", bound=Job)
J_contra = TypeVar("J_contra", bound=Job, contravariant=True)


class Crew(Protocol[J_contra]):
    """Takes one turn of several jobs together."""

    def turn(self, jobs: Sequence[J_contra]) -> Sequence[bool | BaseException]:
        """Of each job: whether it is done, or how it failed."""
        ...


class Alone:
    """The crew of one job, which steps for itself."""

    def turn(self, jobs: Sequence[Stepping]) -> Sequence[bool | BaseException]:
        """Implements `Crew`."""
        return [_outcome(job) for job in jobs]


@dataclass(frozen=True, slots=True)
class _Turning:
    job: Job
    crew: Crew[Any]


class Scheduler:
    """Round-robin over at most `max_active` jobs, while at most `max_queued` wait."""

    def __init__(self, *, max_active: int, max_queued: int, name: str = "semcache-cag") -> None:
        self._max_active = max_active
        self._max_queued = max_queued
        self._news = threading.Condition()
        self._urgent: deque[_Turning] = deque()
        self._waiting: deque[_Turning] = deque()
        self._active: deque[_Turning] = deque()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: J, crew: Crew[J]) -> None:
        """Queue a request's job, which takes its turns with its crew.

        Raises EngineBusy (the queue is full), EngineError (closed).
        """
        with self._news:
            self._require_open()
            if len(self._waiting) >= self._max_queued:
                self._waiting = deque(one for one in self._waiting if not one.job.cancelled)
            if len(self._waiting) >= self._max_queued:
                raise EngineBusy(
                    f"The local engine is busy: {len(self._waiting)} requests wait. Try again soon."
                )
            self._waiting.append(_Turning(job, crew))
            self._news.notify()

    def run(self, job: Stepping) -> None:
        """Run a job of the engine's own, beside the requests; blocks. Raises what it raises."""
        errand = _Errand(job)
        with self._news:
            self._require_open()
            self._urgent.append(_Turning(errand, Alone()))
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
        while (turning := self._next()) is not None:
            jobs = [one.job for one in turning]
            for one, outcome in zip(turning, _outcomes(turning[0].crew, jobs), strict=True):
                if isinstance(outcome, BaseException):
                    _fail(one.job, outcome)
                elif not outcome and not one.job.cancelled:
                    self._active.append(one)
        for one in (*self._urgent, *self._active, *self._waiting):
            _fail(one.job, EngineError("The local engine is shutting down."))

    def _next(self) -> list[_Turning] | None:
        """The job whose turn it is, with all of its crew; None when it is over."""
        with self._news:
            while True:
                if self._closed:
                    return None
                self._admit()
                if self._active:
                    crew = self._active[0].crew
                    turning = [one for one in self._active if one.crew is crew]
                    self._active = deque(one for one in self._active if one.crew is not crew)
                    return turning
                self._news.wait()

    def _admit(self) -> None:
        self._active = deque(one for one in self._active if not one.job.cancelled)
        self._active.extend(self._urgent)
        self._urgent.clear()
        while self._waiting and len(self._active) < self._max_active:
            one = self._waiting.popleft()
            if not one.job.cancelled:
                self._active.append(one)


class _Errand:
    """A job that somebody waits for."""

    def __init__(self, job: Stepping) -> None:
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


def _outcomes(crew: Crew[Any], jobs: Sequence[Job]) -> Sequence[bool | BaseException]:
    try:
        return crew.turn(jobs)
    except BaseException as error:  # must not end the thread
        return [error] * len(jobs)


def _outcome(job: Stepping) -> bool | BaseException:
    try:
        return job.step()
    except BaseException as error:  # a job's failure is its own
        return error


def _fail(job: Job, error: BaseException) -> None:
    if not isinstance(error, SemcacheError):
        log.error("a step on the model's thread failed", exc_info=error)
    try:
        job.fail(error)
    except Exception:
        log.exception("a failed job could not be told so")
