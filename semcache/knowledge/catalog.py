"""The catalogue: documents, their passages and the passages' vectors, in one SQLite file.

Rules of this file:
1. A document with its passages comes, changes and goes in one transaction: whoever is killed
   leaves the old state or the new one.
2. A passage's row never changes. A replaced one is marked as gone and kept for an hour, for
   requests that still answer from the state that it belongs to.
3. A vector belongs to a text and an encoder, not to a document: it is kept as soon as it is made,
   so an interrupted build goes on where it was, and what moves is not encoded again.

WAL, mode 0600. Several processes may read; who writes holds the file lock of `locking`.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semcache.errors import StoreError
from semcache.interfaces import Document, Passage, Vector
from semcache.sqlite_file import SqliteFile

FORMAT = 1
KEPT_S = 3600.0
_FOLDER = 2
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS facts (
        name TEXT PRIMARY KEY, value INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS sources (
        path TEXT PRIMARY KEY, wanted INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS documents (
        id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
        size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, recipe TEXT NOT NULL, problem TEXT,
        digest TEXT, text BLOB, text_bytes INTEGER NOT NULL DEFAULT 0
    )""",
    """CREATE TABLE IF NOT EXISTS passages (
        id INTEGER PRIMARY KEY AUTOINCREMENT, document INTEGER NOT NULL, name TEXT NOT NULL,
        place INTEGER NOT NULL, digest TEXT NOT NULL, heading TEXT NOT NULL, text TEXT NOT NULL,
        tokens INTEGER NOT NULL, vector INTEGER, gone_at REAL
    )""",
    """CREATE INDEX IF NOT EXISTS passages_of ON passages (document, gone_at)""",
    """CREATE INDEX IF NOT EXISTS passages_gone ON passages (gone_at) WHERE gone_at NOT NULL""",
    """CREATE TABLE IF NOT EXISTS vectors (
        id INTEGER PRIMARY KEY, digest TEXT NOT NULL, encoder TEXT NOT NULL, vector BLOB,
        UNIQUE (digest, encoder)
    )""",
    """INSERT OR IGNORE INTO facts VALUES ('format', 1), ('generation', 0)""",
)
_TOUCHED = "UPDATE facts SET value = value + 1 WHERE name = 'generation'"
_PASSAGES = """
SELECT id, digest, name, heading, text, tokens FROM passages
WHERE id IN (SELECT value FROM json_each(?))
"""
_VECTORS = """
SELECT p.id, v.vector FROM passages p JOIN vectors v ON v.id = p.vector
WHERE v.vector NOT NULL AND v.encoder = ? AND p.id IN (SELECT value FROM json_each(?))
"""
_ENCODED = """
SELECT digest, id FROM vectors WHERE encoder = ? AND digest IN (SELECT value FROM json_each(?))
"""


@dataclass(frozen=True, slots=True)
class Known:
    """What the catalogue knows of a file. `recipe`: how text, passages and vectors were made.

    `problem` is why it cannot be read as it is now; its last good state, if any, stays in force.
    """

    id: int
    path: str
    name: str
    size: int
    mtime_ns: int
    recipe: str
    problem: str | None
    digest: str | None
    passages: int = 0


class Catalog:
    """Safe for threads. Every method may raise StoreError."""

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises StoreError, StoreLocked."""
        self._file = SqliteFile(path, "the catalogue of the knowledge", _SCHEMA)
        with self._file.use() as db:
            made = _fact(db, "format")
        if made != FORMAT:
            self._file.close()
            raise StoreError(
                f"{path} has format {made}, and this version reads {FORMAT}: move it away, and it "
                "is made anew from the documents."
            )

    # ----------------------------------------------------------------------------------- reading

    def generation(self) -> int:
        """Grows with every change by any process."""
        with self._file.use() as db:
            return _fact(db, "generation")

    def known(self) -> dict[str, Known]:
        """All documents by path."""
        query = (
            "SELECT id, path, name, size, mtime_ns, recipe, problem, digest, (SELECT count(*) FROM "
            "passages WHERE document = documents.id AND gone_at IS NULL) FROM documents "
            "ORDER BY name, path"
        )
        with self._file.use() as db:
            return {row[1]: Known(*row) for row in db.execute(query)}

    def document(self, path: str, digest: str) -> Document | None:
        """A document's last good text, if its file had this digest then."""
        with self._file.use() as db:
            row = db.execute(
                "SELECT name, text FROM documents WHERE path = ? AND digest = ?", (path, digest)
            ).fetchone()
        return None if row is None else Document(row[0], _unpacked(row[1]))

    def sources(self) -> dict[str, bool]:
        """Paths that were added (True) or are left out (False)."""
        with self._file.use() as db:
            rows = db.execute("SELECT path, wanted FROM sources WHERE wanted < ?", (_FOLDER,))
            return {path: bool(wanted) for path, wanted in rows}

    def folder(self) -> Path | None:
        """The folder of documents that was last named."""
        with self._file.use() as db:
            row = db.execute("SELECT path FROM sources WHERE wanted = ?", (_FOLDER,)).fetchone()
        return None if row is None else Path(row[0])

    def state(self) -> tuple[int, list[tuple[str, str, str, int]], NDArray[np.int64]]:
        """At one moment: generation, (name, path, digest, bytes) of documents, ids of passages.

        Both in the order of names and of places in the text.
        """
        documents = "SELECT name, path, digest, text_bytes FROM documents WHERE digest NOT NULL"
        passages = "SELECT id FROM passages WHERE gone_at IS NULL ORDER BY name, document, place"
        with self._file.use() as db, _one_moment(db):
            generation = _fact(db, "generation")
            rows = db.execute(documents + " ORDER BY name, path").fetchall()
            ids = np.fromiter((one for (one,) in db.execute(passages)), dtype=np.int64, count=-1)
        return generation, rows, ids

    def passages(self, ids: Sequence[int]) -> dict[int, Passage]:
        """The passages with these ids, as far as they are there."""
        with self._file.use() as db:
            rows = db.execute(_PASSAGES, (json.dumps(ids),)).fetchall()
        return {row[0]: Passage(*row[1:]) for row in rows}

    def vectors_of(self, ids: Sequence[int], encoder: str, dim: int) -> NDArray[np.float16]:
        """An encoder's vectors of passages, shape (ids, dim); zeros where there is none."""
        vectors = np.zeros((len(ids), dim), dtype=np.float16)
        at = {one: place for place, one in enumerate(ids)}
        with self._file.use() as db:
            for one, vector in db.execute(_VECTORS, (encoder, json.dumps(ids))):
                vectors[at[one]] = np.frombuffer(vector, dtype=np.float16)
        return vectors

    def encoded(self, digests: Sequence[str], encoder: str) -> dict[str, int]:
        """The vectors' ids of those texts that this encoder has already read."""
        with self._file.use() as db:
            return dict(db.execute(_ENCODED, (encoder, json.dumps(digests))).fetchall())

    # ----------------------------------------------------------------------------------- writing

    def add_vectors(self, encoder: str, vectors: Mapping[str, Vector | None]) -> None:
        """Keep what an encoder said of texts, by their digests; None: it has no vector for it."""
        rows = [
            (digest, encoder, None if vector is None else vector.astype(np.float16).tobytes())
            for digest, vector in vectors.items()
        ]
        with self._file.change() as db:
            db.executemany(
                "INSERT OR IGNORE INTO vectors (digest, encoder, vector) VALUES (?, ?, ?)", rows
            )

    def put(
        self, known: Known, text: str, passages: Iterable[tuple[Passage, int | None]], now: float
    ) -> None:
        """A document and its passages with their vectors' ids, in place of what was there."""
        content = text.encode(errors="surrogatepass")
        packed = zlib.compress(content, 1)
        with self._file.change() as db:
            _put_seen(db, known)
            (document,) = db.execute(
                "UPDATE documents SET digest = ?, text = ?, text_bytes = ?, recipe = ? "
                "WHERE path = ? RETURNING id",
                (known.digest, packed, len(content), known.recipe, known.path),
            ).fetchone()
            _retire(db, document, now)
            db.executemany(
                "INSERT INTO passages (document, name, place, digest, heading, text, tokens, "
                "vector) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (document, known.name, place, p.id, p.heading, p.text, p.tokens, vector)
                    for place, (p, vector) in enumerate(passages)
                ),
            )
            db.execute(_TOUCHED)

    def seen(self, known: Known) -> None:
        """Only what `stat` says, and the problem, are other than before."""
        with self._file.change() as db:
            _put_seen(db, known)

    def drop(self, paths: Sequence[str], now: float) -> None:
        """Documents that are there no more."""
        with self._file.change() as db:
            for path in paths:
                row = db.execute("DELETE FROM documents WHERE path = ? RETURNING id", (path,))
                for (document,) in row.fetchall():
                    _retire(db, document, now)
            db.execute(_TOUCHED)

    def set_source(self, path: str, wanted: bool | None) -> None:
        """Add a source (True), leave a path out (False), or forget either (None)."""
        with self._file.change() as db:
            db.execute("DELETE FROM sources WHERE path = ?", (path,))
            if wanted is not None:
                db.execute("INSERT INTO sources VALUES (?, ?)", (path, wanted))

    def set_folder(self, folder: Path) -> None:
        """Remember the folder of documents."""
        with self._file.change() as db:
            db.execute("DELETE FROM sources WHERE wanted = ? OR path = ?", (_FOLDER, str(folder)))
            db.execute("INSERT INTO sources VALUES (?, ?)", (str(folder), _FOLDER))

    def purge(self, now: float) -> None:
        """Forget passages that went more than an hour ago, and vectors that nothing needs."""
        with self._file.change() as db:
            old = db.execute("DELETE FROM passages WHERE gone_at < ?", (now - KEPT_S,))
            if old.rowcount:
                db.execute(
                    "DELETE FROM vectors WHERE id NOT IN "
                    "(SELECT vector FROM passages WHERE vector NOT NULL)"
                )

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._file.close()


def _fact(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()[0])


def _put_seen(db: sqlite3.Connection, known: Known) -> None:
    db.execute(
        "INSERT INTO documents (path, name, size, mtime_ns, recipe, problem) "
        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET name = excluded.name, "
        "size = excluded.size, mtime_ns = excluded.mtime_ns, recipe = excluded.recipe, "
        "problem = excluded.problem",
        (known.path, known.name, known.size, known.mtime_ns, known.recipe, known.problem),
    )


def _retire(db: sqlite3.Connection, document: int, now: float) -> None:
    db.execute(
        "UPDATE passages SET gone_at = ? WHERE document = ? AND gone_at IS NULL", (now, document)
    )


@contextmanager
def _one_moment(db: sqlite3.Connection) -> Iterator[None]:
    """What others write meanwhile is not seen."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")


def _unpacked(packed: bytes) -> str:
    return zlib.decompress(packed).decode(errors="surrogatepass")
