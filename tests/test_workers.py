"""The thread hop: results, exceptions, cancellation, several loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from semcache.workers import Workers

_WHO: ContextVar[str] = ContextVar("who", default="nobody")


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


def test_call_hands_result_or_error_to_the_callback_in_the_loop(workers: Workers) -> None:
    async def ask() -> tuple[list[object], list[threading.Thread], list[str]]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        got: list[object] = []
        threads: list[threading.Thread] = []
        seen: list[str] = []

        def then(result: object, error: BaseException | None) -> None:
            got.append(error or result)
            threads.append(threading.current_thread())
            seen.append(_WHO.get())
            if len(got) == 2:
                done.set_result(None)

        _WHO.set("asker")
        workers.call(lambda: 7, then)
        workers.call(lambda: 1 // 0, then)
        await done
        return got, threads, seen

    got, threads, seen = asyncio.run(ask())
    assert 7 in got
    assert any(isinstance(one, ZeroDivisionError) for one in got)
    assert set(threads) == {threading.current_thread()}
    assert seen == ["asker", "asker"]


def test_call_is_refused_after_close() -> None:
    async def ask() -> None:
        made = Workers(1)
        made.close()
        with pytest.raises(RuntimeError, match="closed"):
            made.call(lambda: None, lambda result, error: None)

    asyncio.run(ask())
