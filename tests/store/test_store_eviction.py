"""What leaves when a store is full, and that its limits hold."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from semcache.errors import StoreError
from semcache.store import Eviction, Limits, LocalStore
from tests.store.samples import DIM, EMBEDDER, START, Clock, answer, entry, scope, unit


def keys(store: LocalStore) -> str:
    return "".join(kept.key for kept in store.scan())


@pytest.mark.parametrize(
    ("eviction", "left"),
    [("fifo", "cde"), ("lru", "ade"), ("lfu", "abe"), ("cost", "bce")],
)
def test_each_policy_drops_in_its_order(tmp_path: Path, eviction: Eviction, left: str) -> None:
    """Two leave of a, b, c, d when e comes: by age, by last use, by hits, by seconds saved."""
    limits = Limits(max_entries=4, eviction=eviction)
    with LocalStore(tmp_path, limits=limits, clock=Clock()) as store:
        costs = {"a": 1.0, "b": 4.0, "c": 9.0, "d": 1.5, "e": 5.0}
        made = {
            key: store.put(entry(key, embedder=None, created_at=START + at, cost_s=costs[key]))
            for at, key in enumerate("abcd")
        }
        store.touch({made["a"].id: 3}, START + 50)
        store.touch({made["b"].id: 4}, START + 20)
        store.touch({made["c"].id: 1}, START + 30)
        store.touch({made["d"].id: 2}, START + 60)
        # Seconds times uses: a 4, b 20, c 18, d 4.5.
        store.put(entry("e", embedder=None, created_at=START + 70, cost_s=costs["e"], hits=9))
        first = set("abcd") - set(keys(store))
        store.put(entry("f", embedder=None, created_at=START + 71, cost_s=100.0, hits=9))
        gone = set("abcd") - set(keys(store))
        assert first < gone
        assert set(left) - {"e"} == set("abcd") - gone
        assert store.stats().entries == 4
        assert store.check().clean


def test_expired_entries_leave_first(tmp_path: Path) -> None:
    clock = Clock()
    with LocalStore(tmp_path, limits=Limits(max_entries=3), clock=clock) as store:
        store.put(entry("a", embedder=None))
        store.put(entry("b", embedder=None, created_at=START + 1, expires_at=START + 10))
        store.put(entry("c", embedder=None, created_at=START + 2, expires_at=START + 5))
        clock.now = START + 20
        store.put(entry("d", embedder=None, created_at=clock.now))
        assert keys(store) == "abd"
        store.put(entry("e", embedder=None, created_at=clock.now))
        assert keys(store) == "ade"
        store.put(entry("f", embedder=None, created_at=clock.now))
        assert keys(store) == "def"


def test_a_new_entry_does_not_leave_for_older_ones_with_hits(tmp_path: Path) -> None:
    limits = Limits(max_entries=2, eviction="lfu")
    with LocalStore(tmp_path, limits=limits) as store:
        for key in "ab":
            store.touch({store.put(entry(key, embedder=None)).id: 5}, START)
        store.put(entry("c", embedder=None))
        assert keys(store) == "bc"


def test_bytes_are_bounded_after_every_put(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    limits = Limits(max_bytes=20_000, eviction="lru")
    with LocalStore(tmp_path, dim=DIM, embedder=EMBEDDER, limits=limits) as store:
        for at, vector in enumerate(unit(rng, 150)):
            text = "x" * int(rng.integers(1, 3000))
            store.put(entry(f"k{at}", completion=answer(text), created_at=START + at), vector)
            assert store.stats().bytes <= 20_000
            assert store.get(f"k{at}") is not None
        report = store.check()
        assert report.clean
        assert report.vectors == report.entries > 3


def test_an_entry_larger_than_the_store_is_refused(tmp_path: Path) -> None:
    with LocalStore(tmp_path, limits=Limits(max_bytes=1000)) as store:
        store.put(entry("small", embedder=None))
        with pytest.raises(StoreError, match="more than the store may hold"):
            store.put(entry("large", embedder=None, completion=answer("x" * 2000)))
        assert keys(store) == "small"


def test_a_tenant_cannot_push_others_out(tmp_path: Path) -> None:
    with LocalStore(tmp_path, limits=Limits(max_entries_per_tenant=3)) as store:
        store.put(entry("z", scope(tenant="quiet"), embedder=None))
        for at, key in enumerate("abcdef"):
            loud = entry(key, scope(tenant="loud"), embedder=None, created_at=START + at)
            store.put(loud)
        assert keys(store) == "zdef"
        assert store.check().clean


def test_nor_by_large_entries(tmp_path: Path) -> None:
    with LocalStore(tmp_path, limits=Limits(max_bytes_per_tenant=5_000)) as store:
        store.put(entry("z", scope(tenant="quiet"), embedder=None))
        for at, key in enumerate("abcdef"):
            loud = entry(
                key,
                scope(tenant="loud"),
                embedder=None,
                created_at=START + at,
                completion=answer("x" * 2000),
            )
            store.put(loud)
        assert keys(store) == "zef"
        assert store.check().clean


def test_limits_hold_under_many_threads(tmp_path: Path) -> None:
    """More puts in one group than the store may hold: limits still hold, and the index agrees."""
    limits = Limits(max_entries=5)
    vectors = unit(np.random.default_rng(1), 160)
    with LocalStore(tmp_path, dim=DIM, embedder=EMBEDDER, limits=limits) as store:

        def put(thread: int) -> None:
            for at in range(thread, 160, 16):
                store.put(entry(f"k{at}", created_at=START + at), vectors[at])

        threads = [threading.Thread(target=put, args=(each,)) for each in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        report = store.check()
        assert (report.problems, report.entries, report.vectors) == ((), 5, 5)


def test_a_full_store_evicts_a_few_ahead_and_never_exceeds(tmp_path: Path) -> None:
    limits = Limits(max_entries=300, eviction="fifo")
    with LocalStore(tmp_path, limits=limits, synchronous="NORMAL") as store:
        sizes = []
        for at in range(320):
            store.put(entry(f"k{at}", embedder=None))
            sizes.append(store.stats().entries)
        assert max(sizes) == 300
        assert min(sizes[300:]) == 297
        assert [kept.key for kept in store.scan()][-1] == "k319"


def test_an_old_store_is_cut_to_a_new_limit_by_the_next_put(tmp_path: Path) -> None:
    with LocalStore(tmp_path) as store:
        for at in range(50):
            store.put(entry(f"k{at}", embedder=None, created_at=START + at))
    with LocalStore(tmp_path, limits=Limits(max_entries=10)) as store:
        store.put(entry("new", embedder=None, created_at=START + 99))
        assert store.stats().entries == 10
        assert store.stats().detail["evicted"] == 41
        assert store.check().clean
