"""The SQL that changes rows. Every function runs inside the writer's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import Connection

from semcache.interfaces import Entry, State
from semcache.store import rows
from semcache.store.database import driver_of
from semcache.store.new_row import Encoder, NewAlias, NewRow
from semcache.store.writer import Transaction

_CLEARED_AT_ONCE = 1000

_INSERT = """
INSERT INTO entries (seq, key, scope, tenant, model, answerer, source_model, knowledge, context,
    params, embedder, created_at, expires_at, used_at, hits, bytes, cost_s, question, state,
    sources, variant, writer, stale_s, detail)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_INSERT_ALIAS = """
INSERT OR IGNORE INTO aliases (entry, seq, question, embedder, vector, sketch)
SELECT id, :seq, :question, :embedder, :vector, :sketch FROM entries
WHERE id = :entry AND question <> :question RETURNING id
"""
# The ids in the index of an entry, and then of its aliases.
_INDEX_IDS = "SELECT :id UNION ALL SELECT -id FROM aliases WHERE entry = :id"
_INDEXED = """
SELECT e.id, e.scope, v.vector, e.embedder FROM entries e JOIN vectors v ON v.id = e.id
WHERE e.id = :id
UNION ALL
SELECT -a.id, e.scope, a.vector, a.embedder FROM aliases a JOIN entries e ON e.id = a.entry
WHERE a.entry = :id
"""


def put(transaction: Transaction, row: NewRow) -> int:
    """Replace what is under the key; returns the new id."""
    run = driver_of(transaction.connection).execute
    entry, scope = row.entry, row.entry.scope
    old = run("DELETE FROM entries WHERE key = ? RETURNING id", (entry.key,)).fetchall()
    transaction.removed.extend(each[0] for each in old)
    digest = scope.digest()
    source = scope.source
    inserted = run(
        _INSERT,
        (
            *(transaction.seq, entry.key, digest, scope.tenant, scope.model),
            *(source.answerer, source.model, source.knowledge, scope.context, scope.params),
            *(entry.embedder, entry.created_at, entry.expires_at, entry.used_at),
            *(entry.hits, row.bytes, entry.cost_s, entry.question, entry.state),
            *(row.sources, entry.variant, entry.writer, entry.stale_s, row.detail),
        ),
    )
    new = int(inserted.lastrowid or 0)
    run("INSERT INTO completions (id, json) VALUES (?, ?)", (new, row.json))
    if row.blob is not None:
        run("INSERT INTO vectors (id, vector) VALUES (?, ?)", (new, row.blob))
    if row.sketch is not None:
        run("INSERT INTO sketches (id, sketch) VALUES (?, ?)", (new, row.sketch))
    if row.indexed and row.vector is not None:
        transaction.added.append((new, digest, row.vector))
    transaction.tenants.add(scope.tenant)
    return new


def add_alias(transaction: Transaction, alias: NewAlias) -> bool:
    """Add a question to an entry; False where it has it, or is not there."""
    run = driver_of(transaction.connection).execute
    bound = {
        "entry": alias.entry_id,
        "seq": transaction.seq,
        "question": alias.question,
        "embedder": alias.embedder,
        "vector": alias.blob,
        "sketch": alias.sketch,
    }
    made = run(_INSERT_ALIAS, bound).fetchall()
    if not made:
        return False
    grown = "UPDATE entries SET bytes = bytes + ? WHERE id = ? RETURNING scope, state"
    [(scope, state)] = run(grown, (alias.bytes, alias.entry_id)).fetchall()
    if not state:
        transaction.added.append((-made[0][0], scope, alias.vector))
    return True


def set_state(
    transaction: Transaction, entry_id: int, state: State, encoder: Encoder | None
) -> Entry | None:
    """Take an entry out of the index or back into it; returns it as it is now."""
    run = driver_of(transaction.connection).execute
    change = "UPDATE entries SET state = ?, seq = ? WHERE id = ? AND state <> ? RETURNING id"
    changed = run(change, (state, transaction.seq, entry_id, state)).fetchall()
    entry = rows.by_id(driver_of(transaction.connection), entry_id)
    if not changed:
        return entry
    ids = [row[0] for row in run(_INDEX_IDS, {"id": entry_id}).fetchall()]
    tombstones = [(transaction.seq, each) for each in ids]
    many = driver_of(transaction.connection).executemany
    if state:
        many("INSERT OR IGNORE INTO tombstones (seq, id) VALUES (?, ?)", tombstones)
        transaction.removed.extend(ids)
        return entry
    # The same transaction may have taken it out: then it has never been gone.
    many("DELETE FROM tombstones WHERE seq = ? AND id = ?", tombstones)
    transaction.removed[:] = [each for each in transaction.removed if each not in ids]
    for each, scope, blob, embedder in run(_INDEXED, {"id": entry_id}).fetchall():
        if encoder is not None and encoder.made(embedder, blob):
            transaction.added.append((each, scope, np.frombuffer(blob, dtype="<f4")))
    return entry


def removed_aliases(transaction: Transaction) -> list[int]:
    """The index ids of the aliases that left with their entries in this transaction."""
    query = "SELECT id FROM tombstones WHERE seq = ? AND id < 0"
    found = driver_of(transaction.connection).execute(query, (transaction.seq,)).fetchall()
    return [row[0] for row in found]


def remove_keys(transaction: Transaction, keys: Sequence[str]) -> int:
    """Delete by exact key; returns how many rows there were."""
    before = len(transaction.removed)
    for key in keys:
        rows = transaction.connection.exec_driver_sql(
            "DELETE FROM entries WHERE key = ? RETURNING id", (key,)
        )
        transaction.removed.extend(rows.scalars().all())
    return len(transaction.removed) - before


def remove_ids(transaction: Transaction, ids: Sequence[int]) -> int:
    """Delete by id; returns how many rows there were."""
    before = len(transaction.removed)
    for at in range(0, len(ids), 500):
        some = tuple(ids[at : at + 500])
        marks = ",".join("?" * len(some))
        query = f"DELETE FROM entries WHERE id IN ({marks}) RETURNING id"  # noqa: S608 - marks only
        rows = transaction.connection.exec_driver_sql(query, some)
        transaction.removed.extend(rows.scalars().all())
    return len(transaction.removed) - before


def clear_some(transaction: Transaction, tenant: str | None, newest: int) -> int:
    """Delete up to a thousand rows, of one tenant or of all, with ids up to `newest`."""
    mine = "" if tenant is None else "tenant = :tenant AND "
    rows = transaction.connection.exec_driver_sql(
        f"DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE {mine}id <= :newest"  # noqa: S608 - constants
        f" LIMIT {_CLEARED_AT_ONCE}) RETURNING id",
        {"tenant": tenant, "newest": newest},
    )
    ids = rows.scalars().all()
    transaction.removed.extend(ids)
    return len(ids)


def expire_knowledge(transaction: Transaction, answerer: str, current: str, now: float) -> int:
    """Expire the live rows that an answerer made from other knowledge; returns how many."""
    return transaction.connection.exec_driver_sql(
        "UPDATE entries SET expires_at = ?, stale_s = -1.0 WHERE answerer = ? AND knowledge <> ?"
        " AND (expires_at IS NULL OR expires_at > ?)",
        (now, answerer, current, now),
    ).rowcount


def set_sources(transaction: Transaction, entry_id: int, sources: str | None) -> None:
    """Replace what an entry rests on; nothing where there is no such entry."""
    transaction.connection.exec_driver_sql(
        "UPDATE entries SET sources = :new,"
        " bytes = bytes + length(CAST(coalesce(:new, '') AS BLOB))"
        " - length(CAST(coalesce(sources, '') AS BLOB)) WHERE id = :id",
        {"new": sources, "id": entry_id},
    )


def add_hits(connection: Connection, touched: Mapping[int, tuple[int, float]]) -> None:
    """Write counters: id → (hits to add, time of use). Rows that are gone are passed over."""
    if touched:
        connection.exec_driver_sql(
            "UPDATE entries SET hits = hits + ?, used_at = max(used_at, ?) WHERE id = ?",
            [(hits, used_at, row) for row, (hits, used_at) in touched.items()],
        )


def prune_tombstones(transaction: Transaction, kept: int) -> None:
    """Forget all but about the newest `kept` tombstones.

    Who has not followed the rows for so long rebuilds its index instead.
    """
    run = transaction.connection.exec_driver_sql
    last = run("SELECT seq FROM tombstones ORDER BY seq DESC LIMIT 1 OFFSET ?", (kept,)).scalar()
    if last is not None:
        run("DELETE FROM tombstones WHERE seq <= ?", (last,))
        run("UPDATE totals SET pruned_seq = ?", (last,))
