"""Who follows one request through the cache, where somebody does.

The server puts a Trace into the context of a request; its plan carries it on, into the threads too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import Protocol


class Trace(Protocol):
    """Told of what happens. Quick, safe to call from several threads, never raises.

    `passed_on` are headers for the server that is asked for the answer (W3C Trace Context).
    """

    @property
    def passed_on(self) -> Mapping[str, str]: ...

    def stage(self, name: str, started: float, ended: float) -> None:
        """A part of the work, in seconds of `time.perf_counter`: exact, encode, search, judge,
        answer, store.
        """
        ...

    def note(self, **members: str | float) -> None:
        """What was decided, without the question's text."""
        ...


@contextmanager
def following(trace: Trace | None, stage: str) -> Iterator[None]:
    """Tell who follows of a stage, however it ends."""
    started = perf_counter()
    try:
        yield
    finally:
        if trace is not None:
            trace.stage(stage, started, perf_counter())


CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)
