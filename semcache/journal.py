"""What people said of answers, durably: a SQLite file of its own (WAL, mode 0600).

A pair that was called wrong is remembered for good: its answer is never served for that question
again, whatever becomes of the entry. Bounded in number: the oldest go first. A tenant's remarks go
with its entries.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from semcache.errors import StoreError, StoreLocked

Verdict: TypeAlias = Literal["right", "wrong"]

CAPACITY = 50_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS feedback (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL, tenant TEXT NOT NULL, entry_id INTEGER NOT NULL, entry_key TEXT NOT NULL,
    asked TEXT, stored TEXT, verdict TEXT NOT NULL, comment TEXT
)
"""
_ADD = "INSERT INTO feedback VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)"
_PAIRS = "SELECT asked, entry_key FROM feedback WHERE verdict = 'wrong' AND asked NOT NULL"
_VERSION = "PRAGMA data_version"
_ALL = "SELECT at, tenant, entry_id, entry_key, verdict, asked, stored, comment FROM feedback"


@dataclass(frozen=True, slots=True)
class Remark:
    """One verdict. `asked` and `stored` are the two questions of a semantic hit, else None."""

    at: float
    tenant: str
    entry_id: int
    entry_key: str
    verdict: Verdict
    asked: str | None = None
    stored: str | None = None
    comment: str | None = None


class Journal:
    """Safe for threads and processes. Without a path it is kept in memory only."""

    def __init__(self, path: Path | None = None, *, capacity: int = CAPACITY) -> None:
        """Open or create the file. Raises StoreError, StoreLocked."""
        self._capacity = capacity
        self._lock = threading.Lock()
        self._wrong: dict[str, set[str]] = {}
        self._seen = -1
        self._closed = False
        try:
            if path is not None:
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
                path.chmod(0o600)
            self._db = sqlite3.connect(
                ":memory:" if path is None else path, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"The feedback cannot be kept at {path}: check its mode.") from error
        try:
            with self._at_work():
                self._db.execute("PRAGMA busy_timeout = 5000")
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.execute(_SCHEMA)
                self._read()
        except StoreError:
            self._db.close()
            raise

    def add(self, remark: Remark) -> None:
        """Append; durable when this returns. Raises StoreError, StoreLocked."""
        row = (
            remark.at,
            remark.tenant,
            remark.entry_id,
            remark.entry_key,
            remark.asked,
            remark.stored,
            remark.verdict,
            remark.comment,
        )
        with self._at_work():
            self._db.execute(_ADD, row)
            oldest = "DELETE FROM feedback WHERE id <= (SELECT max(id) FROM feedback) - ?"
            self._db.execute(oldest, (self._capacity,))
            self._read()

    def refuted(self, asked: str) -> Collection[str]:
        """Keys of the entries whose answer was called wrong for this question.

        Sees what other processes wrote. Raises StoreError.
        """
        try:  # on every semantic lookup, so without `_at_work`
            with self._lock:
                seen = self._seen == self._db.execute(_VERSION).fetchone()[0]
        except sqlite3.Error as error:
            raise StoreError("The feedback failed; check the disk.") from error
        if not seen:
            with self._at_work():
                self._read()
        return self._wrong.get(asked, ())

    def remarks(self) -> list[Remark]:
        """All that is known, oldest first. Raises StoreError."""
        with self._at_work():
            rows = self._db.execute(_ALL + " ORDER BY id").fetchall()
        return [Remark(*row) for row in rows]

    def forget(self, tenant: str | None = None) -> None:
        """Delete everything (of one tenant, if given). Raises StoreError."""
        with self._at_work():
            self._db.execute("DELETE FROM feedback WHERE ?1 IS NULL OR tenant = ?1", (tenant,))
            self._read()

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with self._lock:
            self._closed = True
            self._db.close()

    def _read(self) -> None:
        self._seen = self._version()
        wrong: dict[str, set[str]] = {}
        for asked, key in self._db.execute(_PAIRS):
            wrong.setdefault(asked, set()).add(key)
        self._wrong = wrong

    def _version(self) -> int:
        return int(self._db.execute(_VERSION).fetchone()[0])

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise StoreError("The journal of feedback is closed.")
            try:
                yield
            except sqlite3.Error as error:
                if "locked" in str(error) or "busy" in str(error):
                    raise StoreLocked("Another process holds the feedback; try again.") from error
                raise StoreError("The feedback failed; check the disk.") from error
