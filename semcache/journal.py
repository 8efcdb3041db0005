"""What people said of answers, durably: a SQLite file of its own (WAL, mode 0600).

A pair that was called wrong is remembered for good: its answer is never served for that question
again, whatever becomes of the entry. Bounded in number: the oldest go first. A tenant's remarks go
with its entries.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from semcache.sqlite_file import SqliteFile

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

    def __init__(
        self,
        path: Path | None = None,
        *,
        capacity: int = CAPACITY,
        mark: Callable[[str], str] | None = None,
    ) -> None:
        """Open or create the file. Raises StoreError, StoreLocked.

        With `mark` no words are written: of the question that was asked this digest.
        """
        self._capacity = capacity
        self._mark = mark
        self._wrong: dict[str, set[str]] = {}
        self._seen = -1
        self._file = SqliteFile(path, "the feedback", [_SCHEMA])
        with self._file.use() as db:
            self._read(db)

    def add(self, remark: Remark) -> None:
        """Append; durable when this returns. Raises StoreError, StoreLocked."""
        asked, stored, comment = remark.asked, remark.stored, remark.comment
        if self._mark is not None:
            asked = None if asked is None else self._mark(asked)
            stored = comment = None
        row = (
            remark.at,
            remark.tenant,
            remark.entry_id,
            remark.entry_key,
            asked,
            stored,
            remark.verdict,
            comment,
        )
        with self._file.use() as db:
            db.execute(_ADD, row)
            oldest = "DELETE FROM feedback WHERE id <= (SELECT max(id) FROM feedback) - ?"
            db.execute(oldest, (self._capacity,))
            self._read(db)

    def refuted(self, asked: str) -> Collection[str]:
        """Keys of the entries whose answer was called wrong for this question.

        Sees what other processes wrote. Raises StoreError.
        """
        if self._file.version() != self._seen:
            with self._file.use() as db:
                self._read(db)
        return self._wrong.get(asked if self._mark is None else self._mark(asked), ())

    def refutations(self) -> dict[str, tuple[str, ...]]:
        """By entry key, the questions for which its answer was called wrong. Raises StoreError.

        None with a `mark`: the words are not known.
        """
        found: dict[str, list[str]] = {}
        if self._mark is not None:
            return {}
        with self._file.use() as db:
            for asked, key in db.execute(_PAIRS + " GROUP BY asked, entry_key ORDER BY min(id)"):
                found.setdefault(key, []).append(asked)
        return {key: tuple(questions) for key, questions in found.items()}

    def remarks(self) -> list[Remark]:
        """All that is known, oldest first. Raises StoreError."""
        with self._file.use() as db:
            rows = db.execute(_ALL + " ORDER BY id").fetchall()
        return [Remark(*row) for row in rows]

    def forget(self, tenant: str | None = None) -> None:
        """Delete everything (of one tenant, if given). Raises StoreError."""
        with self._file.use() as db:
            db.execute("DELETE FROM feedback WHERE ?1 IS NULL OR tenant = ?1", (tenant,))
            self._read(db)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._file.close()

    def _read(self, db: sqlite3.Connection) -> None:
        self._seen = int(db.execute("PRAGMA data_version").fetchone()[0])
        wrong: dict[str, set[str]] = {}
        for asked, key in db.execute(_PAIRS):
            wrong.setdefault(asked, set()).add(key)
        self._wrong = wrong
