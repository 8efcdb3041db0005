"""Sketches, aliases and quarantine of the local store: over restarts, processes and damage."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest

from semcache.errors import StoreError
from semcache.store import Limits, LocalStore, upkeep
from tests.store.judging_contract import sketch
from tests.store.samples import DIM, EMBEDDER, entry, scope, unit

VECTORS = unit(np.random.default_rng(30), 700)


def opened(directory: Path, *, sketches: bool = True, limits: Limits | None = None) -> LocalStore:
    return LocalStore(
        directory,
        dim=DIM,
        embedder=EMBEDDER,
        sketches=sketches,
        limits=limits or Limits(),
        synchronous="NORMAL",
    )


def filled(directory: Path) -> None:
    """k0 with an alias, k1 in quarantine with an alias, k2 with a sketch only."""
    with opened(directory) as store:
        ids = [store.put(entry(f"k{at}"), VECTORS[at], sketch(at)).id for at in range(3)]
        store.add_alias(ids[0], "alias 0", VECTORS[10], sketch(10))
        store.add_alias(ids[1], "alias 1", VECTORS[11], sketch(11))
        store.quarantine(ids[1])


def test_everything_survives_a_restart_with_and_without_the_index_file(tmp_path: Path) -> None:
    filled(tmp_path)
    for lost in (False, True):
        if lost:
            (tmp_path / "semcache.index").unlink()
        with opened(tmp_path) as store:
            nearest = store.search(scope(), VECTORS[10], 5)
            assert {c.entry.key for c in nearest} == {"k0", "k2"}
            assert (nearest[0].alias, nearest[0].sketch) == ("alias 0", sketch(10))
            assert store.stats().detail["aliases"] == 2
            assert store.stats().detail["quarantined"] == 1
            assert store.check().problems == ()


def test_an_index_file_from_before_a_quarantine_catches_up(tmp_path: Path) -> None:
    filled(tmp_path)
    kept = (tmp_path / "semcache.index").read_bytes()
    with opened(tmp_path) as store:
        first, second = store.get("k0"), store.get("k1")
        assert first is not None
        assert second is not None
        store.quarantine(first.id)
        store.release(second.id)
        store.add_alias(second.id, "alias 2", VECTORS[12])
    (tmp_path / "semcache.index").write_bytes(kept)
    with opened(tmp_path) as store:
        assert {c.entry.key for c in store.search(scope(), VECTORS[10], 5)} == {"k1", "k2"}
        assert store.search(scope(), VECTORS[12], 1)[0].alias == "alias 2"
        assert store.check().problems == ()


def test_sketches_are_kept_but_not_read_where_nobody_asked_for_them(tmp_path: Path) -> None:
    filled(tmp_path)
    with opened(tmp_path, sketches=False) as store:
        assert [c.sketch for c in store.search(scope(), VECTORS[0], 5)] == [None, None]
        store.put(entry("k3"), VECTORS[3], sketch(3))
    with opened(tmp_path) as store:
        assert store.search(scope(), VECTORS[3], 1)[0].sketch == sketch(3)


def test_another_process_follows(tmp_path: Path) -> None:
    with opened(tmp_path) as one, opened(tmp_path) as two:
        put = one.put(entry("k"), VECTORS[0], sketch(0))
        one.add_alias(put.id, "alias", VECTORS[1], sketch(1))
        assert two.search(scope(), VECTORS[1], 1)[0].sketch == sketch(1)
        version = two.version()
        one.quarantine(put.id)
        assert two.version() != version
        assert two.search(scope(), VECTORS[1], 1) == []
        two.release(put.id)
        assert one.search(scope(), VECTORS[1], 1)[0].alias == "alias"
        two.quarantine(put.id)
        one.release(put.id)
        assert two.search(scope(), VECTORS[0], 1)[0].alias is None
        two.remove(["k"])
        assert one.search(scope(), VECTORS[1], 5) == []
        assert one.check().problems == two.check().problems == ()


def test_one_transaction_may_take_out_and_bring_back(tmp_path: Path) -> None:
    """Many threads share a commit: whatever order they come in, index and rows agree."""
    with opened(tmp_path) as store:
        put = store.put(entry("k"), VECTORS[0])
        store.add_alias(put.id, "alias", VECTORS[1])

        def work(seed: int) -> None:
            rng = np.random.default_rng(seed)
            for step in range(25):
                (store.quarantine, store.release)[rng.integers(2)](put.id)
                if rng.random() < 0.2:
                    store.add_alias(put.id, f"alias {seed} {step}", unit(rng, 1)[0])

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.check().problems == ()
        store.release(put.id)
        assert store.check().problems == ()
        assert store.search(scope(), VECTORS[1], 1)[0].alias == "alias"


def test_what_was_away_too_long_builds_its_index_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "TOMBSTONES_KEPT", 10)
    with opened(tmp_path) as one, opened(tmp_path) as two:
        put = one.put(entry("kept"), VECTORS[0])
        one.add_alias(put.id, "alias", VECTORS[1])
        assert two.search(scope(), VECTORS[1], 1)[0].alias == "alias"
        one.quarantine(put.id)
        for at in range(30):
            one.put(entry(f"k{at}"), VECTORS[at + 2])
            one.remove([f"k{at}"])
        assert two.search(scope(), VECTORS[1], 1) == []
        assert two.check().problems == ()


def test_aliases_in_a_large_scope_are_found_by_their_codes(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        ids = [store.put(entry(f"k{at}"), VECTORS[at]).id for at in range(300)]
        for at in range(0, 300, 3):
            store.add_alias(ids[at], "alias", VECTORS[300 + at])
        assert store.stats().detail["large_scopes"] == 1
        for at in range(0, 300, 3):
            [candidate] = store.search(scope(), VECTORS[300 + at], 1)
            assert (candidate.entry.key, candidate.alias) == (f"k{at}", "alias")
        assert store.check().problems == ()


def test_eviction_counts_sketches_and_takes_aliases_along(tmp_path: Path) -> None:
    with opened(tmp_path / "one") as store:
        store.put(entry("k00"), VECTORS[0], sketch(0))
        size = store.stats().bytes
    limits = Limits(max_bytes=10 * size + 1000)
    with opened(tmp_path / "two", limits=limits) as store:
        for at in range(40):
            put = store.put(entry(f"k{at:02}"), VECTORS[at], sketch(at))
            store.add_alias(put.id, "alias", VECTORS[100 + at])
        stats = store.stats()
        assert stats.bytes <= 10 * size + 1000
        assert 1 <= stats.entries <= 10
        assert stats.detail["aliases"] == stats.entries
        assert stats.vectors == 2 * stats.entries
        assert store.check().problems == ()
    with opened(tmp_path / "three", limits=Limits(max_bytes=size - 1)) as store:
        with pytest.raises(StoreError, match="bytes"):
            store.put(entry("k00"), VECTORS[0], sketch(0))
        store.put(entry("k00"), VECTORS[0])


DAMAGE = {
    "sketch": ("UPDATE sketches SET sketch = X'00' WHERE id = 3", "its sketch", {"k0", "k2"}),
    "bit": (
        "UPDATE sketches SET sketch ="
        " CAST(substr(sketch, 1, 20) || X'FF' || substr(sketch, 22) AS BLOB) WHERE id = 3",
        "its sketch",
        {"k0", "k2"},
    ),
    "alias vector": ("UPDATE aliases SET vector = X'0000' WHERE id = 1", "alias 1", {"k0", "k2"}),
    "alias sketch": ("UPDATE aliases SET sketch = X'0000' WHERE id = 1", "alias 1", {"k0", "k2"}),
    "bytes": ("UPDATE entries SET bytes = bytes + 1 WHERE id = 1", "counts as", {"k0", "k2"}),
    "orphans": (
        "INSERT INTO sketches VALUES (77, X'00'); INSERT INTO aliases"
        " VALUES (77, 77, 1, 'q', 'encoder-a', X'00', NULL)",
        "no entry",
        {"k0", "k2"},
    ),
    "silent alias": ("DROP TRIGGER alias_removed; DELETE FROM aliases", "counts as", {"k0", "k2"}),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_costs_no_answer(tmp_path: Path, name: str) -> None:
    filled(tmp_path)
    harm, says, left = DAMAGE[name]
    raw = sqlite3.connect(tmp_path / "semcache.db")
    raw.executescript(harm)
    raw.close()
    with opened(tmp_path) as store:
        report = store.check()
        assert any(says in problem for problem in report.problems), report.problems
        nearest = store.search(scope(), VECTORS[2], 5)
        assert {c.entry.key for c in nearest} == left
        assert store.check(fix=True).clean
        assert store.check().problems == ()
        assert {c.entry.key for c in store.search(scope(), VECTORS[2], 5)} == left
        assert store.get("k1") is not None


def test_an_index_that_holds_what_is_quarantined_is_found(tmp_path: Path) -> None:
    filled(tmp_path)
    with opened(tmp_path) as store:
        assert store._follower is not None
        store._follower.index.apply([(2, scope().digest(), VECTORS[1])], [-1])
        assert len(store.check().problems) == 2
        assert store.check(fix=True).clean
        assert {c.entry.key for c in store.search(scope(), VECTORS[1], 5)} == {"k0", "k2"}


def test_an_exact_only_store_has_no_aliases_and_keeps_quarantine(tmp_path: Path) -> None:
    with LocalStore(tmp_path) as store:
        put = store.put(entry("k", embedder=None))
        with pytest.raises(StoreError, match="encoder"):
            store.add_alias(put.id, "alias", VECTORS[0])
        store.quarantine(put.id)
        got = store.get("k")
        assert got is not None
        assert got.state == "quarantined"
        assert store.check().problems == ()
