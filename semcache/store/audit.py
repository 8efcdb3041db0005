"""Proves that rows, totals and index agree, and mends what can be mended.

Index and totals are made again from the rows. A row that cannot be read, or whose scope is not
what its digest says, is dropped: an answer that nobody can place must not be served. So is an
alias without a vector; a sketch that cannot be read leaves alone. What SQLite itself finds damaged
is reported only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection

from semcache.sketch import Sketch
from semcache.store import changes
from semcache.store.new_row import Encoder
from semcache.store.rows import misread, scope_of
from semcache.store.vector_index import VectorIndex
from semcache.store.writer import Transaction

_BATCH = 500
_ENTRIES = """
SELECT e.id, e.scope, e.tenant, e.model, e.answerer, e.source_model, e.knowledge, e.context,
       e.params, e.embedder, e.state, e.bytes, e.question, e.sources, e.detail,
       c.json, v.vector, s.sketch
FROM entries e LEFT JOIN completions c ON c.id = e.id LEFT JOIN vectors v ON v.id = e.id
     LEFT JOIN sketches s ON s.id = e.id
WHERE e.id > ? ORDER BY e.id LIMIT ?
"""
_ALIASES = """
SELECT a.id, a.question, a.embedder, a.vector, a.sketch FROM aliases a WHERE a.entry = ?
"""
_SIZE = """
coalesce((SELECT length(json) FROM completions WHERE id = entries.id), 0)
+ coalesce(length(CAST(question AS BLOB)), 0)
+ coalesce(length(CAST(sources AS BLOB)), 0) + coalesce(length(CAST(detail AS BLOB)), 0)
+ coalesce((SELECT length(vector) FROM vectors WHERE id = entries.id), 0)
+ coalesce((SELECT length(sketch) FROM sketches WHERE id = entries.id), 0)
+ coalesce((SELECT sum(length(CAST(a.question AS BLOB)) + length(a.vector)
            + coalesce(length(a.sketch), 0)) FROM aliases a WHERE a.entry = entries.id), 0)
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
    missized: list[int] = field(default_factory=list)
    sketches: list[int] = field(default_factory=list)
    aliases: list[int] = field(default_factory=list)

    def report(self, line: str) -> None:
        """Add a problem."""
        self.problems.append(line)


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
    look = _Look(connection, encoder, index, findings)
    last = 0
    while rows := connection.exec_driver_sql(_ENTRIES, (last, _BATCH)).fetchall():
        last = rows[-1][0]
        for row in rows:
            look.at_entry(row)
    if index is not None:
        findings.vectors = len(index)
        for entry_id in sorted(index.ids() - look.indexed):
            findings.report(f"index: {entry_id} has no entry")
        for entry_id in index.wrong_codes():
            findings.report(f"index: the code of {entry_id} is wrong")
    _examine_totals(connection, findings)
    return findings


@dataclass(slots=True)
class _Look:
    """At one entry after the other, and what ought to be in the index."""

    connection: Connection
    encoder: Encoder | None
    index: VectorIndex | None
    findings: Findings
    indexed: set[int] = field(default_factory=set)

    def at_entry(self, row: Sequence[Any]) -> None:
        """Compare a row of `_ENTRIES` with itself, its aliases and the index."""
        entry_id, scope, columns, embedder, state = row[0], row[1], row[2:9], row[9], row[10]
        size, question, sources, detail, json, blob, sketch = row[11:]
        findings = self.findings
        findings.entries += 1
        wrong = _unreadable(scope, columns, json) or misread(sources, detail)
        wrong = wrong or _misfit(embedder, blob, self.encoder)
        if wrong is not None:
            findings.report(f"entry {entry_id}: {wrong}")
            findings.unreadable.append(entry_id)
        elif not _is_sketch(sketch):
            findings.report(f"entry {entry_id}: its sketch cannot be read")
            findings.sketches.append(entry_id)
            findings.missized.append(entry_id)
        found = scope if state == "" else None
        held = _bytes(json, question, sources, detail, blob, sketch)
        held += self._at_aliases(entry_id, found)
        if size != held:
            findings.report(f"entry {entry_id}: counts as {size} bytes, and has {held}")
            findings.missized.append(entry_id)
        if found is not None:
            self._at_index(entry_id, f"entry {entry_id}", scope, embedder, blob)

    def _at_aliases(self, entry_id: int, scope: str | None) -> int:
        """The bytes of an entry's aliases; `scope` None: none of them is to be found."""
        held = 0
        rows = self.connection.exec_driver_sql(_ALIASES, (entry_id,)).fetchall()
        for alias_id, question, embedder, blob, sketch in rows:
            held += _bytes(question, blob, sketch)
            wrong = _misfit(embedder, blob, self.encoder)
            if wrong is not None or not _is_sketch(sketch):
                self.findings.report(f"alias {alias_id}: {wrong or 'its sketch cannot be read'}")
                self.findings.aliases.append(alias_id)
                self.findings.missized.append(entry_id)
            if scope is not None:
                self._at_index(-alias_id, f"alias {alias_id}", scope, embedder, blob)
        return held

    def _at_index(
        self, index_id: int, name: str, scope: str, embedder: str | None, blob: bytes | None
    ) -> None:
        if self.encoder is None or self.index is None or not self.encoder.made(embedder, blob):
            return
        self.indexed.add(index_id)
        found = self.index.row(index_id)
        if found is None:
            self.findings.report(f"index: {name} is missing")
        elif found[0] != scope:
            self.findings.report(f"index: {name} is in another scope")
        elif found[1].astype("<f4").tobytes() != blob:
            self.findings.report(f"index: {name} has another vector")


def _bytes(*held: str | bytes | None) -> int:
    return sum(len(one.encode() if isinstance(one, str) else one or b"") for one in held)


def _is_sketch(data: bytes | None) -> bool:
    if data is None:
        return True
    try:
        Sketch.from_bytes(data)
    except ValueError:
        return False
    return True


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
    run("DELETE FROM aliases WHERE entry NOT IN (SELECT id FROM entries)")
    run("DELETE FROM sketches WHERE id NOT IN (SELECT id FROM entries)")
    for entry_id in findings.sketches:
        run("DELETE FROM sketches WHERE id = ?", (entry_id,))
    for alias_id in findings.aliases:
        run("DELETE FROM aliases WHERE id = ?", (alias_id,))
    for entry_id in findings.missized:
        run(f"UPDATE entries SET bytes = {_SIZE} WHERE id = ?", (entry_id,))  # noqa: S608 - constants
    run("DELETE FROM usage")
    run(f"INSERT INTO usage (tenant, entries, bytes) {_TENANTS}")
    run(f"UPDATE totals SET (entries, bytes, hits) = ({_TOTALS})")  # noqa: S608 - constants
