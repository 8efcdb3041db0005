"""What keys may spend: by day and month, over restarts, by several processes, whatever the disk."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from semcache.config import Config
from semcache.doors import open_door
from semcache.errors import ConfigError, QuotaExceeded, StoreError
from semcache.quotas import Ledger, Quota

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0
USAGE = {"prompt_tokens": 30, "completion_tokens": 10, "total_tokens": 40}


class Clock:
    now = NOON

    def __call__(self) -> float:
        return self.now


def a_cent(model: str, usage: Mapping[str, Any]) -> float:
    return 0.01 if model == "dear" else 0.0


def test_bounds_hold_and_are_lifted_by_the_calendar(tmp_path: Path) -> None:
    clock = Clock()
    ledger = Ledger(tmp_path / "q.db", clock, cost=a_cent, every_s=3600)
    few = ledger.account("few", Quota(tokens_per_day=80, requests_per_day=3))
    dear = ledger.account("dear", Quota(usd_per_month=0.02))
    for _ in range(2):
        few.require()
        few.spend("m", USAGE)
        dear.spend("dear", USAGE)
    for account, wait_s in ((few, DAY / 2), (dear, 1.5 * DAY)):
        assert account.exhausted
        with pytest.raises(QuotaExceeded) as told:
            account.require()
        error = told.value
        assert (error.status, error.code, error.retry_after_s) == (
            429,
            "insufficient_quota",
            wait_s,
        )
    clock.now += DAY
    assert not few.exhausted
    assert dear.exhausted
    for _ in range(3):
        few.spend("m", {})
    assert few.exhausted
    clock.now += DAY
    assert not dear.exhausted
    ledger.close()


def test_it_outlives_the_process_and_is_shared_by_several(tmp_path: Path) -> None:
    clock, path, quota = Clock(), tmp_path / "q.db", Quota(tokens_per_day=100)
    one, other = (Ledger(path, clock, every_s=3600) for _ in range(2))
    here, there = one.account("a", quota), other.account("a", quota)
    one.account("b", quota).spend("m", USAGE)
    here.spend("m", USAGE)
    there.spend("m", USAGE)
    one.sync()
    there.spend("m", USAGE)
    other.sync()
    assert (here.today().tokens, there.today().tokens) == (40, 120)
    one.sync()
    assert (here.today().tokens, here.today().requests) == (120, 3)
    one.close()
    other.close()
    again = Ledger(path, clock, every_s=3600)
    assert again.account("a", quota).exhausted
    assert not again.account("b", quota).exhausted
    again.close()
    assert path.stat().st_mode & 0o077 == 0


def test_a_disk_that_fails_forgets_nothing_and_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger(tmp_path / "q.db", Clock(), every_s=3600)
    account = ledger.account("a", Quota(tokens_per_day=100))
    account.spend("m", USAGE)
    ledger.sync()

    def broken(self: object) -> object:
        raise StoreError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr("semcache.sqlite_file.SqliteFile.change", broken)
        account.spend("m", USAGE)
        ledger.sync()
        assert account.today().tokens == 80
        ledger.sync()
    assert "The disk is full" in caplog.text
    account.spend("m", USAGE)
    ledger.sync()
    assert (account.today().tokens, account.today().requests) == (120, 3)
    ledger.close()


def test_a_quota_that_means_nothing_is_refused(tmp_path: Path) -> None:
    key = {"name": "a", "sha256": sha256(b"k").hexdigest()}
    for quota in ({"tokens_per_day": 0}, {"usd_per_month": -1.0}, {"per_day": 1}, 5):
        with pytest.raises(ConfigError):
            Config.from_mapping({"server": {"keys": [{**key, "quota": quota}]}})
    priceless = {"server": {"keys": [{**key, "quota": {"usd_per_month": 1}}]}}
    with pytest.raises(ConfigError, match="prices"):
        open_door(Config.from_mapping(priceless), tmp_path, b"s" * 32)
