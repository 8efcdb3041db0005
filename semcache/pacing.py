"""A stored answer as a stream in time: as fast as was asked, or as it was when it was made.

    Recorder   the times of a live stream, kept as a few numbers
    offsets_s  when each event of a stored answer is due
    paced      the events, each when it is due

A stream is as many events of about the same length, so that an event's place says how much of the
text has come by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

from semcache.completion import Chunk
from semcache.directives import Pace
from semcache.merging import SPOKEN

QUANTILES = 16
LONGEST_S = 300.0
SLOWEST, FASTEST = 1.0, 10_000.0  # tokens a second
_CHARS_PER_TOKEN = 4.0


class Recorder:
    """How much of an answer's text had come when. `clock` says seconds."""

    __slots__ = ("_chars", "_clock", "_points", "_started")

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._started = clock()
        self._chars = 0
        self._points: list[tuple[float, int]] = []

    def add(self, chunk: Chunk) -> None:
        """One more piece has come."""
        if spoken := _spoken(chunk.wire):
            self._chars += spoken
            self._points.append((self._clock(), self._chars))

    def times_ms(self) -> list[int]:
        """When the first piece came, and each further sixteenth of the text; [] for no text."""
        times: list[int] = []
        at = 0
        for quantile in range(QUANTILES + 1) if self._points else ():
            while self._points[at][1] * QUANTILES < self._chars * quantile:
                at += 1
            times.append(round((self._points[at][0] - self._started) * 1000))
        return times


def _spoken(wire: Mapping[str, Any]) -> int:
    """The characters in a chunk that somebody would read."""
    if isinstance(delta := wire.get("delta"), str):  # an event of /v1/responses
        return len(delta)
    found = 0
    for choice in wire.get("choices") or ():
        said = choice.get("delta") or choice
        texts = [said.get(name) for name in (*SPOKEN, "text")]
        calls = said.get("tool_calls") or ()
        texts += [(call.get("function") or {}).get("arguments") for call in calls]
        found += sum(len(text) for text in texts if isinstance(text, str))
    return found


def wanted(pace: Pace | None, otherwise: Pace) -> Pace | None:
    """The pace that a caller asked for, or else the operator; None for at once."""
    found = otherwise if pace is None else pace
    if found == "instant":
        return None
    return found if isinstance(found, str) else min(max(found, SLOWEST), FASTEST)


def offsets_s(
    count: int, pace: Pace, wire: Mapping[str, Any], times_ms: Sequence[int], cost_s: float
) -> list[float]:
    """Seconds after which each of `count` events is due.

    `wire` is the whole answer, `times_ms` what a Recorder said of it; where it said nothing, the
    answer is spread evenly over `cost_s`, the time that it took.
    """
    times = [time / 1000.0 for time in times_ms]
    if not isinstance(pace, str):
        times = [0.0, _tokens(wire) / pace]
    elif len(times) < 2:
        times = [0.0, max(0.0, cost_s)]
    if times[-1] > LONGEST_S:
        times = [time * LONGEST_S / times[-1] for time in times]
    return [_between(times, at / max(1, count - 1)) for at in range(count)]


def _between(times: Sequence[float], share: float) -> float:
    place = share * (len(times) - 1)
    at = min(int(place), len(times) - 2)
    return times[at] + (times[at + 1] - times[at]) * (place - at)


def _tokens(wire: Mapping[str, Any]) -> float:
    usage = wire.get("usage")
    said = usage.get("completion_tokens", usage.get("output_tokens")) if usage else None
    if isinstance(said, int) and said > 0:
        return float(said)
    choices = wire.get("choices") or ()
    chunks = [{"delta": choice.get("message") or choice} for choice in choices]
    return _spoken({"choices": chunks}) / _CHARS_PER_TOKEN


async def paced(
    events: Sequence[bytes],
    offsets: Sequence[float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = perf_counter,
) -> AsyncGenerator[bytes, None]:
    """The events, each when it is due; those that are due at once together."""
    started = clock()
    at = 0
    while at < len(events):
        passed = clock() - started
        if (wait_s := offsets[at] - passed) > 0:
            await sleep(wait_s)
            passed = max(clock() - started, offsets[at])
        due = at + 1
        while due < len(events) and offsets[due] <= passed:
            due += 1
        yield b"".join(events[at:due])
        at = due
