"""A store of an earlier version opens, keeps everything, and has what a new store has."""

from __future__ import annotations

import re
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from semcache.store import Limits, LocalStore
from tests.store.judging_contract import sketch
from tests.store.samples import DIM, EMBEDDER, START, Clock, answer, entry, scope, unit

DATABASE = "semcache.db"
VECTORS = unit(np.random.default_rng(1), 6)
# What the version that wrote schema_1.sql did: k0..k3 in scopes a, b of tenants x, x, y, y with
# VECTORS[0..3]; an exact-only entry; one of another encoder; k1 replaced; k0 hit; k2 removed.
LEFT = ["k0", "k3", "exact", "other", "k1"]
# The one that wrote schema_2.sql: k0 with sketch 1 and VECTORS[0], hit thrice, and its alias with
# sketch 2 and VECTORS[2]; k1 in quarantine; an exact-only entry; k2 removed.
LEFT_2 = ["k0", "k1", "exact"]


def written(directory: Path, schema: int) -> Path:
    """A store that the version with this schema has left."""
    raw = sqlite3.connect(directory / DATABASE)
    script = Path(__file__).with_name(f"schema_{schema}.sql")
    raw.executescript(script.read_text(encoding="utf-8"))
    raw.execute("PRAGMA journal_mode = WAL")
    raw.close()
    return directory


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return written(tmp_path, 1)


def opened(directory: Path, *, sketches: bool = True) -> LocalStore:
    return LocalStore(
        directory,
        dim=DIM,
        embedder=EMBEDDER,
        sketches=sketches,
        limits=Limits(max_entries=100),
        clock=Clock(),
    )


def test_every_entry_is_there_and_none_has_a_sketch(old: Path) -> None:
    with opened(old) as store:
        assert [kept.key for kept in store.scan()] == LEFT
        assert {kept.state for kept in store.scan()} == {""}
        first, replaced, exact = store.get("k0"), store.get("k1"), store.get("exact")
        assert first is not None
        assert (first.id, first.hits, first.used_at) == (1, 3, START + 5)
        assert replaced is not None
        assert replaced.completion == answer("new")
        assert exact is not None
        assert (exact.question, exact.expires_at) == (None, START + 60)
        for key, where, vector in (
            ("k0", scope("a", "x"), VECTORS[0]),
            ("k1", scope("b", "x"), VECTORS[5]),
            ("k3", scope("b", "y"), VECTORS[3]),
        ):
            [candidate] = store.search(where, vector, 3)
            assert candidate.entry.key == key
            assert candidate.similarity == pytest.approx(1.0, abs=1e-6)
            assert candidate.sketch is None
        report = store.check()
        assert (report.problems, report.entries, report.vectors) == ((), 5, 3)


def test_what_is_new_works_on_it(old: Path) -> None:
    with opened(old) as store:
        kept = store.get("k3")
        assert kept is not None
        store.put(entry("k9", scope("b", "y")), VECTORS[2], sketch(1))
        assert store.add_alias(kept.id, "alias", VECTORS[4], sketch(2))
        taken = store.get("k0")
        assert taken is not None
        store.quarantine(taken.id)
    with opened(old) as store:
        assert store.search(scope("b", "y"), VECTORS[2], 1)[0].sketch == sketch(1)
        assert store.search(scope("b", "y"), VECTORS[4], 1)[0].sketch == sketch(2)
        assert store.search(scope("a", "x"), VECTORS[0], 1) == []
        assert store.remove(["k3", "k0"]) == 2
        assert store.check().problems == ()


def shape(path: Path) -> dict[str, object]:
    """Tables, their columns, indexes and triggers, without the blanks of their SQL."""
    raw = sqlite3.connect(path)
    query = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
    found: dict[str, object] = {}
    for kind, name, table, text in raw.execute(query).fetchall():
        if kind == "table":
            found[name] = (
                raw.execute(f"PRAGMA table_xinfo({name})").fetchall(),
                raw.execute(f"PRAGMA foreign_key_list({name})").fetchall(),
                "AUTOINCREMENT" in text,
                "WITHOUT ROWID" in text,
            )
        else:
            found[f"{kind} {name}"] = (table, re.sub(r"\s+", " ", text or "").strip())
    raw.close()
    return found


def test_its_schema_is_that_of_a_new_store(old: Path, tmp_path: Path) -> None:
    opened(old).close()
    new = tmp_path / "new"
    opened(new).close()
    assert shape(old / DATABASE) == shape(new / DATABASE)


def test_schema_2_keeps_all_and_has_room_for_what_is_new(tmp_path: Path) -> None:
    directory = written(tmp_path, 2)
    with opened(directory) as store:
        assert [kept.key for kept in store.scan()] == LEFT_2
        assert [kept.state for kept in store.scan()] == ["", "quarantined", ""]
        first = store.get("k0")
        assert first is not None
        assert (first.id, first.hits, first.completion) == (1, 3, answer("answer of k0"))
        new = (first.sources, first.variant, first.writer, first.stale_s, first.detail)
        assert new == ((), 0, None, None, {})
        for vector, made, alias in ((VECTORS[0], 1, None), (VECTORS[2], 2, "alias")):
            candidate = store.search(scope("a", "x"), vector, 1)[0]
            assert (candidate.entry, candidate.alias) == (first, alias)
            assert candidate.sketch == sketch(made)
        given = entry("k9", sources=("d",), variant=1, writer="w", stale_s=2.0, detail={"a": 1})
        kept = store.put(given, VECTORS[3])
        assert store.check().problems == ()
    new_one = tmp_path / "new"
    opened(new_one).close()
    assert shape(directory / DATABASE) == shape(new_one / DATABASE)
    with opened(directory) as store:
        assert store.get("k9") == kept
        store.backup(tmp_path / "copy.db")
    copied = sqlite3.connect(tmp_path / "copy.db")
    query = "SELECT sources, variant, writer, stale_s, detail FROM entries WHERE key = 'k9'"
    assert copied.execute(query).fetchone() == ('["d"]', 1, "w", 2.0, '{"a":1}')
    copied.close()


def test_it_is_migrated_once(old: Path) -> None:
    opened(old).close()
    before = shape(old / DATABASE)
    opened(old).close()
    assert shape(old / DATABASE) == before


def test_a_migration_that_fails_changes_nothing(old: Path) -> None:
    raw = sqlite3.connect(old / DATABASE)
    raw.execute("CREATE TABLE aliases (unexpected TEXT)")
    raw.commit()
    raw.close()
    before = shape(old / DATABASE)
    with pytest.raises(Exception, match="aliases"):
        opened(old)
    assert shape(old / DATABASE) == before


def test_a_copy_made_by_backup_is_migrated_too(old: Path, tmp_path: Path) -> None:
    with opened(old) as store:
        store.put(entry("k9", scope("b", "y")), VECTORS[2], sketch(1))
        store.backup(tmp_path / "copy.db")
    copy = tmp_path / "restored"
    copy.mkdir()
    shutil.move(tmp_path / "copy.db", copy / DATABASE)
    with opened(copy) as store:
        assert [kept.key for kept in store.scan()] == [*LEFT, "k9"]
        assert store.search(scope("b", "y"), VECTORS[2], 1)[0].sketch == sketch(1)
        assert store.check().problems == ()
