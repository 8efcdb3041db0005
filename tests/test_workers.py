"""The thread hop: results, exceptions, cancellation, several loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from semcache.workers import Workers


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(2)
    yield made
    made.close()


def test_jobs_run_in_other_threads_and_return(workers: Workers) -> None:
    async def ask() -> set[str]:
        jobs = [workers.run(lambda: threading.current_thread().name) for _ in range(50)]
        return set(await asyncio.gather(*jobs))

    names = asyncio.run(ask())
    assert names
    assert threading.current_thread().name not in names


def test_an_exception_is_the_callers(workers: Workers) -> None:
    def fail() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        asyncio.run(workers.run(fail))
    assert asyncio.run(workers.run(lambda: 7)) == 7


def test_a_job_whose_caller_left_is_not_started(workers: Workers) -> None:
    started: list[int] = []

    async def leave() -> None:
        hold = threading.Event()
        blocked = [asyncio.create_task(workers.run(hold.wait)) for _ in range(2)]
        await asyncio.sleep(0.05)
        waiting = asyncio.create_task(workers.run(lambda: started.append(1)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        hold.set()
        await asyncio.gather(*blocked)
        await workers.run(lambda: None)

    asyncio.run(leave())
    assert started == []


def test_a_loop_that_was_closed_hurts_nobody(workers: Workers) -> None:
    hold = threading.Event()

    async def leave() -> None:
        task = asyncio.create_task(workers.run(hold.wait))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(leave())
    hold.set()
    assert asyncio.run(workers.run(lambda: "alive")) == "alive"


def test_close_finishes_what_is_queued() -> None:
    workers = Workers(1)
    done: list[int] = []

    async def ask() -> None:
        await asyncio.gather(*(workers.run(lambda: done.append(1)) for _ in range(10)))

    asyncio.run(ask())
    workers.close()
    workers.close()
    assert len(done) == 10


def test_nobody_waits_for_threads_that_are_gone() -> None:
    workers = Workers(1)
    workers.close()
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(workers.run(lambda: 1))
