"""The last day, minute by minute: what became of requests, and what that saved.

A minute is a handful of numbers, and there are at most 1,440 of them: a request costs one addition
under a lock that nobody holds for long.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, field
from typing import Literal, TypeAlias

from semcache.prices import Saved

Outcome: TypeAlias = Literal["hit", "semantic", "stale", "coalesced", "miss", "bypass"]
OUTCOMES: tuple[Outcome, ...] = ("hit", "semantic", "stale", "coalesced", "miss", "bypass")
"""Each request has one: hit is exact, stale an answer past its time, coalesced a shared one."""

MINUTES = 1440
_AT = {outcome: at for at, outcome in enumerate(OUTCOMES)}


@dataclass(slots=True)
class Minute:
    """One minute: `at` is its number since 1970, `counts` are in the order of OUTCOMES."""

    at: int
    counts: list[int] = field(default_factory=lambda: [0] * len(OUTCOMES))
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0

    def count(self, outcome: Outcome) -> int:
        """How many requests ended so."""
        return self.counts[_AT[outcome]]

    def plus(self, other: Minute) -> Minute:
        """Both together, for instance of two processes."""
        return Minute(
            self.at,
            [a + b for a, b in zip(self.counts, other.counts, strict=True)],
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.usd + other.usd,
            self.seconds + other.seconds,
        )


class Timeline:
    """A ring of minutes. Thread-safe; times are Unix seconds."""

    def __init__(self, most: int = MINUTES) -> None:
        self._minutes: deque[Minute] = deque([Minute(0)], maxlen=most)
        self._lock = threading.Lock()

    def add(self, now: float, outcome: Outcome, saved: Saved | None = None, count: int = 1) -> None:
        """Count requests; a clock that was set back counts into the newest minute."""
        at = int(now) // 60
        with self._lock:
            minute = self._minutes[-1]
            if minute.at < at:
                minute = Minute(at)
                self._minutes.append(minute)
            minute.counts[_AT[outcome]] += count
            if saved is not None:
                minute.prompt_tokens += saved.prompt_tokens
                minute.completion_tokens += saved.completion_tokens
                minute.usd += saved.usd
                minute.seconds += saved.seconds

    def move(self, now: float, before: Outcome, after: Outcome) -> None:
        """A request that was counted ended otherwise."""
        self.add(now, after)
        with self._lock:
            for minute in reversed(self._minutes):
                if minute.counts[_AT[before]]:
                    minute.counts[_AT[before]] -= 1
                    return

    def minutes(self) -> tuple[Minute, ...]:
        """A copy of those in which something happened, oldest first."""
        with self._lock:
            copies = [Minute(*astuple(one)) for one in self._minutes]
        return tuple(one for one in copies if one.at)


def together(timelines: Iterable[Iterable[Minute]]) -> tuple[Minute, ...]:
    """Minutes of several processes as one timeline, oldest first."""
    found: dict[int, Minute] = {}
    for minutes in timelines:
        for minute in minutes:
            before = found.get(minute.at)
            found[minute.at] = minute if before is None else before.plus(minute)
    return tuple(found[at] for at in sorted(found))


def without_gaps(minutes: Iterable[Minute], now: float, most: int = MINUTES) -> Iterator[Minute]:
    """The last `most` minutes up to now, oldest first, with empty ones where nothing happened."""
    found = {minute.at: minute for minute in minutes}
    last = int(now) // 60
    for at in range(last - most + 1, last + 1):
        yield found.get(at) or Minute(at)
