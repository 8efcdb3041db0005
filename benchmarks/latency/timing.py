"""Timing in turns: every side gets a short block of calls, then the next, so that whatever else the
machine does slows all of them. One side's budget of time bounds how many calls it makes.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

BLOCK = 20

Call: TypeAlias = Callable[[Any], Awaitable[Any]]


@dataclass(slots=True)
class Lap:
    """One side at one task: each item goes to `call`, and the result is checked."""

    call: Call
    items: Sequence[Any]
    expected: Sequence[Any]
    seconds: list[float] = field(default_factory=list)
    right: int = 0

    def done(self, budget_s: float) -> bool:
        """Whether the items or the budget are used up; a first block is always made."""
        if len(self.seconds) >= len(self.items):
            return True
        return len(self.seconds) >= BLOCK and sum(self.seconds) > budget_s

    async def block(self) -> None:
        """The next calls, one at a time."""
        begin = len(self.seconds)
        for at in range(begin, min(begin + BLOCK, len(self.items))):
            started = time.perf_counter()
            result = await self.call(self.items[at])
            self.seconds.append(time.perf_counter() - started)
            self.right += result == self.expected[at]

    def summary(self) -> dict[str, float | int]:
        """Milliseconds, and the share of right results."""
        return {
            **percentiles_ms(self.seconds),
            "calls": len(self.seconds),
            "right": round(self.right / len(self.seconds), 4),
        }


async def take_turns(laps: Sequence[Lap], budget_s: float) -> None:
    """Run all laps to their ends, block by block."""
    while waiting := [lap for lap in laps if not lap.done(budget_s)]:
        for lap in waiting:
            await lap.block()


def percentiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99 in milliseconds."""
    return {f"p{p}": round(float(np.percentile(seconds, p)) * 1e3, 5) for p in (50, 95, 99)}
