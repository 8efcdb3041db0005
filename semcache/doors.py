"""From the configuration to who is let in."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from semcache.config import Config
from semcache.errors import ConfigError
from semcache.interfaces import Relayed
from semcache.keyring import KeyRing, OperatorsRing
from semcache.pass_through import PassThrough
from semcache.prices import Prices, saved
from semcache.promotion import Promotion
from semcache.quotas import Cost, Ledger
from semcache.server_keys import Doorkeeper


def open_ring(config: Config, secret: bytes) -> KeyRing | None:
    """The keys that the store is sealed with, where it is. Raises ConfigError."""
    match config.store.encryption:
        case "key":
            return OperatorsRing(secret, os.environ.get(config.store.encryption_key_env, ""))
        case "caller":
            return KeyRing(secret)
    return None


def open_door(
    config: Config, directory: Path, secret: bytes, ring: KeyRing | None = None
) -> Doorkeeper | None:
    """Who knows the server's keys, where there are some. Raises ConfigError, StoreError."""
    keys = config.server.keys
    if not keys:
        return None
    ledger = None
    quotas = [key.quota for key in keys if key.quota is not None]
    prices = config.policy_settings().prices
    if any(quota.usd_per_month is not None for quota in quotas) and not prices:
        raise ConfigError("A quota's 'usd_per_month' needs 'prices': say what the models cost.")
    if quotas:
        ledger = Ledger(directory / "quotas.db", time.time, cost=_cost(prices))
    try:
        return Doorkeeper(keys, secret, time.monotonic, ledger, ring)
    except ConfigError:
        if ledger is not None:
            ledger.close()
        raise


def open_pass_through(
    config: Config, secret: bytes, upstream: Relayed | None, ring: KeyRing | None = None
) -> PassThrough | None:
    """Who asks the upstream about its callers' keys, where they bring their own."""
    settings = config.server.pass_through
    if settings is None or upstream is None:
        return None

    async def check(key: str) -> bool:
        return await upstream.knows(key, settings.path)

    return PassThrough(check, secret, time.monotonic, settings, ring)


def open_promotion(config: Config, directory: Path, secret: bytes) -> Promotion | None:
    """The votes on answers, where answers may be promoted. Raises StoreError."""
    after = config.server.promote_after
    return None if after is None else Promotion(directory / "votes.db", after, secret, time.time)


def _cost(prices: Prices) -> Cost:
    def cost(model: str, usage: Mapping[str, Any]) -> float:
        return saved({"model": model, "usage": usage}, model, prices).usd

    return cost
