"""Counts of what happened, by name, and how cosines were spread; safe from several threads."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

COSINES = (0.3, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 1.0)
"""Upper bounds of a spread's buckets; what lies above the last has one more."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How many values lay in each bucket of COSINES, and their sum."""

    counts: tuple[int, ...]
    total: float


class Tally:
    """Named counters that only grow."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._spreads: dict[str, list[int]] = {}
        self._totals: dict[str, float] = {}
        self._lock = threading.Lock()

    def add(self, name: str) -> None:
        """Count one more."""
        self.add_all(((name, 1),))

    def add_all(self, counted: Iterable[tuple[str, int]]) -> None:
        """Count several things at once."""
        counts = self._counts
        with self._lock:
            for name, by in counted:
                counts[name] = counts.get(name, 0) + by

    def observe(self, name: str, cosine: float) -> None:
        """Put a cosine into a spread."""
        at = bisect_left(COSINES, cosine)
        with self._lock:
            spread = self._spreads.setdefault(name, [0] * (len(COSINES) + 1))
            spread[at] += 1
            self._totals[name] = self._totals.get(name, 0.0) + cosine

    def counts(self) -> dict[str, int]:
        """A copy of all counters, by name."""
        with self._lock:
            return dict(sorted(self._counts.items()))

    def spreads(self) -> Mapping[str, Spread]:
        """A copy of all spreads, by name."""
        with self._lock:
            return {
                name: Spread(tuple(counts), self._totals[name])
                for name, counts in sorted(self._spreads.items())
            }
