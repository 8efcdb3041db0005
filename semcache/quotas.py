"""What the keys of a server may spend, and have spent: by the day and the month, in UTC.

A small SQLite file keeps it over restarts and for all processes of a server. Each process counts
in memory and writes about once a second, so a quota may be overrun by what is asked in a second,
and by what was in the making when it ran out. A file that fails is logged and tried again: it is
no reason to answer nobody.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from semcache.errors import ConfigError, QuotaExceeded, StoreError
from semcache.sqlite_file import SqliteFile

log = logging.getLogger("semcache")

EVERY_S = 1.0
_KEPT_DAYS = 400
_MICRO = 1_000_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS spent (
    account TEXT NOT NULL, day TEXT NOT NULL,
    requests INTEGER NOT NULL, tokens INTEGER NOT NULL, micro_usd INTEGER NOT NULL,
    PRIMARY KEY (account, day)
) WITHOUT ROWID
"""
_ADD = """
INSERT INTO spent VALUES (?, ?, ?, ?, ?) ON CONFLICT (account, day) DO UPDATE SET
    requests = requests + excluded.requests, tokens = tokens + excluded.tokens,
    micro_usd = micro_usd + excluded.micro_usd
"""
_READ = "SELECT day, requests, tokens, micro_usd FROM spent WHERE account = ? AND day >= ?"

Cost: TypeAlias = Callable[[str, Mapping[str, Any]], float]
"""US dollars for an answer, from the model asked for and its usage."""


@dataclass(frozen=True, slots=True)
class Quota:
    """`quota` of one of `server.keys`; None is no bound. Raises ConfigError.

    `count_hits`: what comes from the cache counts as if it had been made.
    """

    tokens_per_day: int | None = None
    requests_per_day: int | None = None
    usd_per_month: float | None = None
    count_hits: bool = False

    def __post_init__(self) -> None:
        for name in ("tokens_per_day", "requests_per_day", "usd_per_month"):
            bound = getattr(self, name)
            if bound is not None and not bound > 0:
                raise ConfigError(f"A quota's '{name}' must be more than 0; leave it out for none.")


@dataclass(slots=True)
class Spent:
    """Of one account on one day."""

    requests: int = 0
    tokens: int = 0
    micro_usd: int = 0

    def add(self, other: Spent) -> None:
        """Add another's figures to these."""
        self.requests += other.requests
        self.tokens += other.tokens
        self.micro_usd += other.micro_usd


class KeyAccount:
    """Implements `caller.Account` for one key. Thread-safe; never waits for a disk."""

    def __init__(self, quota: Quota, clock: Callable[[], float], cost: Cost | None) -> None:
        self.quota = quota
        self._clock = clock
        self._cost = cost
        self._lock = threading.Lock()
        # By day: what the file has of this month, what is being written, what is to be.
        self._known: dict[str, Spent] = {}
        self._leaving: dict[str, Spent] = {}
        self._pending: dict[str, Spent] = {}

    @property
    def counts_hits(self) -> bool:
        """Whether answers from the cache are paid for as well."""
        return self.quota.count_hits

    @property
    def exhausted(self) -> bool:
        """Whether a bound is reached."""
        return self._reached() is not None

    def require(self) -> None:
        """Raises QuotaExceeded where a bound is reached."""
        reached = self._reached()
        if reached is not None:
            says, wait_s = reached
            raise QuotaExceeded(f"This key has spent {says}.", retry_after_s=wait_s)

    def spend(self, model: str, usage: Mapping[str, Any], *, requests: int = 1) -> None:
        """Take the cost of an answer off."""
        tokens = usage.get("total_tokens")
        usd = 0.0 if self._cost is None else self._cost(model, usage)
        one = Spent(requests, tokens if isinstance(tokens, int) else 0, round(usd * _MICRO))
        day = _day(self._now())
        with self._lock:
            self._pending.setdefault(day, Spent()).add(one)

    def today(self) -> Spent:
        """What is known to be spent today, by every process."""
        return self._sum(_day(self._now()))

    def leaving(self) -> dict[str, Spent]:
        """What is to be written now, by day, until `learn` or `stay`; it counts all the time."""
        with self._lock:
            self._leaving, self._pending = self._pending, {}
            return self._leaving

    def stay(self) -> None:
        """It could not be written."""
        with self._lock:
            for day, spent in self._leaving.items():
                self._pending.setdefault(day, Spent()).add(spent)
            self._leaving = {}

    def learn(self, known: dict[str, Spent]) -> None:
        """What the file has now, with all that was leaving."""
        with self._lock:
            self._known, self._leaving = known, {}

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _sum(self, days: str) -> Spent:
        """Of all days that begin so."""
        total = Spent()
        with self._lock:
            for spent in (self._known, self._leaving, self._pending):
                for day, one in spent.items():
                    if day.startswith(days):
                        total.add(one)
        return total

    def _reached(self) -> tuple[str, int] | None:
        """The bound that is reached, in words, and the seconds until it is lifted."""
        quota, now = self.quota, self._now()
        today = self._sum(_day(now))
        tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        if quota.tokens_per_day is not None and today.tokens >= quota.tokens_per_day:
            return f"its {quota.tokens_per_day} tokens of today", _seconds(now, tomorrow)
        if quota.requests_per_day is not None and today.requests >= quota.requests_per_day:
            return f"its {quota.requests_per_day} requests of today", _seconds(now, tomorrow)
        usd = quota.usd_per_month
        if usd is not None and self._sum(_day(now)[:8]).micro_usd >= usd * _MICRO:
            return f"its {usd:g} dollars of this month", _seconds(now, _next_month(now))
        return None


class Ledger:
    """The accounts of a server, and the file that remembers them. `clock` gives Unix seconds."""

    def __init__(
        self,
        path: Path | None,
        clock: Callable[[], float],
        *,
        cost: Cost | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        """Open or create the file; in memory without a path. Raises StoreError, StoreLocked."""
        self._file = SqliteFile(path, "the quotas", [_SCHEMA])
        self._clock = clock
        self._cost = cost
        self._every_s = every_s
        self._accounts: dict[str, KeyAccount] = {}
        self._version = -1
        self._closed = threading.Event()
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="semcache-quotas", daemon=True)
        self._thread.start()

    def account(self, name: str, quota: Quota) -> KeyAccount:
        """The account under a name: the same name, the same account, whatever its key is."""
        with self._turn:
            account = self._accounts.get(name)
            if account is None:
                account = KeyAccount(quota, self._clock, self._cost)
                self._accounts[name] = account
            account.quota = quota
            self._version = -1
        self.sync()
        return account

    def sync(self) -> None:
        """Write what was spent here, and read what others have. What fails is logged."""
        with self._turn:
            try:
                wrote = self._write()
                version = self._file.version()
                if wrote or version != self._version:
                    self._read()
                    self._version = version
            except StoreError as error:
                log.warning("%s What was spent is kept in memory meanwhile.", error)

    def close(self) -> None:
        """Write what is left, and close the file; a second time does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._thread.join()
        self.sync()
        self._file.close()

    def _run(self) -> None:
        while not self._closed.wait(self._every_s):
            self.sync()

    def _write(self) -> bool:
        rows = [
            (name, day, spent.requests, spent.tokens, spent.micro_usd)
            for name, account in self._accounts.items()
            for day, spent in account.leaving().items()
        ]
        if not rows:
            return False
        try:
            with self._file.change() as db:
                db.executemany(_ADD, rows)
                now = datetime.fromtimestamp(self._clock(), UTC)
                oldest = _day(now - timedelta(days=_KEPT_DAYS))
                db.execute("DELETE FROM spent WHERE day < ?", (oldest,))
        except StoreError:
            for account in self._accounts.values():
                account.stay()
            raise
        return True

    def _read(self) -> None:
        month = _day(datetime.fromtimestamp(self._clock(), UTC))[:8] + "01"
        with self._file.use() as db:
            for name, account in self._accounts.items():
                rows = db.execute(_READ, (name, month)).fetchall()
                account.learn({day: Spent(*figures) for day, *figures in rows})


def _day(now: datetime) -> str:
    return now.strftime("%Y-%m-%d")


def _next_month(now: datetime) -> datetime:
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)


def _seconds(now: datetime, then: datetime) -> int:
    return max(1, round((then - now).total_seconds()))
