"""From an older schema to the present one, inside the transaction that opens the store.

A step is written out: it stays what it was when its schema was new. Nothing is lost; what an
older version did not keep is simply not there.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from semcache.store.schema import SCHEMA

_TO_2 = (
    "ALTER TABLE entries ADD COLUMN state TEXT DEFAULT '' NOT NULL",
    "CREATE INDEX entries_by_state ON entries (state) WHERE state != ''",
    """
    CREATE TABLE sketches (
        id INTEGER NOT NULL,
        sketch BLOB NOT NULL,
        PRIMARY KEY (id),
        FOREIGN KEY(id) REFERENCES entries (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE aliases (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        entry INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        question TEXT NOT NULL,
        embedder TEXT NOT NULL,
        vector BLOB NOT NULL,
        sketch BLOB,
        UNIQUE (entry, question),
        FOREIGN KEY(entry) REFERENCES entries (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX aliases_by_seq ON aliases (seq)",
    "DROP TRIGGER entry_removed",
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
)
_TO_3 = (
    "ALTER TABLE entries ADD COLUMN sources TEXT",
    "ALTER TABLE entries ADD COLUMN variant INTEGER DEFAULT 0 NOT NULL",
    "ALTER TABLE entries ADD COLUMN writer TEXT",
    "ALTER TABLE entries ADD COLUMN stale_s FLOAT",
    "ALTER TABLE entries ADD COLUMN detail TEXT",
)
_STEPS: Mapping[int, tuple[str, ...]] = {2: _TO_2, 3: _TO_3}
OLDEST = min(_STEPS) - 1


def migrate(connection: Connection) -> None:
    """Bring the schema of an opened transaction up to date; does nothing where it is."""
    query = "SELECT value FROM meta WHERE name = 'schema'"
    found = int(connection.exec_driver_sql(query).scalar_one())
    for number in range(found + 1, SCHEMA + 1):
        for statement in _STEPS[number]:
            connection.exec_driver_sql(statement)
    if found != SCHEMA:
        connection.exec_driver_sql(
            "UPDATE meta SET value = ? WHERE name = 'schema'", (str(SCHEMA),)
        )
