"""LocalStore: SQLite is the truth, FAISS follows it. Any number of threads, and of processes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from sqlalchemy import Connection

from semcache.errors import ConfigError, StoreError
from semcache.interfaces import Candidate, CheckReport, Entry, State, StoreStats, Vector
from semcache.keys import Scope
from semcache.selection import Holding, Selection
from semcache.sketch import Sketch
from semcache.store import audit, candidates, changes, rows, selecting, sizes
from semcache.store.archive import LocalArchive
from semcache.store.database import Database, Synchronous
from semcache.store.follower import Follower
from semcache.store.limits import NO_LIMITS, Limits
from semcache.store.new_row import Encoder, new_alias, new_row
from semcache.store.upkeep import Upkeep
from semcache.store.vector_index import VectorIndex
from semcache.store.watch import Watch
from semcache.store.writer import Writer

log = logging.getLogger("semcache.store")


class LocalStore:
    """The default `interfaces.Store`, in one directory.

    `embedder` is the fingerprint of the encoder whose vectors are searched and `dim` their
    length; without them the store matches exactly only. Rows of another encoder are kept and
    served exactly. With `sketches` a candidate comes with that of its question; they are stored
    either way. `clock` gives Unix seconds. `flush_interval_s`: how far counters may lag.
    Raises StoreError where the directory cannot be used, ConfigError for a bad combination.
    """

    def __init__(
        self,
        directory: Path,
        *,
        dim: int | None = None,
        embedder: str | None = None,
        sketches: bool = False,
        limits: Limits = NO_LIMITS,
        clock: Callable[[], float] = time.time,
        synchronous: Synchronous = "FULL",
        busy_timeout_s: float = 5.0,
        flush_interval_s: float = 1.0,
    ) -> None:
        if (dim is None) != (embedder is None):
            raise ConfigError("dim and embedder are given together, or neither.")
        if synchronous not in get_args(Synchronous):
            raise ConfigError(f"synchronous must be one of {', '.join(get_args(Synchronous))}.")
        self._encoder = None if dim is None else Encoder(embedder or "", dim)
        self._sketches = sketches
        self._limits = limits
        self._clock = clock
        self._closed = False
        self._database = Database(
            Path(directory), limits=limits, synchronous=synchronous, busy_timeout_s=busy_timeout_s
        )
        with ExitStack() as undo:
            undo.callback(self._database.close)
            self._watch = Watch(self._database)
            undo.callback(self._watch.close)
            self._followed = self._watch.version()
            self._follower = self._follow(Path(directory) / "semcache.index")
            self._upkeep = Upkeep(self._database, self._follower, limits, clock)
            database, writing = self._database, self._database.open_writer()
            self._writer = Writer(
                writing, database.path, database.owner, self._upkeep, flush_interval_s
            )
            self.archive = LocalArchive(self._database, self._writer, self._encoder)
            undo.pop_all()

    def _follow(self, path: Path) -> Follower | None:
        if self._encoder is None:
            return None
        return Follower(self._database, path, self._encoder.fingerprint, self._encoder.dim)

    # --------------------------------------------------------------------------------- reading

    def get(self, key: str) -> Entry | None:
        """The entry under this exact key, expired or not."""
        with self._database.looking_up() as connection:
            return rows.by_key(connection, key)

    def by_id(self, entry_id: int) -> Entry | None:
        """The entry with this id, expired, quarantined or not."""
        with self._database.looking_up() as connection:
            return rows.by_id(connection, entry_id)

    def scopes(self, tenant: str, most: int) -> list[Scope]:
        """Scopes of a tenant's entries, those of the newest entries first, `most` at most."""
        with self._database.looking_up() as connection:
            return rows.scopes(connection, tenant, most)

    def search(self, scope: Scope, vector: Vector, k: int) -> list[Candidate]:
        """The k nearest entries of exactly this scope, nearest first, expired ones included.

        `vector` has shape (dim,). Each entry stands once, by the nearest of its questions; what is
        quarantined, or goes while it is looked up, is not returned.
        """
        if self._follower is None or self._encoder is None or k < 1:
            return []
        query, _ = rows.encode_vector(vector)
        if query.shape != (self._encoder.dim,):
            raise StoreError(f"The query has {query.size} dimensions, not {self._encoder.dim}.")
        self._catch_up(self._follower)
        index, asked = self._follower.index, (scope, query, k, self._sketches)
        with self._database.looking_up() as connection:
            found, whole = candidates.search(connection, index, *asked)
            if not whole:  # a row went in between
                found, _ = candidates.search(connection, self._follower.index, *asked)
        return found

    def _catch_up(self, follower: Follower) -> None:
        version = self._watch.version()
        if version != self._followed or follower.behind:
            follower.catch_up()
            self._followed = version

    def scan(self, batch: int = 1000) -> Iterator[Entry]:
        """All entries by ascending id, read in batches; no snapshot is held between them."""

        def read(query: str, bound: tuple[Any, ...]) -> Sequence[rows.Row]:
            with self._database.looking_up() as connection:
                return connection.execute(query, bound).fetchall()

        return rows.all_entries(read, batch)

    def select(self, wanted: Selection, before: int | None, most: int) -> list[Entry]:
        """Entries that are meant, by descending id, those below `before`, `most` at most."""
        with self._database.looking_up() as connection:
            return selecting.select(connection, wanted, before, most)

    def holdings(self, most: int) -> list[Holding]:
        """How much each tenant has stored of each model's answers, the most entries first."""
        with self._database.looking_up() as connection:
            return selecting.holdings(connection, most)

    def version(self) -> int:
        """How many write transactions other processes (and other LocalStores) have committed.

        Their puts, removals, expiries and evictions count; their counters do not.
        """
        return self._watch.version()

    # --------------------------------------------------------------------------------- writing

    def put(
        self, entry: Entry, vector: Vector | None = None, sketch: Sketch | None = None
    ) -> Entry:
        """Insert, or replace the entry with the same key. Returns it with its new id.

        `vector` has shape (dim,) and needs `entry.embedder`. Durable when this returns.
        """
        row = new_row(entry, vector, sketch, self._encoder)
        most = self._limits.max_bytes
        if most is not None and row.bytes > most:
            raise StoreError(f"The entry has {row.bytes} bytes, more than the store may hold.")
        entry_id = self._writer.submit(lambda transaction: changes.put(transaction, row))
        return replace(row.entry, id=entry_id)

    def add_alias(
        self, entry_id: int, question: str, vector: Vector, sketch: Sketch | None = None
    ) -> bool:
        """One more question that leads to an entry, until the entry is deleted or replaced.

        `vector` is of the store's encoder, shape (dim,). False, and nothing is changed, where there
        is no such entry, or it has this question, or none. Durable when this returns.
        """
        alias = new_alias(entry_id, question, vector, sketch, self._encoder)
        return self._writer.submit(lambda transaction: changes.add_alias(transaction, alias))

    def quarantine(self, entry_id: int) -> Entry | None:
        """Never serve an entry again, but keep it. Returns it as it is now, if it is there."""
        return self._set_state(entry_id, "quarantined")

    def release(self, entry_id: int) -> Entry | None:
        """Undo a quarantine. Returns the entry as it is now, if it is there."""
        return self._set_state(entry_id, "")

    def _set_state(self, entry_id: int, state: State) -> Entry | None:
        return self._writer.submit(
            lambda transaction: changes.set_state(transaction, entry_id, state, self._encoder)
        )

    def remove(self, keys: Sequence[str]) -> int:
        """Delete entries by exact key; returns how many there were."""
        wanted = list(keys)
        return self._writer.submit(lambda transaction: changes.remove_keys(transaction, wanted))

    def clear(self, tenant: str | None = None) -> int:
        """Delete every entry (of one tenant, if given); returns how many there were.

        Done in several transactions, so that others write in between; an entry put meanwhile
        stays.
        """
        with self._database.looking_up() as connection:
            (newest,) = connection.execute("SELECT coalesce(max(id), 0) FROM entries").fetchone()
        removed = 0
        while some := self._writer.submit(lambda tx: changes.clear_some(tx, tenant, newest)):
            removed += some
        return removed

    def expire_knowledge(self, answerer: str, current: str, now: float) -> int:
        """Make stale what `answerer` answered from any other knowledge than `current`."""
        return self._writer.submit(
            lambda transaction: changes.expire_knowledge(transaction, answerer, current, now)
        )

    def set_sources(self, entry_id: int, sources: Sequence[str]) -> None:
        """What an entry rests on, as it is known now; nothing where there is no such entry."""
        column = rows.encode_sources(sources)
        self._writer.submit(lambda tx: changes.set_sources(tx, entry_id, column))

    def touch(self, ids: Mapping[int, int], now: float) -> None:
        """Add hits and mark as used; written with the next batch of counters."""
        self._upkeep.counters.add(ids, now)

    # ------------------------------------------------------------------------------- operating

    def stats(self) -> StoreStats:
        """Sizes now. `hits` is of the entries that are there."""
        index = None if self._follower is None else self._follower.index
        return sizes.measure(self._database, index, self._clock(), self._upkeep.evicted)

    def check(self, fix: bool = False) -> CheckReport:
        """Prove that rows, totals and index agree; mend what does not (see `audit`).

        Writers wait meanwhile; readers do not.
        """
        with self._still() as (connection, index):
            found = audit.examine(connection, self._encoder, index)
        if not fix or not found.problems:
            return CheckReport(found.entries, found.vectors, tuple(found.problems), 0)
        self._writer.submit(lambda transaction: audit.repair(transaction, found))
        if self._follower is not None:
            self._follower.rebuild()
        with self._still() as (connection, index):
            left = audit.examine(connection, self._encoder, index)
        repaired = max(0, len(found.problems) - len(left.problems))
        return CheckReport(left.entries, left.vectors, tuple(found.problems), repaired)

    @contextmanager
    def _still(self) -> Iterator[tuple[Connection, VectorIndex | None]]:
        if self._follower is not None:
            with self._follower.still() as pair:
                yield pair
            return
        with self._database.snapshot() as connection:
            yield connection, None

    def flush(self) -> None:
        """Write counters and the index file now."""
        self._writer.flush()
        self._save_index()

    def _save_index(self) -> None:
        if self._follower is None:
            return
        try:
            self._follower.save()
        except OSError as error:
            raise StoreError(f"The index file cannot be written ({error.strerror}).") from error

    def backup(self, path: Path) -> None:
        """Write a consistent copy of the live store to a new file.

        Put under the name `semcache.db` into an empty directory it is a store again.
        """
        self._database.backup(path)

    def close(self) -> None:
        """Finish what is queued, write counters and index file, close the files."""
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        try:
            self._save_index()
        except StoreError as error:
            log.warning("%s It will be built again from the rows.", error)
        self._watch.close()
        self._database.close()

    def __enter__(self) -> LocalStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
