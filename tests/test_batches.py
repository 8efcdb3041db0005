"""Batches: what is alone runs alone, what waits together runs together, each gets its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextvars import ContextVar

import pytest

from semcache.batches import Batches

_WHO: ContextVar[str] = ContextVar("who", default="nobody")


class Work:
    """Doubles numbers and keeps every batch; the first batch waits for `gate`."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[str] = set()
        self.begun = threading.Event()
        self.gate = threading.Event()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.threads.add(threading.current_thread().name)
        self.begun.set()
        self.gate.wait(10)
        if 13 in items:
            raise ValueError("thirteen")
        return [2 * item for item in items]


async def one(batches: Batches[int, int], item: int) -> int:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def then(result: int, error: BaseException | None) -> None:
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    batches.call(item, then)
    return await future


def test_what_queued_up_meanwhile_runs_together_and_up_to_the_most() -> None:
    work = Work()
    batches = Batches(1, work, 4, "test")

    async def ask() -> list[int]:
        first = asyncio.ensure_future(one(batches, 0))
        await asyncio.to_thread(work.begun.wait, 10)
        rest = [asyncio.ensure_future(one(batches, item)) for item in range(1, 8)]
        await asyncio.sleep(0)
        work.gate.set()
        return [await first, *(await asyncio.gather(*rest))]

    try:
        assert asyncio.run(ask()) == [0, 2, 4, 6, 8, 10, 12, 14]
    finally:
        batches.close()
    assert work.batches == [[0], [1, 2, 3, 4], [5, 6, 7]]
    assert threading.current_thread().name not in work.threads


def test_a_batch_is_one_threads_share() -> None:
    work = Work()
    batches = Batches(2, work, 16, "test")

    async def ask() -> None:
        asked = [asyncio.ensure_future(one(batches, item)) for item in range(2)]
        while len(work.batches) < 2:
            await asyncio.sleep(0.001)
        asked += [asyncio.ensure_future(one(batches, item)) for item in range(2, 10)]
        await asyncio.sleep(0)
        work.gate.set()
        await asyncio.gather(*asked)

    try:
        asyncio.run(ask())
    finally:
        batches.close()
    assert sorted(item for batch in work.batches for item in batch) == list(range(10))
    assert len(work.batches[2]) == 4


def test_an_error_is_that_of_everybody_in_the_batch_and_of_nobody_else() -> None:
    work = Work()
    work.gate.set()
    batches = Batches(1, work, 4, "test")

    async def ask() -> None:
        with pytest.raises(ValueError, match="thirteen"):
            await one(batches, 13)
        assert await one(batches, 4) == 8

    try:
        asyncio.run(ask())
    finally:
        batches.close()


def test_the_callback_runs_in_the_callers_loop_and_context() -> None:
    work = Work()
    work.gate.set()
    batches = Batches(1, work, 4, "test")
    seen: list[tuple[str, threading.Thread]] = []

    async def ask() -> None:
        done = asyncio.Event()

        def then(result: int, error: BaseException | None) -> None:
            seen.append((_WHO.get(), threading.current_thread()))
            done.set()

        _WHO.set("asker")
        batches.call(1, then)
        await done.wait()

    try:
        asyncio.run(ask())
    finally:
        batches.close()
    assert seen == [("asker", threading.current_thread())]


def test_close_finishes_what_is_queued_and_refuses_more() -> None:
    work = Work()
    batches = Batches(2, work, 4, "test")

    async def ask() -> list[int]:
        asked = [asyncio.ensure_future(one(batches, item)) for item in range(9)]
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(asyncio.to_thread(batches.close))
        work.gate.set()
        await closing
        with pytest.raises(RuntimeError, match="closed"):
            batches.call(1, lambda result, error: None)
        return await asyncio.gather(*asked)

    assert asyncio.run(ask()) == [2 * item for item in range(9)]


def test_a_loop_that_is_gone_hurts_nobody() -> None:
    work = Work()
    batches = Batches(1, work, 4, "test")

    async def leave() -> None:
        batches.call(1, lambda result, error: None)

    async def ask() -> int:
        return await one(batches, 2)

    try:
        asyncio.run(leave())
        work.gate.set()
        assert asyncio.run(ask()) == 4
    finally:
        batches.close()
