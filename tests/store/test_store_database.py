"""Opening: permissions, and files that are not ours, too new or damaged."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from semcache.errors import ConfigError, StoreError, StoreLocked
from semcache.store import Limits, LocalStore
from semcache.store.schema import SCHEMA
from tests.store.samples import entry

DATABASE = "semcache.db"


def test_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    before = os.umask(0o000)
    try:
        with LocalStore(directory, dim=4, embedder="e") as store:
            store.put(entry("k", embedder=None))
            store.flush()
            modes = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}
    finally:
        os.umask(before)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert set(modes) == {DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", "semcache.index"}
    assert set(modes.values()) == {0o600}


def test_a_loose_database_is_made_private(tmp_path: Path) -> None:
    LocalStore(tmp_path).close()
    (tmp_path / DATABASE).chmod(0o644)
    LocalStore(tmp_path).close()
    assert (tmp_path / DATABASE).stat().st_mode & 0o777 == 0o600


def test_an_exact_only_store_searches_nothing(tmp_path: Path) -> None:
    import numpy as np

    with LocalStore(tmp_path) as store:
        store.put(entry("k", embedder="any"), np.ones(3, dtype=np.float32))
        assert store.get("k") is not None
        assert store.search(entry("k").scope, np.ones(3, dtype=np.float32), 1) == []
        store.flush()
        assert store.check().clean
    assert not (tmp_path / "semcache.index").exists()


def test_dim_and_embedder_come_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        LocalStore(tmp_path, dim=3)
    with pytest.raises(ConfigError):
        LocalStore(tmp_path, embedder="e")


def test_an_unknown_synchronous_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="FULL, NORMAL"):
        LocalStore(tmp_path, synchronous="OFF; DROP TABLE entries")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bad", [{"max_entries": 0}, {"max_bytes": -1}, {"eviction": "random"}], ids=str
)
def test_impossible_limits_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Limits(**bad)  # type: ignore[arg-type]


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    LocalStore(tmp_path).close()
    with sqlite3.connect(tmp_path / DATABASE) as raw:
        raw.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (str(SCHEMA + 1),))
    raw.close()
    before = (tmp_path / DATABASE).read_bytes()
    with pytest.raises(StoreError, match=f"schema {SCHEMA + 1}"):
        LocalStore(tmp_path)
    assert (tmp_path / DATABASE).read_bytes() == before


def test_somebody_elses_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / DATABASE) as raw:
        raw.execute("CREATE TABLE cats (name TEXT)")
    raw.close()
    before = (tmp_path / DATABASE).read_bytes()
    with pytest.raises(StoreError, match="not a semcache store"):
        LocalStore(tmp_path)
    assert (tmp_path / DATABASE).read_bytes() == before


@pytest.mark.parametrize("content", [b"hello, this is no database" * 400, b"\x00" * 9000])
def test_what_is_no_database_is_refused_with_advice_and_kept(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / DATABASE).write_bytes(content)
    with pytest.raises(StoreError, match="move it away"):
        LocalStore(tmp_path)
    assert (tmp_path / DATABASE).read_bytes() == content


def test_a_damaged_database_is_an_error_with_advice_not_a_crash(tmp_path: Path) -> None:
    with LocalStore(tmp_path) as store:
        for at in range(200):
            store.put(entry(f"k{at}", embedder=None))
    path = tmp_path / DATABASE
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = b"\xa5" * (len(content) - 4096 * 2)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="move it away"), LocalStore(tmp_path) as store:
        store.get("k1")


def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    (tmp_path / DATABASE).touch()
    with LocalStore(tmp_path) as store:
        store.put(entry("k", embedder=None))
        assert store.stats().entries == 1


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="data directory"):
        LocalStore(tmp_path / "file" / "below")


def test_a_held_lock_is_store_locked_and_passes(tmp_path: Path) -> None:
    with LocalStore(tmp_path, busy_timeout_s=0.1) as store:
        other = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLocked, match="busy_timeout_s"):
            store.put(entry("k", embedder=None))
        assert store.get("k") is None
        other.execute("ROLLBACK")
        other.close()
        assert store.put(entry("k", embedder=None)).id > 0


def test_errors_hold_no_prompt(tmp_path: Path) -> None:
    secret = "my secret \ud800"
    with LocalStore(tmp_path) as store, pytest.raises(StoreError) as raised:
        store.put(entry("k", question=secret, embedder=None))
    error: BaseException | None = raised.value
    while error is not None:
        assert "my secret" not in str(error)
        error = error.__cause__


def test_the_package_loads_nothing_heavy_before_use() -> None:
    code = (
        "import sys, semcache, semcache.store; from semcache.store import Limits;"
        "print([m for m in ('sqlalchemy', 'faiss', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
