"""The tables of the local store.

Rules of this file:
1. An id is given once and never again, and what stands under it never changes but for times,
   counters and state. A replacing put gives a new id. So a vector can never meet another entry's
   answer. An alias has an id of its own; to the index, and among the tombstones, it is `-id`.
2. Totals, usage and tombstones are kept by triggers, in the same transaction as the row. What is
   quarantined has a tombstone too: to the index it is gone, until its release.
3. `entries` is narrow; completions, vectors and sketches stand apart, so that counters are cheap
   to write, lookups touch what they need, and a rebuild of the index reads vectors only.
4. A change here needs a new number and a step in `migration`.
"""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from semcache.store.limits import ORDER, Limits

SCHEMA = 3
METADATA = MetaData()

Table(
    "meta",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)
Table(
    "totals",
    METADATA,
    Column("one", Integer, CheckConstraint("one = 1"), primary_key=True),
    # Counts write transactions; entries and tombstones carry the number of theirs.
    Column("seq", Integer, nullable=False),
    Column("pruned_seq", Integer, nullable=False),  # tombstones up to here are gone
    Column("entries", Integer, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("hits", Integer, nullable=False),
)
Table(
    "usage",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("entries", Integer, nullable=False),
    Column("bytes", Integer, nullable=False),
    sqlite_with_rowid=False,
)
Table(
    "writers",  # how many of `totals.seq` are whose: the rest was written by others
    METADATA,
    Column("owner", Text, primary_key=True),
    Column("seqs", Integer, nullable=False),
    Column("written_at", Float, nullable=False),
    sqlite_with_rowid=False,
)
Table(
    "tombstones",
    METADATA,
    Column("seq", Integer, primary_key=True),
    Column("id", Integer, primary_key=True),
    sqlite_with_rowid=False,
)
ENTRIES = Table(
    "entries",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("scope", Text, nullable=False),  # the digest of the next seven
    Column("tenant", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("answerer", Text, nullable=False),
    Column("source_model", Text, nullable=False),
    Column("knowledge", Text, nullable=False),
    Column("context", Text, nullable=False),
    Column("params", Text, nullable=False),
    Column("embedder", Text),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("used_at", Float, nullable=False),
    Column("hits", Integer, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("cost_s", Float, nullable=False),
    Column("question", Text),
    Column("state", Text, nullable=False, server_default=""),  # interfaces.State
    Column("sources", Text),  # JSON list: grounds.Grounds.sources
    Column("variant", Integer, nullable=False, server_default=text("0")),
    Column("writer", Text),
    Column("stale_s", Float),
    Column("detail", Text),  # JSON object
    sqlite_autoincrement=True,
)
Index("entries_by_seq", ENTRIES.c.seq)
Index("entries_by_tenant", ENTRIES.c.tenant)
Index("entries_by_answerer", ENTRIES.c.answerer, ENTRIES.c.knowledge)
Index(
    "entries_by_expiry",
    ENTRIES.c.expires_at,
    sqlite_where=ENTRIES.c.expires_at.is_not(None),
)
Index("entries_by_state", ENTRIES.c.state, sqlite_where=ENTRIES.c.state != "")
Table(
    "completions",
    METADATA,
    Column("id", ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True),
    Column("json", LargeBinary, nullable=False),
)
Table(
    "vectors",  # float32, little-endian, unit length
    METADATA,
    Column("id", ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True),
    Column("vector", LargeBinary, nullable=False),
)
Table(
    "sketches",  # sketch.Sketch.to_bytes
    METADATA,
    Column("id", ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True),
    Column("sketch", LargeBinary, nullable=False),
)
ALIASES = Table(
    "aliases",  # further questions that lead to an entry; their bytes count as the entry's
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("entry", ForeignKey("entries.id", ondelete="CASCADE"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("question", Text, nullable=False),
    Column("embedder", Text, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Column("sketch", LargeBinary),
    UniqueConstraint("entry", "question"),
    sqlite_autoincrement=True,
)
Index("aliases_by_seq", ALIASES.c.seq)

TRIGGERS = (
    """
    CREATE TRIGGER entry_added AFTER INSERT ON entries BEGIN
        UPDATE totals
            SET entries = entries + 1, bytes = bytes + NEW.bytes, hits = hits + NEW.hits;
        INSERT INTO usage (tenant, entries, bytes) VALUES (NEW.tenant, 1, NEW.bytes)
            ON CONFLICT (tenant) DO UPDATE
            SET entries = entries + 1, bytes = bytes + excluded.bytes;
    END
    """,
    """
    CREATE TRIGGER entry_removed AFTER DELETE ON entries BEGIN
        UPDATE totals
            SET entries = entries - 1, bytes = bytes - OLD.bytes, hits = hits - OLD.hits;
        UPDATE usage SET entries = entries - 1, bytes = bytes - OLD.bytes
            WHERE tenant = OLD.tenant;
        DELETE FROM usage WHERE tenant = OLD.tenant AND entries = 0;
        INSERT OR IGNORE INTO tombstones (seq, id) SELECT seq, OLD.id FROM totals;
    END
    """,
    """
    CREATE TRIGGER entry_resized AFTER UPDATE OF bytes ON entries BEGIN
        UPDATE totals SET bytes = bytes + NEW.bytes - OLD.bytes;
        UPDATE usage SET bytes = bytes + NEW.bytes - OLD.bytes WHERE tenant = NEW.tenant;
    END
    """,
    """
    CREATE TRIGGER alias_removed AFTER DELETE ON aliases BEGIN
        INSERT OR IGNORE INTO tombstones (seq, id) SELECT seq, -OLD.id FROM totals;
    END
    """,
    """
    CREATE TRIGGER entry_hit AFTER UPDATE OF hits ON entries BEGIN
        UPDATE totals SET hits = hits + NEW.hits - OLD.hits;
    END
    """,
)


def eviction_indexes(limits: Limits) -> list[str]:
    """The indexes that a policy's order needs; made when a store with that policy is opened."""
    order = ORDER[limits.eviction].removesuffix("id").rstrip(", ")
    order = order.replace("cost_s * (hits + 1) / bytes", "(cost_s * (hits + 1) / bytes)")
    wanted = []
    if order:
        wanted.append(f"CREATE INDEX IF NOT EXISTS evict_{limits.eviction} ON entries ({order})")
    if limits.per_tenant and order:
        wanted.append(
            f"CREATE INDEX IF NOT EXISTS evict_{limits.eviction}_of_tenant"
            f" ON entries (tenant, {order})"
        )
    return wanted
