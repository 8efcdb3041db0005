"""What of an installation can be opened alone: its directory, secret, store and encoder."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from semcache.config import Config
from semcache.doors import open_ring
from semcache.errors import ConfigError
from semcache.interfaces import Embedder
from semcache.keyring import KeyRing
from semcache.secret_file import made_once

if TYPE_CHECKING:
    from semcache.store import LocalStore

Progress: TypeAlias = Callable[[str], None]


def silent(line: str) -> None:
    """Progress that nobody wants to see."""


def make_private(directory: Path) -> Path:
    """Make the data directory, readable by its owner only. Raises ConfigError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"Cannot make the directory {directory}: {error.strerror}.") from None
    return directory


def read_secret(directory: Path) -> bytes:
    """The installation's secret, 32 random bytes; made on first use, mode 0600."""
    path = directory / "secret"
    secret = made_once(path, lambda: secrets.token_bytes(32))
    if len(secret) < 32:
        raise ConfigError(f"{path} is damaged: remove it, and every tenant starts anew.")
    return secret


def open_store(
    config: Config,
    embedder: Embedder | None = None,
    *,
    sketches: bool = False,
    ring: KeyRing | None = None,
) -> LocalStore:
    """The store of this configuration, alone. Raises StoreError, ConfigError.

    `ring` has the keys that it is sealed with, where the caller has them at hand already.
    """
    from semcache.store import Limits, LocalStore

    bounds, directory = config.store, make_private(config.gptcache.data_dir)
    opened: Callable[..., LocalStore] = LocalStore
    if bounds.encryption != "none":
        from semcache.store.sealed import SealedStore, Seals

        seals = Seals(ring or cast(KeyRing, open_ring(config, read_secret(directory))))
        opened = partial(SealedStore, seals=seals)
    return opened(
        directory,
        dim=None if embedder is None else embedder.dim,
        embedder=None if embedder is None else embedder.fingerprint,
        sketches=sketches,
        limits=Limits(
            max_entries=config.gptcache.max_entries,
            max_bytes=bounds.max_bytes,
            max_entries_per_tenant=bounds.max_entries_per_tenant,
            max_bytes_per_tenant=bounds.max_bytes_per_tenant,
            eviction=config.gptcache.eviction,
        ),
        synchronous=bounds.synchronous,
    )


def open_embedder(
    config: Config, progress: Progress = silent, *, sketches: bool = False
) -> Embedder | None:
    """The sentence encoder, prepared if it is the first time; None for the exact evaluation."""
    if not config.gptcache.semantic:
        return None
    from semcache.embedding import SentenceEncoder

    encoder = config.encoder
    embedder = SentenceEncoder.open(
        encoder.model, quantize=encoder.quantize, sketches=sketches, say=progress
    )
    if config.gptcache.dimension not in (None, embedder.dim):
        message = "'storage_config.vector_params.dimension' is not the encoder's"
        raise ConfigError(f"{message} {embedder.dim}: leave it out.")
    return embedder
