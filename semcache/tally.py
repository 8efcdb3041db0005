"""Counts of what happened, by name; safe from several threads."""

from __future__ import annotations

import threading
from collections import Counter


class Tally:
    """Named counters that only grow."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, name: str, by: int = 1) -> None:
        """Count one more."""
        with self._lock:
            self._counts[name] += by

    def counts(self) -> dict[str, int]:
        """A copy of all counters, by name."""
        with self._lock:
            return dict(sorted(self._counts.items()))
