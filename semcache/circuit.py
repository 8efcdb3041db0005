"""Whether a server that keeps failing is asked at all: a circuit breaker.

Closed: it is asked. After some failures in a row it opens: nobody asks for a while, so that an
outage costs a request nothing and the server is left to recover. Then it is half open: one request
asks, and its outcome decides for all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Circuit:
    """Thread-safe; `clock` is monotonic, seconds. Whoever is admitted says how it went."""

    def __init__(self, clock: Callable[[], float], failures: int, rest_s: float) -> None:
        """`failures` in a row open it for `rest_s` seconds; 0: it never opens."""
        self._clock = clock
        self._most = failures
        self._rest_s = rest_s
        self._lock = threading.Lock()
        self._failures = 0
        self._opens_again_at = 0.0
        self._probing = False

    def admits(self) -> bool:
        """Whether this request may ask; then `good`, `failed` or `left` must follow."""
        with self._lock:
            if not self._is_open():
                return True
            if self._probing or self._clock() < self._opens_again_at:
                return False
            self._probing = True
            return True

    def good(self) -> None:
        """It answered: whatever it said, it is there."""
        with self._lock:
            self._failures = 0
            self._probing = False

    def failed(self) -> bool:
        """It did not answer, or with a failure of its own. True where that opened the circuit."""
        with self._lock:
            self._failures += 1
            self._probing = False
            if self._is_open():
                self._opens_again_at = self._clock() + self._rest_s
            return self._failures == self._most

    def left(self) -> None:
        """Who was admitted went away before the outcome was known."""
        with self._lock:
            self._probing = False

    def rests_s(self) -> float:
        """Seconds until somebody may ask; 0 where one may now, or is asking."""
        with self._lock:
            return max(0.0, self._opens_again_at - self._clock()) if self._is_open() else 0.0

    def _is_open(self) -> bool:
        return 0 < self._most <= self._failures
