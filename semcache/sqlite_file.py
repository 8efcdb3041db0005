"""One small SQLite file: opened with care, used by one thread at a time, its errors in words.

WAL and synchronous FULL: what is committed survives a power cut. Mode 0600. Processes may share it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from semcache.errors import StoreError, StoreLocked

_BUSY_MS = 5_000
_VERSION = "PRAGMA data_version"


class SqliteFile:
    """Safe for threads and processes. `what` names its content in errors: "the feedback"."""

    def __init__(self, path: Path | None, what: str, schema: Sequence[str]) -> None:
        """Open or create the file; in memory without a path. Raises StoreError, StoreLocked.

        `schema`: statements that do nothing where all is there already.
        """
        self._what = what
        self._lock = threading.Lock()
        self._closed = False
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
                path.chmod(0o600)
            # Autocommit, so that a transaction begins only where it says so.
            self._db = sqlite3.connect(
                ":memory:" if path is None else path, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            place = "" if path is None else f" at {path}"
            message = f"{self._begun} cannot be opened{place}; look at its path and mode."
            raise StoreError(message) from error
        try:
            with self.use() as db:
                for statement in (
                    f"PRAGMA busy_timeout = {_BUSY_MS:d}",
                    "PRAGMA journal_mode = WAL",
                    "PRAGMA synchronous = FULL",
                    *schema,
                ):
                    db.execute(statement)
        except StoreError:
            self._db.close()
            raise

    @contextmanager
    def use(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread. Raises StoreError, StoreLocked for what fails in it."""
        with self._lock:
            if self._closed:
                raise StoreError(f"{self._begun} is closed.")
            try:
                yield self._db
            except sqlite3.Error as error:
                raise self._said(error) from error

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """`use`, in one transaction: all of it is durable at the end, or nothing happened."""
        with self.use() as db:
            try:
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise

    def version(self) -> int:
        """A number that changes when another connection has committed; takes microseconds.

        Raises StoreError.
        """
        try:
            with self._lock:
                return int(self._db.execute(_VERSION).fetchone()[0])
        except sqlite3.Error as error:
            raise self._said(error) from error

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with self._lock:
            self._closed = True
            self._db.close()

    @property
    def _begun(self) -> str:
        return self._what[:1].upper() + self._what[1:]

    def _said(self, error: sqlite3.Error) -> StoreError:
        if "locked" in str(error) or "busy" in str(error):
            return StoreLocked(f"Another process holds {self._what}; try again.")
        remedy = "check the disk, or move the file away to start anew."
        return StoreError(f"{self._begun} failed; {remedy}")
