"""Notices that another process has written.

`PRAGMA data_version` on a connection of its own tells in microseconds whether anybody committed;
only then is `totals.seq - writers.seqs` read: the number of write transactions that are not ours,
from one snapshot, so that our own commits never show and another's never hides behind them.
"""

from __future__ import annotations

import sqlite3
import threading

from semcache.errors import StoreError
from semcache.store.database import Database, driver_of, store_error

_FOREIGN = """
SELECT seq - coalesce((SELECT seqs FROM writers WHERE owner = ?), 0) FROM totals
"""


class Watch:
    """Safe from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = database.open_reader()
        self._raw = driver_of(self._connection)
        self._lock = threading.Lock()
        self._data_version = -1
        self._version = 0
        self._closed = False

    def version(self) -> int:
        """How many write transactions others have committed. Never goes back."""
        with self._lock:
            if self._closed:
                raise StoreError("The store is closed.")
            try:
                (data_version,) = self._raw.execute("PRAGMA data_version").fetchone()
                if data_version != self._data_version:
                    (self._version,) = self._raw.execute(
                        _FOREIGN, (self._database.owner,)
                    ).fetchone()
                    self._data_version = data_version
            except sqlite3.Error as error:
                raise store_error(error, self._database.path) from error
            return self._version

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._closed = True
            self._connection.close()
