"""The sizes of a local store, as it stands."""

from __future__ import annotations

from semcache.interfaces import StoreStats
from semcache.store.database import Database
from semcache.store.vector_index import VectorIndex


def measure(database: Database, index: VectorIndex | None, now: float, evicted: int) -> StoreStats:
    """Sizes now. `hits` is of the entries that are there; `now` in Unix seconds."""
    with database.snapshot() as connection:
        run = connection.exec_driver_sql
        entries, size, hits, seq = run("SELECT entries, bytes, hits, seq FROM totals").one()
        query = "SELECT count(*) FROM entries WHERE expires_at <= ?"
        expired = run(query, (now,)).scalar_one()
        aliases = run("SELECT count(*) FROM aliases").scalar_one()
        query = "SELECT count(*) FROM entries WHERE state <> ''"
        quarantined = run(query).scalar_one()
    scopes, large = (0, 0) if index is None else index.shape()
    return StoreStats(
        entries=entries,
        vectors=0 if index is None else len(index),
        bytes=size,
        expired=expired,
        hits=hits,
        detail={
            "transactions": seq,
            "wal_bytes": database.wal_bytes(),
            "evicted": evicted,
            "scopes": scopes,
            "large_scopes": large,
            "aliases": aliases,
            "quarantined": quarantined,
        },
    )
