"""`--workers N`: N processes that serve one port and one store, and one that keeps them running.

The first worker starts alone: what is prepared on first use is prepared once. One that dies is
started again, later each time where it dies young. SIGTERM and SIGINT end all of them, SIGHUP is
passed on. Workers whose supervisor is gone end themselves.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from types import FrameType
from typing import TypeAlias

log = logging.getLogger("semcache.server")

_YOUNG_S = 10.0
_LONGEST_PAUSE_S = 30.0
_LAST_WAIT_S = 10.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SPAWN = multiprocessing.get_context("spawn")

Work: TypeAlias = Callable[["Worker"], None]
"""What a worker does until it is told to end; importable by name."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker is told: the command line, its number, the port, and how to say it is ready."""

    argv: Sequence[str]
    number: int
    port: int
    ready: Event


@dataclass(slots=True)
class _Running:
    process: SpawnProcess
    ready: Event
    started: float
    pause_s: float = 0.0


@dataclass(slots=True)
class _Waiting:
    at: float
    pause_s: float


@dataclass(slots=True)
class Supervisor:
    """Runs `count` workers. `grace_s`: how long they may take to finish what they accepted."""

    work: Work
    argv: Sequence[str]
    count: int
    port: int
    grace_s: float
    _running: dict[int, _Running] = field(default_factory=dict)
    _waiting: dict[int, _Waiting] = field(default_factory=dict)
    _ending: bool = False
    _pipe: tuple[int, int] = field(default_factory=os.pipe)

    def run(self, ready: Callable[[], None]) -> int:
        """Until a signal ends it; the exit status. `ready` is called when all workers are."""
        for number in _SIGNALS:
            signal.signal(number, self._signalled)
        try:
            self._start(0)
            failed = self._first_is_ready()
            for at in range(1, 0 if failed else self.count):
                self._start(at)
            told = False
            while not (failed or self._ending):
                if not told and all(one.ready.is_set() for one in self._running.values()):
                    ready()
                    told = True
                self._look(None if told and not self._waiting else 0.2)
            return failed
        finally:
            self._end()

    def _first_is_ready(self) -> int:
        """Wait for it; its exit status where it cannot start."""
        first = self._running[0]
        while not self._ending and not first.ready.is_set():
            if not first.process.is_alive():
                return first.process.exitcode or 1
            self._sleep([first.process.sentinel], 0.1)
        return 0

    def _look(self, timeout_s: float | None) -> None:
        """Wait for something to happen, and start again what has died."""
        self._sleep([one.process.sentinel for one in self._running.values()], timeout_s)
        if self._ending:
            return
        now = time.monotonic()
        for number, one in list(self._running.items()):
            if not one.process.is_alive():
                del self._running[number]
                young = now - one.started < _YOUNG_S
                pause_s = min(max(1.0, 2 * one.pause_s), _LONGEST_PAUSE_S) if young else 0.0
                log.error(
                    "worker %d ended (%s); it is started again in %.0f s",
                    number, one.process.exitcode, pause_s,
                )  # fmt: skip
                one.process.close()
                self._waiting[number] = _Waiting(now + pause_s, pause_s)
        for number, later in list(self._waiting.items()):
            if later.at <= now:
                del self._waiting[number]
                self._start(number, later.pause_s)

    def _start(self, number: int, pause_s: float = 0.0) -> None:
        ready = _SPAWN.Event()
        worker = Worker(tuple(self.argv), number, self.port, ready)
        process = _SPAWN.Process(target=_worker, args=(self.work, worker), name=f"worker-{number}")
        process.start()
        self._running[number] = _Running(process, ready, time.monotonic(), pause_s)

    def _sleep(self, sentinels: list[int], timeout_s: float | None) -> None:
        if self._pipe[0] in wait([*sentinels, self._pipe[0]], timeout_s):
            os.read(self._pipe[0], 1024)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._tell(signal.SIGHUP)
        else:
            self._ending = True
        os.write(self._pipe[1], b"!")

    def _tell(self, number: int) -> None:
        for one in list(self._running.values()):
            if one.process.is_alive() and one.process.pid is not None:
                os.kill(one.process.pid, number)

    def _end(self) -> None:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self._tell(signal.SIGTERM)
        deadline = time.monotonic() + self.grace_s + _LAST_WAIT_S
        for one in self._running.values():
            one.process.join(max(0.0, deadline - time.monotonic()))
            if one.process.is_alive():
                log.error("%s did not end in time and is killed", one.process.name)
                one.process.kill()
                one.process.join()
        for end in self._pipe:
            os.close(end)


def _worker(work: Work, worker: Worker) -> None:
    """A worker's main thread. It has no terminal: Ctrl-C is for the supervisor."""
    os.setsid()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_outlive_nobody, args=(parent.sentinel,), daemon=True).start()
    work(worker)


def _outlive_nobody(parent: int) -> None:
    wait([parent])
    os.kill(os.getpid(), signal.SIGTERM)
