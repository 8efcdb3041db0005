"""Entries in bulk, with all that hangs on them: what moves a store in and out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from semcache.errors import StoreError
from semcache.interfaces import Vector
from semcache.sketch import Sketch
from semcache.store import changes, rows
from semcache.store.database import Database, driver_of
from semcache.store.new_row import Encoder, NewAlias, NewRow, new_alias, new_row
from semcache.store.writer import Transaction, Writer
from semcache.whole import EVERYTHING, Alias, Wanted, Whole

_WANTED = """
e.id > :after AND (:tenant IS NULL OR e.tenant = :tenant)
AND (:model IS NULL OR e.model = :model) AND (:since IS NULL OR e.created_at >= :since)
AND (:namespace IS NULL OR e.tenant = :members
     OR json_extract(e.detail, '$.namespace') = :namespace)
"""
_COUNT = f"SELECT count(*) FROM entries e WHERE {_WANTED}"  # noqa: S608 - constants
_READ = f"{rows.SELECT} WHERE {_WANTED} ORDER BY e.id LIMIT :batch"
_VECTOR = """
SELECT v.vector, s.sketch FROM vectors v LEFT JOIN sketches s ON s.id = v.id WHERE v.id = ?
"""
_ALIASES = "SELECT question, embedder, vector, sketch FROM aliases WHERE entry = ? ORDER BY id"
_ENCODER = "SELECT embedder FROM entries WHERE embedder IS NOT NULL ORDER BY id DESC LIMIT 1"
_AGE = "SELECT created_at FROM entries WHERE key = ?"


class LocalArchive:
    """The `Archive` of a LocalStore."""

    def __init__(self, database: Database, writer: Writer, encoder: Encoder | None) -> None:
        self._database = database
        self._writer = writer
        self._encoder = encoder

    def count(self, wanted: Wanted = EVERYTHING, after: int = 0) -> int:
        """How many there are with an id beyond `after`."""
        with self._database.looking_up() as connection:
            return int(connection.execute(_COUNT, _bound(wanted, after)).fetchone()[0])

    def encoder(self) -> str | None:
        """The fingerprint of the encoder that made the newest vector."""
        with self._database.looking_up() as connection:
            found = connection.execute(_ENCODER).fetchone()
        return None if found is None else str(found[0])

    def read(
        self, wanted: Wanted = EVERYTHING, after: int = 0, *, vectors: bool = True, batch: int = 256
    ) -> Iterator[list[Whole]]:
        """Batches by ascending id, beyond `after`; nothing is held open between them.

        A row that cannot be decoded is left out, with a log line.
        """
        while True:
            with self._database.looking_up() as connection:
                bound = {**_bound(wanted, after), "batch": batch}
                found = connection.execute(_READ, bound).fetchall()
                decoded = [entry for entry in map(rows.decoded, found) if entry is not None]
                wholes = [_whole(connection, entry, vectors) for entry in decoded]
            if not found:
                return
            after = found[-1][0]
            if wholes:
                yield wholes

    def put(self, wholes: Sequence[Whole]) -> list[int]:
        """Store all of them in one transaction; what is as new or newer there stays: 0 for it."""
        ready = [self._ready(whole) for whole in wholes]
        return self._writer.submit(
            lambda transaction: [_put(transaction, row, aliases) for row, aliases in ready]
        )

    def _ready(self, whole: Whole) -> tuple[NewRow, list[NewAlias]]:
        row = new_row(whole.entry, whole.vector, whole.sketch, self._encoder)
        ours = None if self._encoder is None else self._encoder.fingerprint
        aliases = [
            new_alias(0, alias.question, alias.vector, alias.sketch, self._encoder)
            for alias in whole.aliases
            if alias.vector is not None and ours is not None and alias.embedder == ours
        ]
        return row, aliases


def _put(transaction: Transaction, row: NewRow, aliases: Sequence[NewAlias]) -> int:
    there = driver_of(transaction.connection).execute(_AGE, (row.entry.key,)).fetchone()
    if there is not None and there[0] >= row.entry.created_at:
        return 0
    entry_id = changes.put(transaction, row)
    for alias in aliases:
        changes.add_alias(transaction, alias.of(entry_id))
    return entry_id


def _bound(wanted: Wanted, after: int) -> dict[str, Any]:
    return {"after": after, **asdict(wanted)}


def _whole(connection: sqlite3.Connection, entry: Any, vectors: bool) -> Whole:
    aliases = connection.execute(_ALIASES, (entry.id,)).fetchall()
    if not vectors:
        return Whole(entry, aliases=tuple(Alias(alias[0]) for alias in aliases))
    held = connection.execute(_VECTOR, (entry.id,)).fetchone()
    vector, sketch = (None, None) if held is None else (_vector(held[0]), _sketch(held[1]))
    further = tuple(Alias(q, embedder, _vector(v), _sketch(s)) for q, embedder, v, s in aliases)
    return Whole(entry, vector, sketch, further)


def _vector(blob: bytes) -> Vector:
    if len(blob) % 4:
        raise StoreError("A vector cannot be read: run `check` with repair.")
    return np.frombuffer(blob, dtype="<f4")


def _sketch(blob: bytes | None) -> Sketch | None:
    """None for what cannot be read: an entry can do without."""
    try:
        return None if blob is None else Sketch.from_bytes(blob)
    except ValueError:
        return None
