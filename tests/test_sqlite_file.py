"""One small SQLite file: what is committed, what is rolled back, who may read it, what fails."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from semcache.errors import StoreError, StoreLocked
from semcache.sqlite_file import SqliteFile

SCHEMA = ["CREATE TABLE IF NOT EXISTS word (text TEXT)"]


def opened(folder: Path) -> SqliteFile:
    return SqliteFile(folder / "below" / "words.db", "the words", SCHEMA)


def words(file: SqliteFile) -> list[str]:
    with file.use() as db:
        return [row[0] for row in db.execute("SELECT text FROM word ORDER BY rowid")]


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    opened(tmp_path).close()
    file = tmp_path / "below" / "words.db"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def write_and_fail(file: SqliteFile) -> None:
    with file.change() as db:
        db.execute("INSERT INTO word VALUES ('lost')")
        raise KeyError


def write_at_once(file: SqliteFile) -> None:
    with file.use() as db:
        db.execute("PRAGMA busy_timeout = 0")
        db.execute("INSERT INTO word VALUES ('late')")


def test_a_change_is_whole_or_nothing(tmp_path: Path) -> None:
    file = opened(tmp_path)
    with file.change() as db:
        db.execute("INSERT INTO word VALUES ('kept')")
    with pytest.raises(KeyError):
        write_and_fail(file)
    assert words(file) == ["kept"]
    file.close()
    again = opened(tmp_path)
    assert words(again) == ["kept"]
    again.close()


def test_another_connection_is_noticed(tmp_path: Path) -> None:
    one, other = opened(tmp_path), opened(tmp_path)
    before = one.version()
    assert one.version() == before
    with other.change() as db:
        db.execute("INSERT INTO word VALUES ('news')")
    assert one.version() != before
    assert words(one) == ["news"]
    one.close()
    other.close()


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    file = opened(tmp_path)
    with pytest.raises(StoreError, match=r"The words failed; check the disk"), file.use() as db:
        db.execute("SELECT nothing FROM nowhere")
    holder = sqlite3.connect(tmp_path / "below" / "words.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreLocked, match="Another process holds the words"):
        write_at_once(file)
    holder.close()
    file.close()
    file.close()
    with pytest.raises(StoreError, match="The words is closed"), file.use():
        pass
    with pytest.raises(StoreError):
        file.version()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "words.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="move the file away"):
        SqliteFile(path, "the words", SCHEMA)
    with pytest.raises(StoreError, match=r"cannot be opened.*words\.db"):
        SqliteFile(path / "below" / "words.db", "the words", SCHEMA)


def test_without_a_path_it_is_in_memory() -> None:
    file = SqliteFile(None, "the words", SCHEMA)
    with file.change() as db:
        db.execute("INSERT INTO word VALUES ('here')")
    assert words(file) == ["here"]
    file.close()
