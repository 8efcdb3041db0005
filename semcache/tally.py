"""Counts of what happened, by name, and how cosines and times were spread; from any thread."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from semcache.trace import Trace

COSINES = (0.3, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 1.0)
"""Upper bounds of a spread's buckets; what lies above the last has one more."""

SECONDS = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""The same for times: from fifty microseconds to a minute."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How many values lay in each bucket (of COSINES, of SECONDS), and their sum."""

    counts: tuple[int, ...]
    total: float


class _Spreads:
    """Values in buckets, by name. Its owner locks."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts: dict[str, list[int]] = {}
        self._totals: dict[str, float] = {}

    def put(self, name: str, value: float) -> None:
        counts = self._counts.get(name)
        if counts is None:
            counts = self._counts[name] = [0] * (len(self._bounds) + 1)
            self._totals[name] = 0.0
        counts[bisect_left(self._bounds, value)] += 1
        self._totals[name] += value

    def copy(self) -> dict[str, Spread]:
        return {
            name: Spread(tuple(counts), self._totals[name])
            for name, counts in sorted(self._counts.items())
        }


def _nothing() -> None:
    return None


class Tally:
    """Named counters and sums that only grow, and spreads.

    Times have the names `lookup: exact`, `lookup: semantic`, `lookup: miss` (from a request's
    plan to what was decided), `stage: encode`, `stage: search`, `stage: judge`, `stage: store`,
    and `answer: ` and `first token: ` with the name of who answered.

    `before_reading` is called before copies are made: whoever counts late catches up there.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._sums: dict[str, float] = {}
        self._cosines = _Spreads(COSINES)
        self._times = _Spreads(SECONDS)
        self._lock = threading.Lock()
        self.before_reading: Callable[[], None] = _nothing

    def add(self, name: str) -> None:
        """Count one more."""
        self.add_all(((name, 1),))

    def add_all(self, counted: Iterable[tuple[str, int]]) -> None:
        """Count several things at once."""
        counts = self._counts
        with self._lock:
            for name, by in counted:
                counts[name] = counts.get(name, 0) + by

    def add_sum(self, name: str, by: float) -> None:
        """Add to a sum: money, seconds."""
        with self._lock:
            self._sums[name] = self._sums.get(name, 0.0) + by

    def observe(self, name: str, cosine: float) -> None:
        """Put a cosine into a spread."""
        with self._lock:
            self._cosines.put(name, cosine)

    def took(self, name: str, seconds: float) -> None:
        """Put a time into a spread."""
        with self._lock:
            self._times.put(name, seconds)

    @contextmanager
    def timing(self, stage: str, *traces: Trace | None) -> Iterator[None]:
        """Put the time of a stage into its spread, however it ends, and tell who follows."""
        started = perf_counter()
        try:
            yield
        finally:
            ended = perf_counter()
            self.took(f"stage: {stage}", ended - started)
            for trace in traces:
                if trace is not None:
                    trace.stage(stage, started, ended)

    def took_all(self, name: str, times: Iterable[float]) -> None:
        """Put several times into a spread."""
        with self._lock:
            for seconds in times:
                self._times.put(name, seconds)

    def counts(self) -> dict[str, int]:
        """A copy of all counters, by name."""
        self.before_reading()
        with self._lock:
            return dict(sorted(self._counts.items()))

    def sums(self) -> dict[str, float]:
        """A copy of all sums, by name: `saved: seconds`, `saved: usd`."""
        self.before_reading()
        with self._lock:
            return dict(sorted(self._sums.items()))

    def spreads(self) -> Mapping[str, Spread]:
        """A copy of all spreads of cosines, by name."""
        with self._lock:
            return self._cosines.copy()

    def times(self) -> Mapping[str, Spread]:
        """A copy of all spreads of times, by name."""
        self.before_reading()
        with self._lock:
            return self._times.copy()
