"""Labels that survive: what was checked, when, and whether the cached answer was wrong.

One small SQLite file of its own (WAL, mode 0600). A label holds scores and ids, and a question's
text only where the operator asked for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from semcache.errors import StoreError
from semcache.sqlite_file import SqliteFile
from semcache.verify.certify import Label

CAPACITY = 50_000
NOT_DRAWN = "not drawn"
"""The remark of a label that was not drawn by lot: it teaches, and certifies nothing."""
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
        self._file = SqliteFile(path, "the ledger", [_SCHEMA, _MARKS])

    def add(self, records: Sequence[Record]) -> None:
        """Append in one transaction; durable when it returns. Raises StoreError, StoreLocked."""
        rows = [self._row(record) for record in records]
        marks = ", ".join("?" * len(_COLUMNS.split(",")))
        with self._file.change() as db:
            db.executemany(f"INSERT INTO label ({_COLUMNS}) VALUES ({marks})", rows)  # noqa: S608
            oldest = "DELETE FROM label WHERE id <= (SELECT max(id) FROM label) - ?"
            db.execute(oldest, (self._capacity,))

    def recent(self, limit: int, since: float = 0.0) -> list[Record]:
        """The newest records that are not older than `since` (Unix seconds), oldest first."""
        newest = f"SELECT {_COLUMNS} FROM label WHERE at >= ? ORDER BY id DESC LIMIT ?"  # noqa: S608
        with self._file.use() as db:
            rows = db.execute(newest, (since, limit)).fetchall()
        return [_record(row) for row in reversed(rows)]

    def count(self) -> int:
        """How many labels there are. Raises StoreError."""
        with self._file.use() as db:
            return int(db.execute("SELECT count(*) FROM label").fetchone()[0])

    def mark(self, name: str) -> float:
        """The time (Unix seconds) under a name, 0 where none was set. Raises StoreError."""
        with self._file.use() as db:
            row = db.execute("SELECT at FROM mark WHERE name = ?", (name,)).fetchone()
        return 0.0 if row is None else float(row[0])

    def set_mark(self, name: str, at: float) -> None:
        """Keep a time under a name; durable when it returns. Raises StoreError, StoreLocked."""
        with self._file.use() as db:
            db.execute("INSERT OR REPLACE INTO mark VALUES (?, ?)", (name, float(at)))

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._file.close()

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
