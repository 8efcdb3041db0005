"""Turns on the model's thread, with jobs that only count."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from semcache.cag.turning.scheduler import Alone, Scheduler
from semcache.errors import EngineBusy, EngineError


class Counting:
    """Writes its name `steps` times; may wait before the first, may raise at the last."""

    def __init__(
        self,
        name: str,
        steps: int,
        log: list[str],
        gate: threading.Event | None = None,
        error: BaseException | None = None,
    ) -> None:
        self.cancelled = False
        self.failed: BaseException | None = None
        self.over = threading.Event()
        self.begun = threading.Event()
        self._name, self._left, self._log = name, steps, log
        self._gate, self._error = gate, error

    def step(self) -> bool:
        self.begun.set()
        if self._gate is not None:
            assert self._gate.wait(30)
        self._log.append(self._name)
        self._left -= 1
        if self._left:
            return False
        if self._error is not None:
            raise self._error
        self.over.set()
        return True

    def fail(self, error: BaseException) -> None:
        self.failed = error
        self.over.set()


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    made = Scheduler(max_active=2, max_queued=3)
    yield made
    made.close()


def _blocked(scheduler: Scheduler) -> tuple[threading.Event, Counting]:
    """A job that holds the thread until the gate opens."""
    gate = threading.Event()
    job = Counting("gate", 1, [], gate)
    scheduler.submit(job, Alone())
    assert job.begun.wait(30)
    return gate, job


def test_jobs_take_turns_and_a_third_waits(scheduler: Scheduler) -> None:
    log: list[str] = []
    gate, _ = _blocked(scheduler)
    jobs = [Counting("a", 3, log), Counting("b", 2, log), Counting("c", 2, log)]
    for job in jobs:
        scheduler.submit(job, Alone())
    gate.set()
    assert all(job.over.wait(30) for job in jobs)
    assert log == ["a", "b", "a", "b", "a", "c", "c"]


def test_a_full_queue_is_busy_and_cancelled_jobs_make_room(scheduler: Scheduler) -> None:
    log: list[str] = []
    gate, _ = _blocked(scheduler)
    jobs = [Counting(str(at), 1, log) for at in range(4)]
    for job in jobs[:3]:
        scheduler.submit(job, Alone())
    with pytest.raises(EngineBusy) as raised:
        scheduler.submit(jobs[3], Alone())
    assert raised.value.status == 503
    assert raised.value.retry_after_s >= 1
    jobs[1].cancelled = True
    scheduler.submit(jobs[3], Alone())
    gate.set()
    assert all(jobs[at].over.wait(30) for at in (0, 2, 3))
    assert sorted(log) == ["0", "2", "3"]


def test_a_cancelled_job_takes_no_further_step(scheduler: Scheduler) -> None:
    log: list[str] = []
    gate, _ = _blocked(scheduler)
    victim, other = Counting("victim", 5, log), Counting("other", 2, log)
    scheduler.submit(victim, Alone())
    scheduler.submit(other, Alone())
    victim.cancelled = True
    gate.set()
    assert other.over.wait(30)
    assert log == ["other", "other"]


def test_a_failing_job_is_told_and_hurts_nobody(
    scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    log: list[str] = []
    gate, _ = _blocked(scheduler)
    error = ZeroDivisionError("boom")
    bad, good = Counting("bad", 2, log, error=error), Counting("good", 4, log)
    scheduler.submit(bad, Alone())
    scheduler.submit(good, Alone())
    gate.set()
    assert good.over.wait(30)
    assert bad.failed is error
    assert good.failed is None
    assert "a step on the model's thread failed" in caplog.text


def test_an_errand_goes_beside_full_turns_and_returns_its_result(scheduler: Scheduler) -> None:
    gate, _ = _blocked(scheduler)
    log: list[str] = []
    for name in "abc":
        scheduler.submit(Counting(name, 3, log), Alone())
    threading.Timer(0.05, gate.set).start()
    assert scheduler.call(lambda: threading.current_thread().name) == "semcache-cag"
    with pytest.raises(KeyError, match="lost"):
        scheduler.call(lambda: dict[str, int]()["lost"])


def test_closing_fails_what_runs_and_what_waits() -> None:
    scheduler = Scheduler(max_active=1, max_queued=3)
    gate, running = _blocked(scheduler)
    endless, waiting = Counting("e", 10**9, []), Counting("w", 1, [])
    scheduler.submit(endless, Alone())
    scheduler.submit(waiting, Alone())
    gate.set()
    assert running.over.wait(30)
    assert endless.begun.wait(30)
    scheduler.close()
    assert isinstance(endless.failed, EngineError)
    assert isinstance(waiting.failed, EngineError)
    with pytest.raises(EngineError, match="shutting down"):
        scheduler.submit(Counting("late", 1, []), Alone())
    with pytest.raises(EngineError, match="shutting down"):
        scheduler.call(lambda: None)
    scheduler.close()
