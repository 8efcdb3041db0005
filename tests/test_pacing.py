"""Stored answers as streams in time; the oracle is arithmetic, and a clock that is told."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from semcache.completion import Chunk, replay, text_completion_of
from semcache.pacing import LONGEST_S, QUANTILES, Recorder, offsets_s, paced, wanted


class Clock:
    def __init__(self) -> None:
        self.now = 50.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, wait_s: float) -> None:
        self.slept.append(wait_s)
        self.now += wait_s


def said(text: str) -> Chunk:
    return Chunk({"choices": [{"index": 0, "delta": {"content": text}}]})


def recorded(pieces: list[tuple[float, str]]) -> list[int]:
    clock = Clock()
    recorder = Recorder(clock)
    for pause_s, text in pieces:
        clock.now += pause_s
        recorder.add(said(text))
    return recorder.times_ms()


def test_a_recorder_keeps_when_each_sixteenth_of_the_text_had_come() -> None:
    assert recorded([(0.5, "a"), *[(0.01, "b")] * 15]) == [500, *range(500, 651, 10)]
    halves = recorded([(1.0, "x" * 50), (2.0, "y" * 50)])
    assert halves == [1000] * 9 + [3000] * 8
    assert len(recorded([(0.001, "word ")] * 5_000)) == QUANTILES + 1
    assert recorded([]) == recorded([(1.0, "")]) == []


def test_what_is_counted_is_what_is_read() -> None:
    whole = text_completion_of("How tall? 330 m.", id="c", created=1, model="m")
    calls = {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}
    for chunks, characters in (
        (list(replay(whole)), 16),
        ([Chunk({"choices": [{"index": 0, "delta": calls}]})], 2),
        ([Chunk({"choices": [{"index": 0, "text": "abc"}]})], 3),
        ([Chunk({"type": "response.output_text.delta", "delta": "abcd"})], 4),
        ([Chunk({"choices": [], "usage": {"completion_tokens": 3}})], 0),
    ):
        recorder = Recorder(Clock())
        for chunk in chunks:
            recorder.add(chunk)
        assert recorder._chars == characters


def test_tokens_per_second_spread_the_answers_own_tokens() -> None:
    wire = {"usage": {"completion_tokens": 30}}
    assert offsets_s(4, 10.0, wire, [1, 2], 9.0) == pytest.approx([0.0, 1.0, 2.0, 3.0])
    said = {"choices": [{"message": {"content": "x" * 80}}]}  # no usage: four characters a token
    assert offsets_s(3, 10.0, said, [], 9.0) == pytest.approx([0.0, 1.0, 2.0])


def test_as_recorded_the_events_come_when_their_text_came() -> None:
    assert offsets_s(5, "recorded", {}, [500, 700, 2700], 9.0) == pytest.approx(
        [0.5, 0.6, 0.7, 1.7, 2.7]
    )
    assert offsets_s(3, "recorded", {}, [], 4.0) == pytest.approx([0.0, 2.0, 4.0])
    assert offsets_s(1, "recorded", {}, [500, 600], 4.0) == [0.5]
    long = offsets_s(11, "recorded", {}, [0, 10_000_000], 0.0)
    assert long[-1] == LONGEST_S
    assert all(a <= b for a, b in pairwise(long))


@pytest.mark.parametrize(
    ("asked", "otherwise", "pace"),
    [
        (None, "instant", None),
        ("instant", "recorded", None),
        (None, "recorded", "recorded"),
        (None, 20.0, 20.0),
        (0.001, "instant", 1.0),
        (1e9, "instant", 10_000.0),
    ],
)
def test_the_callers_pace_or_else_the_operators(
    asked: float | None, otherwise: float, pace: float | None
) -> None:
    assert wanted(asked, otherwise) == pace


def test_events_are_sent_when_they_are_due_and_together_where_late() -> None:
    clock = Clock()

    async def test() -> list[tuple[float, bytes]]:
        sent = []
        events = paced([b"a", b"b", b"c", b"d"], [0.0, 0.0, 1.0, 1.5], clock.sleep, clock)
        async for event in events:
            sent.append((clock.now - 50.0, event))
            if event == b"ab":
                clock.now += 1.25  # a slow reader
        return sent

    assert asyncio.run(test()) == [(0.0, b"ab"), (1.25, b"c"), (1.5, b"d")]
    assert clock.slept == pytest.approx([0.25])
