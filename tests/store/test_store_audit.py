"""Each kind of damage is found by `check` and mended by `check(fix=True)`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from semcache.interfaces import Vector
from semcache.store import LocalStore
from semcache.store.vector_index import LARGE, VectorIndex
from tests.store.samples import DIM, EMBEDDER, entry, scope, unit

COUNT = LARGE + 10
VECTORS = unit(np.random.default_rng(0), COUNT + 1)
Harm = Callable[[sqlite3.Connection], object]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    with LocalStore(tmp_path, dim=DIM, embedder=EMBEDDER, synchronous="NORMAL") as store:
        for at in range(COUNT):
            store.put(entry(f"k{at}", scope("ab"[at % 5 == 0])), VECTORS[at])
    return tmp_path


def sql(statement: str, *bound: object) -> Harm:
    return lambda raw: raw.execute(statement, bound)


ROWS: dict[str, tuple[Harm, str, int]] = {
    "not JSON": (sql("UPDATE completions SET json = X'7B' WHERE id = 3"), "not JSON", 1),
    "no object": (
        sql("UPDATE completions SET json = CAST('[]' AS BLOB) WHERE id = 3"),
        "no obj",
        1,
    ),
    "no completion": (sql("DELETE FROM completions WHERE id = 3"), "no completion", 1),
    "foreign tenant": (sql("UPDATE entries SET tenant = 'x' WHERE id = 3"), "digest", 1),
    "foreign scope": (sql("UPDATE entries SET scope = 'x' WHERE id = 3"), "digest", 1),
    "no vector": (sql("DELETE FROM vectors WHERE id = 3"), "without a vector", 1),
    "short vector": (sql("UPDATE vectors SET vector = X'00000000' WHERE id = 3"), "4 bytes", 1),
    "sources": (sql("UPDATE entries SET sources = '[1]' WHERE id = 3"), "sources", 1),
    "detail": (sql("UPDATE entries SET detail = '{' WHERE id = 3"), "detail", 1),
    "size": (sql("UPDATE entries SET bytes = 1 WHERE id = 3"), "counts as 1 bytes", 0),
    "totals": (sql("UPDATE totals SET entries = 7"), "totals", 0),
    "hits": (sql("UPDATE totals SET hits = 7"), "totals", 0),
    "usage": (sql("UPDATE usage SET bytes = 7"), "usage", 0),
    "orphan": (sql("INSERT INTO completions VALUES (9999, X'7B7D')"), "no entry", 0),
    "silent delete": (
        lambda raw: raw.executescript(
            "PRAGMA foreign_keys = ON; DROP TRIGGER entry_removed; DELETE FROM entries WHERE id = 3"
        ),
        "totals",
        1,
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_damaged_rows_are_found_and_dropped_or_mended(directory: Path, name: str) -> None:
    harm, says, lost = ROWS[name]
    with sqlite3.connect(directory / "semcache.db") as raw:
        harm(raw)
    raw.close()
    with LocalStore(directory, dim=DIM, embedder=EMBEDDER) as store:
        found = store.check()
        assert any(says in problem for problem in found.problems), found.problems
        assert found.repaired == 0
        assert not found.clean
        mended = store.check(fix=True)
        assert mended.problems == found.problems
        assert mended.repaired == len(found.problems)
        assert mended.clean
        assert (mended.entries, mended.vectors) == (COUNT - lost, COUNT - lost)
        after = store.check()
        assert (after.problems, after.entries) == ((), COUNT - lost)


def index_of(store: LocalStore) -> VectorIndex:
    assert store._follower is not None
    return store._follower.index


def put_elsewhere(index: VectorIndex, digest: str, vector: Vector) -> None:
    index.apply([], [3])
    index.apply([(3, digest, vector)], [])


INDEX: dict[str, tuple[Callable[[VectorIndex], object], str]] = {
    "missing": (lambda index: index.apply([], [3]), "entry 3 is missing"),
    "ghost": (lambda index: index.apply([(9999, "s", VECTORS[0])], []), "9999 has no entry"),
    "moved": (
        lambda index: put_elsewhere(index, scope("never").digest(), VECTORS[2]),
        "entry 3 is in another scope",
    ),
    "other vector": (
        lambda index: put_elsewhere(index, scope("a").digest(), VECTORS[COUNT]),
        "entry 3 has another vector",
    ),
}


@pytest.mark.parametrize("name", INDEX)
def test_an_index_that_disagrees_is_found_and_built_again(directory: Path, name: str) -> None:
    harm, says = INDEX[name]
    with LocalStore(directory, dim=DIM, embedder=EMBEDDER) as store:
        harm(index_of(store))
        found = store.check()
        assert any(says in problem for problem in found.problems), found.problems
        assert store.check(fix=True).clean
        assert store.check().problems == ()
        [nearest] = store.search(scope("a"), VECTORS[2], 1)
        assert nearest.entry.key == "k2"


def test_a_row_that_cannot_be_decoded_does_not_hide_the_others(directory: Path) -> None:
    from semcache.errors import StoreError

    with sqlite3.connect(directory / "semcache.db") as raw:
        raw.execute("UPDATE completions SET json = X'7B' WHERE id = 3")
    raw.close()
    with LocalStore(directory, dim=DIM, embedder=EMBEDDER) as store:
        with pytest.raises(StoreError, match="repair"):
            store.get("k2")
        assert len(list(store.scan())) == COUNT - 1
        found = store.search(scope("a"), VECTORS[2], 3)
        assert len(found) == 2
        assert "k2" not in {candidate.entry.key for candidate in found}
        store.put(entry("k2", scope("a")), VECTORS[2])
        assert store.get("k2") is not None
        assert store.check().problems == ()
