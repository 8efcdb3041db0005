"""Labels that survive: what was checked, when, and whether the cached answer was wrong.

One small SQLite file of its own (WAL, mode 0600). A label holds scores and ids, and a question's
text only where the operator asked for it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from semcache.errors import StoreError, StoreLocked
from semcache.verify.certify import Label

CAPACITY = 50_000
NOT_DRAWN = "not drawn"
"""The remark of a label that was not drawn by lot: it teaches, and certifies nothing."""
_BUSY_MS = 5_000
_COLUMNS = "score, wrong, weight, at, slice, served, source, entry_id, features, question, remark"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS label (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    score REAL NOT NULL, wrong INTEGER NOT NULL, weight REAL NOT NULL, at REAL NOT NULL,
    slice TEXT NOT NULL, served INTEGER NOT NULL, source TEXT NOT NULL,
    entry_id INTEGER, features TEXT, question TEXT, remark TEXT
)
"""
_MARKS = "CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, at REAL NOT NULL)"


@dataclass(frozen=True, slots=True)
class Record:
    """A label with where it came from. `features` is what its score was made of, as JSON."""

    label: Label
    entry_id: int | None = None
    features: str | None = None
    question: str | None = None
    remark: str | None = None


class Ledger:
    """Durable labels, bounded in number: the oldest go first. Safe for threads and processes."""

    def __init__(
        self, path: Path, *, capacity: int = CAPACITY, keep_questions: bool = False
    ) -> None:
        """Open or create the file. Raises StoreError, StoreLocked."""
        if capacity < 1:
            raise StoreError("The ledger's capacity must be at least 1.")
        self._capacity = capacity
        self._keep_questions = keep_questions
        self._lock = threading.Lock()
        self._closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            path.chmod(0o600)
            # Autocommit, so that a transaction begins only where it says so.
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StoreError("The ledger cannot be opened; look at its path and mode.") from error
        try:
            self._db.execute(f"PRAGMA busy_timeout = {_BUSY_MS:d}")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute(_SCHEMA)
            self._db.execute(_MARKS)
        except sqlite3.Error as error:
            self._db.close()
            raise _said(error) from error

    def add(self, records: Sequence[Record]) -> None:
        """Append in one transaction; durable when it returns. Raises StoreError, StoreLocked."""
        rows = [self._row(record) for record in records]
        marks = ", ".join("?" * len(_COLUMNS.split(",")))
        with self._lock:
            self._open()
            try:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany(f"INSERT INTO label ({_COLUMNS}) VALUES ({marks})", rows)  # noqa: S608
                self._db.execute(
                    "DELETE FROM label WHERE id <= (SELECT max(id) FROM label) - ?",
                    (self._capacity,),
                )
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise _said(error) from error

    def recent(self, limit: int, since: float = 0.0) -> list[Record]:
        """The newest records that are not older than `since` (Unix seconds), oldest first."""
        with self._lock:
            self._open()
            try:
                rows = self._db.execute(
                    f"SELECT {_COLUMNS} FROM label WHERE at >= ? ORDER BY id DESC LIMIT ?",  # noqa: S608
                    (since, limit),
                ).fetchall()
            except sqlite3.Error as error:
                raise _said(error) from error
        return [_record(row) for row in reversed(rows)]

    def count(self) -> int:
        """How many labels there are. Raises StoreError."""
        with self._lock:
            self._open()
            try:
                return int(self._db.execute("SELECT count(*) FROM label").fetchone()[0])
            except sqlite3.Error as error:
                raise _said(error) from error

    def mark(self, name: str) -> float:
        """The time (Unix seconds) under a name, 0 where none was set. Raises StoreError."""
        with self._lock:
            self._open()
            try:
                row = self._db.execute("SELECT at FROM mark WHERE name = ?", (name,)).fetchone()
            except sqlite3.Error as error:
                raise _said(error) from error
        return 0.0 if row is None else float(row[0])

    def set_mark(self, name: str, at: float) -> None:
        """Keep a time under a name; durable when it returns. Raises StoreError, StoreLocked."""
        with self._lock:
            self._open()
            try:
                self._db.execute("INSERT OR REPLACE INTO mark VALUES (?, ?)", (name, float(at)))
            except sqlite3.Error as error:
                raise _said(error) from error

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with self._lock:
            self._closed = True
            self._db.close()

    def _open(self) -> None:
        if self._closed:
            raise StoreError("The ledger is closed.")

    def _row(self, record: Record) -> tuple[object, ...]:
        label = record.label
        question = record.question if self._keep_questions else None
        return (
            float(label.score),
            int(label.wrong),
            float(label.weight),
            float(label.at),
            label.slice,
            int(label.served),
            label.source,
            record.entry_id,
            record.features,
            question,
            record.remark,
        )


def _record(row: tuple[object, ...]) -> Record:
    score, wrong, weight, at, name, served, source, *rest = row
    label = Label(score, bool(wrong), weight, at, name, bool(served), source)  # type: ignore[arg-type]
    return Record(label, *rest)  # type: ignore[arg-type]


def _said(error: sqlite3.Error) -> StoreError:
    if "locked" in str(error) or "busy" in str(error):
        return StoreLocked("Another process holds the ledger; try again.")
    return StoreError("The ledger failed; check the disk, or move the file away to start anew.")
