"""What a turn reads, how long a draft is worth it, and that a long prompt holds nobody up."""

from __future__ import annotations

import asyncio

import pytest

from semcache.cag.turning.pace import Offer, Pace, draft_length
from semcache.cag.turning.turns import allotted
from tests.cag.asking import request
from tests.cag.conftest import MakeEngine


@pytest.mark.parametrize(
    ("needs", "room", "given"),
    [
        ([], 64, []),
        ([20], 64, [20]),
        ([500], 64, [64]),
        ([20, 30], 64, [20, 30]),
        ([500, 30], 64, [34, 30]),
        ([30, 500], 64, [30, 34]),
        ([500, 40, 10], 64, [32, 22, 10]),
        ([500, 500, 500], 64, [64, 0, 0]),
        ([5, 5, 5], 1, [1, 0, 0]),
        ([5, 5, 5], 7, [5, 2, 0]),
    ],
)
def test_the_oldest_prompt_has_half_and_the_shortest_the_rest(
    needs: list[int], room: int, given: list[int]
) -> None:
    assert allotted(needs, room) == given


def test_a_measured_pace_is_followed_and_an_outlier_is_not() -> None:
    pace = Pace()
    for _ in range(30):
        pace.note(1, 0.060)
        pace.note(8, 0.090)
    pace.note(8, 30.0)
    assert pace.cost(1) == pytest.approx(0.060)
    assert 0.060 < pace.cost(7) < pace.cost(8)
    assert pace.cost(8) < pace.cost(16) < pace.cost(64)


def test_a_draft_is_verified_where_it_pays() -> None:
    free, dear = Pace(), Pace()
    for rows, cost in ((1, 1.0), (2, 1.01), (4, 1.02), (8, 1.03), (16, 4.0)):
        free.note(rows, cost)
        dear.note(rows, float(rows))
    sure, doubtful = Offer(6, 0.9), Offer(6, 0.2)
    assert draft_length([sure], 0, 64, free) == 6
    assert draft_length([sure], 0, 64, dear) == 0
    assert draft_length([Offer(0, 0.9)], 0, 64, free) == 0
    assert draft_length([], 40, 64, free) == 0
    assert draft_length([sure], 0, 4, free) == 3
    assert draft_length([sure] * 4, 0, 64, free) == 1  # eight rows are free, sixteen are not
    for rows in range(2, 9):
        for _ in range(40):
            free.note(rows, 1.6)
    assert draft_length([doubtful], 0, 64, free) == 0


@pytest.mark.anyio
async def test_a_long_prompt_holds_nobody_up(make_engine: MakeEngine) -> None:
    """The short request's answer is complete while the long prompt is still being read."""
    engine = make_engine(prefill_chunk=16, turn_tokens=8, max_active=3)
    over: list[str] = []

    async def follow(name: str, text: str, tokens: int) -> None:
        async for _ in engine.answer(request(text, max_tokens=tokens, logit_bias={"2": -100})):
            if name not in over:
                over.append(name)
        over.append(f"{name} ends")

    await asyncio.gather(
        follow("long", "Where is it? " * 30, 2),
        follow("short", "Who?", 6),
        follow("second", "Why?", 6),
    )
    assert over.index("short ends") < over.index("long")
    assert over.index("second ends") < over.index("long")


@pytest.mark.anyio
async def test_a_long_prompt_is_not_held_up_for_ever(make_engine: MakeEngine) -> None:
    """Short requests keep coming; the long one gets its half of each turn."""
    engine = make_engine(prefill_chunk=16, turn_tokens=8, max_active=3)
    ended = asyncio.Event()

    async def long() -> None:
        async for _ in engine.answer(request("Where is it? " * 20, max_tokens=2)):
            ended.set()

    async def short() -> int:
        asked = 0
        while not ended.is_set():
            async for _ in engine.answer(request("Who?" * 3, max_tokens=1)):
                pass
            asked += 1
        return asked

    _, *counts = await asyncio.gather(long(), short(), short(), short())
    assert sum(counts) < 200
