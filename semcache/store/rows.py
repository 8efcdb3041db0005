"""Between a row and an Entry: the one place that knows the columns.

A row that cannot be decoded is an error on `get` and is left out, with a log line, where many
are read: one broken row must not hide the others.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import orjson

from semcache.completion import Completion
from semcache.errors import StoreError
from semcache.interfaces import Entry, Vector
from semcache.keys import Scope, Source

log = logging.getLogger("semcache.store")
Row: TypeAlias = Sequence[Any]

SELECT = """
SELECT e.id, e.key, e.question, e.created_at, e.expires_at, e.used_at, e.hits, e.cost_s,
       e.embedder, e.tenant, e.model, e.answerer, e.source_model, e.knowledge, e.context,
       e.params, c.json, e.scope, e.state, e.sources, e.variant, e.writer, e.stale_s, e.detail
FROM entries e JOIN completions c ON c.id = e.id
"""
_BY_KEY = SELECT + "WHERE e.key = ?"
_BY_ID = SELECT + "WHERE e.id IN ("
_AFTER_ID = SELECT + "WHERE e.id > ? ORDER BY e.id LIMIT ?"

_SCOPES = """
SELECT tenant, model, answerer, source_model, knowledge, context, params
FROM entries WHERE tenant = ? GROUP BY scope ORDER BY max(id) DESC LIMIT ?
"""


def by_key(connection: sqlite3.Connection, key: str) -> Entry | None:
    """The entry under an exact key. Raises StoreError where its row cannot be decoded."""
    row = connection.execute(_BY_KEY, (key,)).fetchone()
    return None if row is None else decode(row)


def by_id(connection: sqlite3.Connection, entry_id: int) -> Entry | None:
    """The entry with this id. Raises StoreError where its row cannot be decoded."""
    row = connection.execute(_BY_ID + "?)", (entry_id,)).fetchone()
    return None if row is None else decode(row)


def by_ids(connection: sqlite3.Connection, ids: Sequence[int], scope: Scope) -> dict[int, Entry]:
    """Those entries that are still there, can be decoded, and are of this scope; by id."""
    query = _BY_ID + ",".join("?" * len(ids)) + ")"
    digest = scope.digest()
    entries = {}
    for row in connection.execute(query, ids).fetchall():
        entry = decoded(row, scope) if row[17] == digest else None
        if entry is not None:
            entries[entry.id] = entry
    return entries


def scopes(connection: sqlite3.Connection, tenant: str, most: int) -> list[Scope]:
    """The scopes of a tenant's entries, those of the newest first."""
    return [scope_of(row) for row in connection.execute(_SCOPES, (tenant, most)).fetchall()]


def all_entries(
    read: Callable[[str, tuple[Any, ...]], Sequence[Row]], batch: int
) -> Iterator[Entry]:
    """Every entry by ascending id; `read` runs one query, so that no snapshot is held open."""
    last = 0
    while rows := read(_AFTER_ID, (last, batch)):
        last = rows[-1][0]
        yield from (entry for entry in map(decoded, rows) if entry is not None)


def decode(row: Row, scope: Scope | None = None) -> Entry:
    """An Entry from the columns of `SELECT`; `scope` where it is already known."""
    try:
        wire = orjson.loads(row[16])
    except (orjson.JSONDecodeError, TypeError) as error:
        raise StoreError(
            f"The completion of entry {row[0]} cannot be read: run `check` with repair."
        ) from error
    if not isinstance(wire, dict):
        raise StoreError(f"Entry {row[0]} holds no completion: run `check` with repair.")
    sources, variant, writer, stale_s, detail = row[19:24]
    wrong = misread(sources, detail)
    if wrong is not None:
        raise StoreError(f"Entry {row[0]}: {wrong}: run `check` with repair.")
    return Entry(
        id=row[0],
        key=row[1],
        question=row[2],
        created_at=row[3],
        expires_at=row[4],
        used_at=row[5],
        hits=row[6],
        cost_s=row[7],
        embedder=row[8],
        state=row[18],
        scope=scope or scope_of(row[9:16]),
        completion=Completion(wire),
        sources=() if sources is None else tuple(orjson.loads(sources)),
        variant=variant,
        writer=writer,
        stale_s=stale_s,
        detail={} if detail is None else orjson.loads(detail),
    )


def misread(sources: object, detail: object) -> str | None:
    """Why these columns hold nothing that can be used, or None."""
    if sources is not None:
        found = _read(sources)
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            return "its sources cannot be read"
    if detail is not None and not isinstance(_read(detail), dict):
        return "its detail cannot be read"
    return None


def _read(column: object) -> object:
    try:
        return orjson.loads(column) if isinstance(column, str | bytes) else None
    except orjson.JSONDecodeError:
        return None


def scope_of(columns: Row) -> Scope:
    """A Scope from the columns tenant … params."""
    tenant, model, answerer, source_model, knowledge, context, params = columns
    return Scope(tenant, model, Source(answerer, source_model, knowledge), context, params)


def encode_completion(completion: Completion) -> bytes:
    """JSON, keeping the order of members. Raises StoreError for what JSON cannot say."""
    try:
        return orjson.dumps(completion.wire)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise StoreError(f"The completion cannot be written as JSON ({error}).") from error


def encode_sources(sources: Sequence[str]) -> str | None:
    """A JSON list; None for none. Raises StoreError for what JSON cannot say."""
    return _encoded(list(sources), "sources") if sources else None


def encode_detail(detail: Mapping[str, Any]) -> str | None:
    """A JSON object; None for an empty one. Raises StoreError for what JSON cannot say."""
    return _encoded(dict(detail), "detail") if detail else None


def _encoded(value: object, name: str) -> str:
    try:
        return orjson.dumps(value).decode()
    except (TypeError, orjson.JSONEncodeError) as error:
        raise StoreError(f"The {name} cannot be written as JSON ({error}).") from error


def encode_vector(vector: Vector) -> tuple[Vector, bytes]:
    """The vector at unit length, and its bytes. Raises StoreError where it has no direction."""
    given = np.ascontiguousarray(vector, dtype="<f4")
    if given.ndim != 1 or not given.size:
        raise StoreError(f"A vector must have shape (dim,), not {given.shape}.")
    norm = float(np.sqrt(np.dot(given, given)))
    if not np.isfinite(norm) or norm == 0.0:
        raise StoreError("A vector must be finite and not zero.")
    if abs(norm - 1.0) > 1e-6:
        given = given / np.float32(norm)
    return given, given.tobytes()


def decoded(row: Row, scope: Scope | None = None) -> Entry | None:
    """`decode`, but None, with a log line, for what cannot be decoded."""
    try:
        return decode(row, scope)
    except StoreError as error:
        log.warning("%s", error)
        return None
