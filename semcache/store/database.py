"""The SQLite file: opened safely, spoken to through kept connections, errors put in our words.

Rules of this file:
1. Nothing is ever deleted to make a file usable: what cannot be read is refused with advice.
2. Files are 0600; a directory made here is 0700.
3. Readers can only read. Each statement is its own snapshot unless `snapshot` says otherwise.
4. Connections are SQLAlchemy's, and so is all that is asked rarely. What every request asks goes
   to the driver below (`driver_of`): a lookup takes 11 µs there, and 52 µs through Core.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal, TypeAlias, cast

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from semcache.errors import StoreError, StoreLocked
from semcache.store.limits import Limits
from semcache.store.migration import OLDEST, migrate
from semcache.store.schema import METADATA, SCHEMA, TRIGGERS, eviction_indexes

Synchronous: TypeAlias = Literal["FULL", "NORMAL"]

WAL_LIMIT_BYTES = 64 << 20
_APPLICATION_ID = 0x53454D43
_FORGOTTEN_AFTER_S = 30 * 86400.0


def store_error(error: BaseException, path: Path) -> StoreError:
    """What a failure of SQLite means, and what to do. Holds no row's content."""
    if isinstance(error, StoreError):
        return error
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    said = str(cause)
    if isinstance(cause, sqlite3.OperationalError) and "locked" in said:
        return StoreLocked(
            f"Another process holds {path} for longer than the busy timeout. "
            "Close it, or raise busy_timeout_s."
        )
    if isinstance(cause, sqlite3.DatabaseError) and ("malformed" in said or "not a data" in said):
        return StoreError(
            f"{path} is not a readable SQLite database ({said}). Nothing was changed or deleted. "
            "Restore it from a backup or with `sqlite3 FILE .recover`, or move it away together "
            "with its -wal and -shm files to start empty."
        )
    return StoreError(f"The store at {path} failed ({type(cause).__name__}: {said}).")


def driver_of(connection: Connection) -> sqlite3.Connection:
    """The sqlite3 connection below SQLAlchemy's."""
    return cast(sqlite3.Connection, connection.connection.driver_connection)


class Database:
    """One SQLite file in WAL mode.

    `epoch` is a random name given when the file was made: what was derived from another file, or
    from this one's predecessor, does not carry it. `owner` names this opening of the file.
    """

    def __init__(
        self, directory: Path, *, limits: Limits, synchronous: Synchronous, busy_timeout_s: float
    ) -> None:
        self.path = directory / "semcache.db"
        self.owner = secrets.token_hex(16)
        self._busy_ms = int(busy_timeout_s * 1000)
        self._synchronous = synchronous
        self._idle: deque[Connection] = deque()
        self._closed = False
        _make_private(directory, self.path)
        self._engine = create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(
                self.path, timeout=busy_timeout_s, check_same_thread=False, cached_statements=256
            ),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
        )
        try:
            self.epoch = self._prepare(limits)
        except Exception as error:
            raise store_error(error, self.path) from error

    # ------------------------------------------------------------------------------- opening

    def _prepare(self, limits: Limits) -> str:
        connection = self.open_writer()
        try:
            self._refuse_foreign(connection)
            self._enter_wal(connection)
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                self._refuse_foreign(connection)
                epoch = self._create(connection, limits)
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            return epoch
        finally:
            connection.close()

    def _refuse_foreign(self, connection: Connection) -> None:
        names = connection.exec_driver_sql("SELECT name FROM sqlite_schema").scalars().all()
        if not names:
            return
        row = None
        if "meta" in names and "totals" in names:
            query = "SELECT value FROM meta WHERE name = 'schema'"
            row = connection.exec_driver_sql(query).first()
        if row is None or not str(row[0]).isdigit():
            raise StoreError(
                f"{self.path} is a SQLite database, but not a semcache store. "
                "Choose another data directory; nothing was changed."
            )
        if not OLDEST <= int(row[0]) <= SCHEMA:
            raise StoreError(
                f"{self.path} has schema {row[0]}, and this version of semcache reads schemas "
                f"{OLDEST} to {SCHEMA}. Use the version that wrote it, or another data directory; "
                "nothing was changed."
            )

    def _enter_wal(self, connection: Connection) -> None:
        """Changing the journal does not wait on the busy timeout by itself."""
        deadline = time.monotonic() + self._busy_ms / 1000
        while True:
            try:
                mode = connection.exec_driver_sql("PRAGMA journal_mode = WAL").scalar()
            except DBAPIError as error:
                if "locked" not in str(error.orig) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
                continue
            if mode != "wal":
                raise StoreError(
                    f"{self.path} cannot use a write-ahead log (journal mode {mode}): put the "
                    "data directory on a local, writable disk."
                )
            return

    def _create(self, connection: Connection, limits: Limits) -> str:
        made = connection.exec_driver_sql("SELECT count(*) FROM sqlite_schema").scalar()
        if not made:
            METADATA.create_all(connection, checkfirst=False)
            for trigger in TRIGGERS:
                connection.exec_driver_sql(trigger)
            connection.exec_driver_sql(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.exec_driver_sql(
                "INSERT INTO meta VALUES ('schema', ?), ('epoch', ?)",
                (str(SCHEMA), secrets.token_hex(16)),
            )
            connection.exec_driver_sql("INSERT INTO totals VALUES (1, 0, 0, 0, 0, 0)")
        migrate(connection)
        for index in eviction_indexes(limits):
            connection.exec_driver_sql(index)
        now = time.time()
        connection.exec_driver_sql(
            "DELETE FROM writers WHERE written_at < ?", (now - _FORGOTTEN_AFTER_S,)
        )
        connection.exec_driver_sql("INSERT INTO writers VALUES (?, 0, ?)", (self.owner, now))
        query = "SELECT value FROM meta WHERE name = 'epoch'"
        return str(connection.exec_driver_sql(query).scalar_one())

    # --------------------------------------------------------------------------- connections

    def open_writer(self) -> Connection:
        """A connection that may write. The caller closes it."""
        return self._opened(
            "PRAGMA foreign_keys = ON",
            f"PRAGMA synchronous = {self._synchronous}",
            f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}",
            "PRAGMA cache_size = -32768",
        )

    def open_reader(self) -> Connection:
        """A connection that can only read. The caller closes it."""
        return self._opened("PRAGMA query_only = ON", "PRAGMA cache_size = -16384")

    def _opened(self, *pragmas: str) -> Connection:
        try:
            connection = self._engine.connect()
            for pragma in (f"PRAGMA busy_timeout = {self._busy_ms}", *pragmas):
                connection.exec_driver_sql(pragma)
        except DBAPIError as error:
            raise store_error(error, self.path) from error
        return connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Borrow a kept reader: as many are kept as ever read at once. Raises StoreError."""
        if self._closed:
            raise StoreError("The store is closed.")
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self.open_reader()
        try:
            yield connection
        except DBAPIError as error:
            raise store_error(error, self.path) from error
        finally:
            if self._closed:
                connection.close()
            else:
                self._idle.append(connection)

    @contextmanager
    def looking_up(self) -> Iterator[sqlite3.Connection]:
        """Borrow a kept reader's driver connection, for one quick query. Raises StoreError."""
        with self.reading() as connection:
            try:
                yield driver_of(connection)
            except (sqlite3.Error, UnicodeError) as error:
                raise store_error(error, self.path) from error

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Borrow a reader whose statements all see one state of the database."""
        with self.reading() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK")

    def backup(self, path: Path) -> None:
        """Copy the live database, in one state, to a new file of mode 0600.

        The copy has an epoch of its own: no index of the original's passes for its index.
        Raises StoreError; a file that is there is never overwritten.
        """
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as error:
            raise StoreError(
                f"{path} cannot be created ({error.strerror}). Name a new file in a directory "
                "that this user may write."
            ) from error
        try:
            with closing(sqlite3.connect(path)) as copy, self.looking_up() as connection:
                connection.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
                copy.execute("DELETE FROM writers")
                copy.execute(
                    "UPDATE meta SET value = ? WHERE name = 'epoch'", (secrets.token_hex(16),)
                )
                copy.commit()
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def wal_bytes(self) -> int:
        """The size of the write-ahead log."""
        try:
            return self.path.with_name(self.path.name + "-wal").stat().st_size
        except OSError:
            return 0

    def close(self) -> None:
        """Close the kept readers; a borrowed one closes when it comes back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
        self._engine.dispose()


def _make_private(directory: Path, path: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written ({error.strerror}). Choose a data directory that this "
            "user may write."
        ) from error
