"""Proves that rows, totals and index agree, and mends what can be mended.

Index and totals are made again from the rows. A row that cannot be read, or whose scope is not
what its digest says, is dropped: an answer that nobody can place must not be served. What SQLite
itself finds damaged is reported only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection

from semcache.store import changes
from semcache.store.rows import scope_of
from semcache.store.vector_index import VectorIndex
from semcache.store.writer import Transaction

_BATCH = 500
_ENTRIES = """
SELECT e.id, e.scope, e.tenant, e.model, e.answerer, e.source_model, e.knowledge, e.context,
       e.params, e.embedder, e.bytes, e.question, c.json, v.vector
FROM entries e LEFT JOIN completions c ON c.id = e.id LEFT JOIN vectors v ON v.id = e.id
WHERE e.id > ? ORDER BY e.id LIMIT ?
"""
_TENANTS = "SELECT tenant, count(*), sum(bytes) FROM entries GROUP BY tenant ORDER BY tenant"
_TOTALS = "SELECT count(*), coalesce(sum(bytes), 0), coalesce(sum(hits), 0) FROM entries"
_MAX_LINES = 100


@dataclass(slots=True)
class Findings:
    """What is wrong, and with which rows."""

    entries: int = 0
    vectors: int = 0
    problems: list[str] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)
    missized: dict[int, int] = field(default_factory=dict)

    def report(self, line: str) -> None:
        """Add a problem."""
        self.problems.append(line)


@dataclass(frozen=True, slots=True)
class Encoder:
    """Whose vectors are indexed."""

    fingerprint: str
    dim: int


def examine(
    connection: Connection, encoder: Encoder | None = None, index: VectorIndex | None = None
) -> Findings:
    """Look at everything in one snapshot, with an index that ought to equal it."""
    findings = Findings()
    for row in connection.exec_driver_sql(f"PRAGMA integrity_check({_MAX_LINES})").all():
        if row[0] != "ok":
            findings.report(f"SQLite: {row[0]}")
    for table, rowid, *_ in connection.exec_driver_sql("PRAGMA foreign_key_check").all():
        findings.report(f"{table} {rowid} belongs to no entry")
    twice = "SELECT count(*) - count(DISTINCT key) FROM entries NOT INDEXED"
    if connection.exec_driver_sql(twice).scalar_one():
        findings.report("a key stands twice")
    indexed: set[int] = set()
    last = 0
    while rows := connection.exec_driver_sql(_ENTRIES, (last, _BATCH)).fetchall():
        last = rows[-1][0]
        for row in rows:
            _examine_row(row, encoder, index, findings, indexed)
    if index is not None:
        findings.vectors = len(index)
        for entry_id in sorted(index.ids() - indexed):
            findings.report(f"index: {entry_id} has no entry")
        for entry_id in index.wrong_codes():
            findings.report(f"index: the code of {entry_id} is wrong")
    _examine_totals(connection, findings)
    return findings


def _examine_row(
    row: Sequence[Any],
    encoder: Encoder | None,
    index: VectorIndex | None,
    findings: Findings,
    indexed: set[int],
) -> None:
    entry_id, scope, columns, embedder = row[0], row[1], row[2:9], row[9]
    size, question, json, blob = row[10:]
    findings.entries += 1
    wrong = _unreadable(scope, columns, json) or _misfit(embedder, blob, encoder)
    if wrong is not None:
        findings.report(f"entry {entry_id}: {wrong}")
        findings.unreadable.append(entry_id)
    held = len(json or b"") + len((question or "").encode()) + len(blob or b"")
    if size != held:
        findings.report(f"entry {entry_id}: counts as {size} bytes, and has {held}")
        findings.missized[entry_id] = held
    if encoder is None or index is None or embedder != encoder.fingerprint:
        return
    if blob is None or len(blob) != 4 * encoder.dim:
        return
    indexed.add(entry_id)
    found = index.row(entry_id)
    if found is None:
        findings.report(f"index: entry {entry_id} is missing")
    elif found[0] != scope:
        findings.report(f"index: entry {entry_id} is in another scope")
    elif found[1].astype("<f4").tobytes() != blob:
        findings.report(f"index: entry {entry_id} has another vector")


def _unreadable(scope: str, columns: Sequence[Any], json: bytes | None) -> str | None:
    if json is None:
        return "has no completion"
    try:
        if not isinstance(orjson.loads(json), dict):
            return "its completion is no object"
    except orjson.JSONDecodeError:
        return "its completion is not JSON"
    if scope_of(columns).digest() != scope:
        return "its scope is not what the digest says"
    return None


def _misfit(embedder: str | None, blob: bytes | None, encoder: Encoder | None) -> str | None:
    if (embedder is None) != (blob is None):
        return "has a vector without an encoder, or an encoder without a vector"
    if blob is None:
        return None
    if encoder is not None and embedder == encoder.fingerprint:
        return None if len(blob) == 4 * encoder.dim else f"its vector has {len(blob)} bytes"
    return None if blob and len(blob) % 4 == 0 else f"its vector has {len(blob)} bytes"


def _examine_totals(connection: Connection, findings: Findings) -> None:
    true = [tuple(row) for row in connection.exec_driver_sql(_TENANTS).all()]
    usage = connection.exec_driver_sql("SELECT tenant, entries, bytes FROM usage ORDER BY tenant")
    if [tuple(row) for row in usage.all()] != true:
        findings.report("totals: the usage of tenants does not add up")
    kept = connection.exec_driver_sql("SELECT entries, bytes, hits FROM totals").one()
    if tuple(kept) != tuple(connection.exec_driver_sql(_TOTALS).one()):
        findings.report("totals: entries, bytes or hits do not add up")


def repair(transaction: Transaction, findings: Findings) -> None:
    """Drop what cannot be read and what belongs to nothing; count again."""
    run = transaction.connection.exec_driver_sql
    changes.remove_ids(transaction, findings.unreadable)
    run("DELETE FROM completions WHERE id NOT IN (SELECT id FROM entries)")
    run("DELETE FROM vectors WHERE id NOT IN (SELECT id FROM entries)")
    for entry_id, size in findings.missized.items():
        run("UPDATE entries SET bytes = ? WHERE id = ?", (size, entry_id))
    run("DELETE FROM usage")
    run(f"INSERT INTO usage (tenant, entries, bytes) {_TENANTS}")
    run(f"UPDATE totals SET (entries, bytes, hits) = ({_TOTALS})")  # noqa: S608 - constants
