"""From a checked configuration to a running cache: the only place that picks classes."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from semcache.cache import SemCache
from semcache.config import Config
from semcache.errors import ConfigError
from semcache.interfaces import Answerer, Embedder, Store
from semcache.keys import tenant_of

if TYPE_CHECKING:
    from semcache.cag.engine import CagEngine
    from semcache.upstream import Upstream

Progress: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Assembled:
    """A cache and the parts that its surroundings need to know by name."""

    cache: SemCache
    config: Config
    engine: CagEngine | None
    upstream: Upstream | None
    tenant_of: Callable[[str], str]

    @property
    def default_model(self) -> str:
        """The model that answers where a caller cannot name one (`/put`, `/get`)."""
        names = [name for answerer in self.cache.answerers for name in answerer.models()]
        return names[0] if names else "semcache"

    async def refresh(self) -> None:
        """Follow the knowledge folder: a new prefix, and what the old one fed goes stale."""
        engine = self.engine
        if engine is not None and await asyncio.to_thread(engine.reload_knowledge):
            await self.cache.knowledge_changed(engine.name, engine.knowledge_digest)


def _silent(line: str) -> None:
    return None


def build(config: Config, progress: Progress = _silent) -> Assembled:
    """Make the parts and put them together. Blocking: the models are loaded here.

    Raises ConfigError and StoreError; `progress` gets a line for each slow step.
    """
    directory = make_private(config.gptcache.data_dir)
    embedder = _embedder(config, progress)
    engine = _engine(config, directory, progress)
    upstream = _upstream(config)
    answerers: dict[str, Answerer | None] = {"cag": engine, "upstream": upstream}
    try:
        store = _store(config, directory, embedder)
    except BaseException:
        if embedder is not None:
            embedder.close()
        raise
    if engine is not None:
        store.expire_knowledge(engine.name, engine.knowledge_digest, _now())
    cache = SemCache(
        store=store,
        embedder=embedder,
        answerers=[a for name in config.engines if (a := answerers[name]) is not None],
        settings=config.policy_settings(),
        extract=_extract(config),
        memory_bytes=config.store.memory_bytes,
        threads=config.store.threads,
    )
    secret = read_secret(directory)
    tenants = lru_cache(maxsize=4096)(lambda key: tenant_of(secret, key))
    return Assembled(cache, config, engine, upstream, tenants)


def make_private(directory: Path) -> Path:
    """Make the data directory, readable by its owner only. Raises ConfigError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"Cannot make the directory {directory}: {error.strerror}.") from None
    return directory


def read_secret(directory: Path) -> bytes:
    """The installation's secret, 32 random bytes; made on first use, mode 0600.

    Written beside and linked into place: of two processes that start at once, one wins for both.
    """
    path = directory / "secret"
    if not path.exists():
        fresh = directory / f".secret-{secrets.token_hex(8)}"
        with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    secret = path.read_bytes()
    if len(secret) < 32:
        raise ConfigError(f"{path} is damaged: remove it, and every tenant starts anew.")
    return secret


def _now() -> float:
    import time

    return time.time()
