"""What a store does beside its callers' work: counters, eviction, old tombstones, log size."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from semcache.store import changes
from semcache.store.database import WAL_LIMIT_BYTES, Database
from semcache.store.eviction import evict, over_limits
from semcache.store.follower import Follower
from semcache.store.limits import Limits
from semcache.store.writer import Transaction

TOMBSTONES_KEPT = 50_000
_PRUNED_EVERY = 1000
_CHECKPOINT_WAIT_MS = 200


class Counters:
    """Hits and times of use that are not yet in the rows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: dict[int, tuple[int, float]] = {}
        self._taken: dict[int, tuple[int, float]] = {}

    def add(self, ids: Mapping[int, int], now: float) -> None:
        """Count; nothing is written."""
        with self._lock:
            for entry_id, hits in ids.items():
                before, used_at = self._pending.get(entry_id, (0, now))
                self._pending[entry_id] = before + hits, max(used_at, now)

    def take(self) -> Mapping[int, tuple[int, float]]:
        """What is to be written, with what an earlier `take` could not write."""
        with self._lock:
            for entry_id, (hits, used_at) in self._pending.items():
                before, earlier = self._taken.get(entry_id, (0, used_at))
                self._taken[entry_id] = before + hits, max(earlier, used_at)
            self._pending = {}
            return self._taken

    def written(self) -> None:
        """What was taken is committed."""
        with self._lock:
            self._taken = {}


class Upkeep:
    """The writer's hooks. Everything here runs on the writing thread."""

    def __init__(
        self,
        database: Database,
        follower: Follower | None,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self.counters = Counters()
        self.evicted = 0
        self._database = database
        self._follower = follower
        self._limits = limits
        self._clock = clock
        self._unpruned = 0
        self._took = False

    def finish(self, transaction: Transaction) -> None:
        """Evict, by counters that are up to date; forget old tombstones."""
        self._took = False
        if over_limits(transaction, self._limits):
            changes.add_hits(transaction.connection, self.counters.take())
            self._took = True
            self.evicted += evict(transaction, self._limits, self._clock())
        if transaction.removed:
            transaction.removed.extend(changes.removed_aliases(transaction))
        self._unpruned += len(transaction.removed)
        if self._unpruned >= min(_PRUNED_EVERY, TOMBSTONES_KEPT):
            changes.prune_tombstones(transaction, TOMBSTONES_KEPT)
            self._unpruned = 0

    def committed(self, transaction: Transaction) -> None:
        """The index follows."""
        if self._took:
            self.counters.written()
        if self._follower is not None:
            self._follower.committed(transaction)

    def idle(self, connection: Connection) -> None:
        """Write the counters; shorten the log where readers have kept it from starting over."""
        touched = self.counters.take()
        if touched:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                changes.add_hits(connection, touched)
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            self.counters.written()
        if self._database.wal_bytes() > WAL_LIMIT_BYTES:
            waits = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {_CHECKPOINT_WAIT_MS}")
            try:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
            finally:
                connection.exec_driver_sql(f"PRAGMA busy_timeout = {waits}")
