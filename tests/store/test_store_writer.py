"""Group commit: one transaction for many callers, each hears only of its own failure."""

from __future__ import annotations

import itertools
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from semcache.errors import SemcacheError, StoreError, StoreLocked
from semcache.store import LocalStore, upkeep
from tests.store.samples import DIM, EMBEDDER, START, entry, scope, unit


@contextmanager
def write_lock(directory: Path) -> Iterator[None]:
    """Hold SQLite's write lock, as another process would."""
    other = sqlite3.connect(directory / "semcache.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def together(calls: list[Callable[[], object]]) -> tuple[list[threading.Thread], list[object]]:
    """Start each call in a thread; results and errors come in the order of the calls."""
    results: list[object] = [None] * len(calls)

    def run(at: int) -> None:
        try:
            results[at] = calls[at]()
        except SemcacheError as error:
            results[at] = error

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(calls))]
    for thread in threads:
        thread.start()
    return threads, results


def test_waiting_puts_share_a_transaction_and_a_poison_row_fails_alone(tmp_path: Path) -> None:
    vectors = unit(np.random.default_rng(0), 12)
    with LocalStore(tmp_path, dim=DIM, embedder=EMBEDDER) as store:
        store.put(entry("k3"), vectors[0])
        before = store.stats().detail["transactions"]
        calls: list[Callable[[], object]] = [
            lambda at=at: store.put(entry(f"k{at}"), vectors[at])  # type: ignore[misc]
            for at in range(10)
        ]
        calls.append(lambda: store.put(entry("k3", question="\ud800"), vectors[10]))
        calls.append(lambda: store.remove(["k3", "\ud800"]))
        with write_lock(tmp_path):
            threads, results = together(calls)
            time.sleep(0.3)
        for thread in threads:
            thread.join()
        assert store.stats().detail["transactions"] - before <= 2
        assert all(not isinstance(each, Exception) for each in results[:10])
        assert isinstance(results[10], StoreError)
        assert isinstance(results[11], StoreError)
        for at in range(10):
            assert [c.entry.key for c in store.search(scope(), vectors[at], 1)] == [f"k{at}"]
        report = store.check()
        assert (report.problems, report.entries, report.vectors) == ((), 10, 10)


def test_when_the_group_cannot_commit_everybody_hears_of_it(tmp_path: Path) -> None:
    with LocalStore(tmp_path, busy_timeout_s=0.2) as store:
        with write_lock(tmp_path):
            threads, results = together(
                [lambda at=at: store.put(entry(f"k{at}", embedder=None)) for at in range(5)]  # type: ignore[misc]
            )
            for thread in threads:
                thread.join()
        assert [type(each) for each in results] == [StoreLocked] * 5
        assert len({id(each) for each in results}) == 5
        assert list(store.scan()) == []
        store.put(entry("k", embedder=None))


def test_counters_that_cannot_be_written_are_kept_for_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with LocalStore(tmp_path, busy_timeout_s=0.1) as store:
        put = store.put(entry("k", embedder=None))
        store.touch({put.id: 2}, START + 1)
        with write_lock(tmp_path), pytest.raises(StoreLocked):
            store.flush()
        store.touch({put.id: 3}, START + 2)
        store.flush()
        got = store.get("k")
        assert got is not None
        assert (got.hits, got.used_at) == (5, START + 2)


def test_counters_are_written_without_being_asked(tmp_path: Path) -> None:
    with LocalStore(tmp_path, flush_interval_s=0.05) as store:
        put = store.put(entry("k", embedder=None))
        store.touch({put.id: 1}, START + 1)
        deadline = time.monotonic() + 10
        while (got := store.get("k")) is not None and got.hits == 0:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert got is not None
        assert got.hits == 1


def test_close_writes_the_counters(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    put = store.put(entry("k", embedder=None))
    store.touch({put.id: 4}, START + 1)
    store.close()
    with LocalStore(tmp_path) as again:
        got = again.get("k")
        assert got is not None
        assert got.hits == 4


def test_the_log_stays_bounded_while_somebody_always_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Overlapping snapshots keep SQLite's own checkpoint from starting the log over."""
    limit = 1 << 20
    monkeypatch.setattr(upkeep, "WAL_LIMIT_BYTES", limit)
    vectors = unit(np.random.default_rng(1), 1, 4096)
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            with store._database.snapshot() as connection:
                connection.exec_driver_sql("SELECT count(*) FROM entries").scalar()
                time.sleep(0.02)

    store = LocalStore(tmp_path, synchronous="NORMAL")
    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    sizes = []
    for at in range(600):
        store.put(entry(f"k{at}"), vectors[0])
        sizes.append(store._database.wal_bytes())
        if at % 20 == 0:
            store.flush()  # what the writing thread does every interval
    stop.set()
    for reader in readers:
        reader.join()
    store.close()
    grown = sum(max(0, after - before) for before, after in itertools.pairwise(sizes))
    assert grown > 20 * limit
    assert max(sizes) < 5 * limit
