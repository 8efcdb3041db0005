"""Group commit: one thread owns the writing connection and commits many callers' work at once.

Rules of this file:
1. A caller returns only when its work is committed, or has failed; never in between.
2. A job that fails is rolled back alone (its savepoint), and only its caller hears of it.
3. The index is told after the commit and before the callers, so each reads its own writes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeAlias, TypeVar

from sqlalchemy import Connection

from semcache.errors import StoreError
from semcache.interfaces import Vector
from semcache.store.database import driver_of, store_error

log = logging.getLogger("semcache.store")
T = TypeVar("T")

MAX_GROUP = 256


@dataclass(slots=True)
class Transaction:
    """A write transaction in progress, and what it changes for the index.

    `before` and `seq` are the numbers of the last transaction (anybody's) and of this one.
    `added` holds (id, scope digest, vector) of rows with a vector of the store's encoder.
    """

    connection: Connection
    before: int
    seq: int
    added: list[tuple[int, str, Vector]] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    tenants: set[str] = field(default_factory=set)


Work: TypeAlias = Callable[[Transaction], T]


class Hooks(Protocol):
    """What the store adds to a group."""

    def finish(self, transaction: Transaction) -> None:
        """Before the commit, in the transaction: counters, eviction."""
        ...

    def committed(self, transaction: Transaction) -> None:
        """After the commit, before the callers return: the index."""
        ...

    def idle(self, connection: Connection) -> None:
        """About every interval, outside of a transaction: counters, log size."""
        ...


@dataclass(slots=True)
class _Job:
    work: Work[Any] | None  # None: only the counters
    future: Future[Any] = field(default_factory=Future)


class Writer:
    """The writing thread. `close` finishes what is queued."""

    def __init__(
        self, connection: Connection, path: Path, owner: str, hooks: Hooks, interval_s: float
    ) -> None:
        self._connection = connection
        self._run = driver_of(connection).execute
        self._path = path
        self._owner = owner
        self._hooks = hooks
        self._interval_s = interval_s
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="semcache-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Work[T]) -> T:
        """Run `work` in the next transaction; return its result once that is durable."""
        result: T = self._wait_for(_Job(work))
        return result

    def flush(self) -> None:
        """Write the counters now."""
        self._wait_for(_Job(None))

    def _wait_for(self, job: _Job) -> Any:
        with self._gate:
            if self._closed:
                raise StoreError("The store is closed.")
            self._queue.put(job)
        return job.future.result()

    def close(self) -> None:
        """Commit what is queued, write the counters, end the thread."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._connection.close()

    # -------------------------------------------------------------------------------- thread

    def _serve(self) -> None:
        due = time.monotonic() + self._interval_s
        ended = False
        while not ended:
            jobs, ended = self._next_group(max(0.0, due - time.monotonic()))
            work = [job for job in jobs if job.work is not None]
            if work:
                self._commit(work)
            if ended or len(work) < len(jobs) or time.monotonic() >= due:
                self._idle([job for job in jobs if job.work is None])
                due = time.monotonic() + self._interval_s
        self._sign_off()

    def _sign_off(self) -> None:
        try:
            self._run("DELETE FROM writers WHERE owner = ?", (self._owner,))
        except Exception as error:  # forgotten rows are swept at some later opening
            log.debug("did not sign off: %s", type(error).__name__)

    def _next_group(self, timeout_s: float) -> tuple[list[_Job], bool]:
        jobs: list[_Job] = []
        try:
            job = self._queue.get(timeout=timeout_s)
            while job is not None:
                jobs.append(job)
                if len(jobs) == MAX_GROUP:
                    return jobs, False
                job = self._queue.get_nowait()
        except Empty:
            return jobs, False
        return jobs, True

    def _idle(self, waiting: Sequence[_Job]) -> None:
        try:
            self._hooks.idle(self._connection)
        except Exception as error:
            log.warning("counters are not written yet: %s", store_error(error, self._path))
            for job in waiting:
                _fail(job, error, self._path)
            return
        for job in waiting:
            job.future.set_result(None)

    def _commit(self, jobs: Sequence[_Job]) -> None:
        try:
            transaction = self._begin()
            outcomes = [self._attempt(transaction, job) for job in jobs]
            self._hooks.finish(transaction)
            self._run("COMMIT")
        except Exception as error:
            self._roll_back()
            for job in jobs:
                _fail(job, error, self._path)
            return
        try:
            self._hooks.committed(transaction)
        except Exception:
            log.exception("the index missed a committed change; it will catch up from the rows")
        for job, (result, failure) in zip(jobs, outcomes, strict=True):
            if failure is None:
                job.future.set_result(result)
            else:
                _fail(job, failure, self._path)

    def _begin(self) -> Transaction:
        self._run("BEGIN IMMEDIATE")
        seq = self._run("UPDATE totals SET seq = seq + 1 RETURNING seq").fetchone()[0]
        self._run(
            "INSERT INTO writers (owner, seqs, written_at) VALUES (?, 1, ?)"
            " ON CONFLICT (owner) DO UPDATE SET seqs = seqs + 1, written_at = excluded.written_at",
            (self._owner, time.time()),
        )
        return Transaction(self._connection, before=seq - 1, seq=seq)

    def _attempt(self, transaction: Transaction, job: _Job) -> tuple[Any, Exception | None]:
        added, removed = len(transaction.added), len(transaction.removed)
        self._run("SAVEPOINT job")
        try:
            result = job.work(transaction) if job.work is not None else None
        except Exception as error:
            del transaction.added[added:], transaction.removed[removed:]
            self._run("ROLLBACK TO job")
            self._run("RELEASE job")
            return None, error
        self._run("RELEASE job")
        return result, None

    def _roll_back(self) -> None:
        try:
            self._run("ROLLBACK")
        except Exception as error:  # SQLite has already rolled back by itself
            log.debug("nothing to roll back: %s", type(error).__name__)


def _fail(job: _Job, error: Exception, path: Path) -> None:
    failure = store_error(error, path)
    if failure is error:
        failure = type(failure)(failure.message)
    failure.__cause__ = error
    job.future.set_exception(failure)
