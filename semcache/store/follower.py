"""Keeps the vector index in step with the rows, whoever writes them.

Rules of this file:
1. Rows are the truth. The index knows all transactions up to `seq`, and gets the others from the
   rows and tombstones with a higher number; after too long an absence it is built anew.
2. Rows are read and applied under one lock: what a later transaction removed cannot come back
   through an earlier reading.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection

from semcache.interfaces import Vector
from semcache.store import index_file
from semcache.store.database import Database
from semcache.store.index_file import Stamp
from semcache.store.schema import SCHEMA
from semcache.store.vector_index import Packed, VectorIndex
from semcache.store.writer import Transaction

log = logging.getLogger("semcache.store")

_ROWS = """
FROM entries e JOIN vectors v ON v.id = e.id
WHERE e.embedder = :embedder AND length(v.vector) = :size AND e.state = ''
"""
_ALIASES = """
FROM aliases a JOIN entries e ON e.id = a.entry
WHERE a.embedder = :embedder AND length(a.vector) = :size AND e.state = ''
"""
_COUNT = f"SELECT (SELECT count(*) {_ROWS}), (SELECT count(*) {_ALIASES})"
_ALL = f"SELECT e.id, e.scope, v.vector {_ROWS} ORDER BY e.scope, e.id"
_ALL_ALIASES = f"SELECT -a.id, e.scope, a.vector {_ALIASES}"
_SINCE = f"""
SELECT e.id, e.scope, v.vector {_ROWS} AND e.seq > :seq
UNION ALL {_ALL_ALIASES} AND a.seq > :seq
UNION ALL {_ALL_ALIASES} AND e.seq > :seq AND a.seq <= :seq
"""
_FETCHED_AT_ONCE = 4096


class Follower:
    """The index of one encoder's vectors. `index` may be replaced at any time: read it once."""

    def __init__(self, database: Database, path: Path, embedder: str, dim: int) -> None:
        self._database = database
        self._path = path
        self._embedder = embedder
        self._dim = dim
        self._lock = threading.Lock()
        self._seq = -1
        self._saved_seq = -1
        self._behind = False
        self.index = VectorIndex(dim)
        with self._lock, database.snapshot() as connection:
            self._open(connection)

    def _open(self, connection: Connection) -> None:
        now = _seq(connection)
        found = index_file.load(self._path, self._stamp(now))
        if found is not None:
            self.index, self._seq = found
            self._saved_seq = self._seq
            self._catch_up(connection)
        if found is None or len(self.index) != sum(self._counts(connection)):
            self._rebuild(connection)

    # ------------------------------------------------------------------------------ following

    def committed(self, transaction: Transaction) -> None:
        """Apply a transaction of this process; others' before it are fetched."""
        with self._lock:
            if transaction.before == self._seq and not self._behind:
                self._behind = True  # until it is applied
                self.index.apply(transaction.added, transaction.removed)
                self._seq = transaction.seq
                self._behind = False
                return
            with self._database.snapshot() as connection:
                self._catch_up(connection)

    def catch_up(self) -> None:
        """Apply what is in the rows and not yet here."""
        with self._lock, self._database.snapshot() as connection:
            self._catch_up(connection)

    @property
    def behind(self) -> bool:
        """Whether an update failed half-way; `catch_up` mends it."""
        return self._behind and not self._lock.locked()

    @contextmanager
    def still(self) -> Iterator[tuple[Connection, VectorIndex]]:
        """A snapshot of the rows with an index that ought to equal it; nothing moves meanwhile."""
        with self._lock, self._database.snapshot() as connection:
            self._catch_up(connection)
            yield connection, self.index

    def rebuild(self) -> None:
        """Build the index from the rows alone. Searches go on in the old one."""
        with self._lock, self._database.snapshot() as connection:
            self._rebuild(connection)

    def _catch_up(self, connection: Connection) -> None:
        seq, pruned = connection.exec_driver_sql("SELECT seq, pruned_seq FROM totals").one()
        if self._seq < pruned:
            self._rebuild(connection)
            return
        if seq == self._seq and not self._behind:
            return
        self._behind = True
        removed = connection.exec_driver_sql(
            "SELECT id FROM tombstones WHERE seq > ?", (self._seq,)
        )
        gone = removed.scalars().all()
        self.index.apply([], gone)
        self._add(connection, _SINCE, self.index)
        self._seq = seq
        self._behind = False

    def _add(self, connection: Connection, query: str, index: VectorIndex) -> None:
        rows = connection.exec_driver_sql(query, self._bound)
        while some := rows.fetchmany(_FETCHED_AT_ONCE):
            index.apply([(row[0], row[1], _vector(row[2])) for row in some], [])

    def _rebuild(self, connection: Connection) -> None:
        started = time.perf_counter()
        count, aliases = self._counts(connection)
        vectors = np.empty((count, self._dim), dtype=np.float32)
        ids = np.empty(count, dtype=np.int64)
        scopes: list[str] = []
        counts: list[int] = []
        rows = connection.exec_driver_sql(_ALL, self._bound)
        at = 0
        while some := rows.fetchmany(_FETCHED_AT_ONCE):
            end = at + len(some)
            ids[at:end] = [row[0] for row in some]
            vectors[at:end] = _vector(b"".join(row[2] for row in some)).reshape(-1, self._dim)
            for row in some:
                if not scopes or scopes[-1] != row[1]:
                    scopes.append(row[1])
                    counts.append(0)
                counts[-1] += 1
            at = end
        index = VectorIndex.build(Packed(ids, vectors, scopes, counts, []))
        if aliases:
            self._add(connection, _ALL_ALIASES, index)
        self.index = index
        self._seq = _seq(connection)
        self._behind = False
        log.info("index of %d vectors built in %.2f s", len(index), time.perf_counter() - started)

    @property
    def _bound(self) -> dict[str, Any]:
        return {"embedder": self._embedder, "size": 4 * self._dim, "seq": self._seq}

    def _counts(self, connection: Connection) -> tuple[int, int]:
        """How many vectors of entries, and of aliases, belong into the index."""
        entries, aliases = connection.exec_driver_sql(_COUNT, self._bound).one()
        return int(entries), int(aliases)

    # --------------------------------------------------------------------------------- saving

    def save(self) -> None:
        """Write the index file, if anything changed. Searches and updates go on meanwhile."""
        with self._lock:
            if self._seq == self._saved_seq or self._behind:
                return
            packed, seq = self.index.pack(), self._seq
        index_file.save(self._path, packed, self._stamp(seq))
        with self._lock:
            self._saved_seq = max(self._saved_seq, seq)

    def _stamp(self, seq: int) -> Stamp:
        return Stamp(self._database.epoch, SCHEMA, self._embedder, self._dim, seq)


def _seq(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT seq FROM totals").scalar_one())


def _vector(blob: bytes) -> Vector:
    return np.frombuffer(blob, dtype="<f4")
