"""One answer shared: late joiners, leavers, failures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from semcache.completion import Chunk
from semcache.errors import EngineError
from semcache.flight import Flight, Reader


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 10))


def chunk(at: int) -> Chunk:
    return Chunk({"at": at})


async def read(reader: Reader[str]) -> list[int]:
    return [chunk.wire["at"] async for chunk in reader]


def counting(upto: int, gate: Callable[[int], Awaitable[None]]) -> Any:
    async def work(flight: Flight[str]) -> None:
        flight.decide("miss")
        for at in range(upto):
            await gate(at)
            flight.add(chunk(at))

    return work


def test_a_late_joiner_gets_what_was_produced_and_what_comes() -> None:
    async def test() -> None:
        half, rest = asyncio.Event(), asyncio.Event()

        async def gate(at: int) -> None:
            if at == 5:
                half.set()
                await rest.wait()

        flight: Flight[str] = Flight()
        first = flight.join()
        flight.start(counting(10, gate))
        reading = asyncio.create_task(read(first))
        await half.wait()
        second = flight.join()
        rest.set()
        assert await second.decision() == "miss"
        assert await read(second) == list(range(10))
        assert await reading == list(range(10))

    run(test)


def test_the_first_caller_leaving_cancels_nobody() -> None:
    async def test() -> None:
        flight: Flight[str] = Flight()
        first, second = flight.join(), flight.join()
        flight.start(counting(10, lambda at: asyncio.sleep(0)))
        assert (await anext(first)).wire["at"] == 0
        first.close()
        first.close()
        assert await read(second) == list(range(10))

    run(test)


def test_the_last_caller_leaving_cancels_the_work() -> None:
    async def test() -> None:
        cancelled = asyncio.Event()

        async def work(flight: Flight[str]) -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.set()
                raise

        flight: Flight[str] = Flight()
        readers = [flight.join(), flight.join()]
        flight.start(work)
        await asyncio.sleep(0)
        readers[0].close()
        assert not flight.abandoned
        readers[1].close()
        assert flight.abandoned
        await asyncio.wait_for(cancelled.wait(), 5)
        await flight.settled()

    run(test)


def test_a_failure_reaches_every_reader_after_what_was_produced() -> None:
    async def test() -> None:
        async def work(flight: Flight[str]) -> None:
            flight.decide("miss")
            flight.add(chunk(0))
            raise EngineError("broke")

        flight: Flight[str] = Flight()
        readers = [flight.join() for _ in range(3)]
        flight.start(work)
        for reader in readers:
            assert (await anext(reader)).wire["at"] == 0
            with pytest.raises(EngineError):
                await anext(reader)

    run(test)


def test_a_failure_before_the_decision_is_the_decision() -> None:
    async def test() -> None:
        async def work(flight: Flight[str]) -> None:
            raise EngineError("broke at once")

        flight: Flight[str] = Flight()
        reader = flight.join()
        flight.start(work)
        with pytest.raises(EngineError):
            await reader.decision()
        reader.close()

    run(test)


def test_what_follows_the_last_chunk_is_not_cancelled_by_leaving() -> None:
    async def test() -> None:
        stored = asyncio.Event()

        async def work(flight: Flight[str]) -> None:
            flight.decide("miss")
            flight.add(chunk(0))
            flight.finish()
            await asyncio.sleep(0.01)
            stored.set()

        flight: Flight[str] = Flight()
        reader = flight.join()
        flight.start(work)
        assert await read(reader) == [0]
        await flight.settled()
        assert stored.is_set()

    run(test)
