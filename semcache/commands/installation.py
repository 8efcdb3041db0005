"""The files of an installation, opened for a command that needs no engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from semcache.commands.whose import key_in, tenant_of_key
from semcache.config import Config
from semcache.doors import open_ring
from semcache.installation import make_private, open_store, read_secret
from semcache.interfaces import Embedder
from semcache.journal import Journal

if TYPE_CHECKING:
    from semcache.store import LocalStore


@dataclass(frozen=True, slots=True)
class Installation:
    """What lies in a data directory. `tenant`: whose the key is that the command was given."""

    secret: bytes
    store: LocalStore
    journal: Journal
    tenant: str | None


@contextmanager
def opened_installation(
    config: Config, key_env: str | None, embedder: Embedder | None = None
) -> Iterator[Installation]:
    """Store and journal, also where they are sealed. Raises SemcacheError.

    `key_env`: the environment variable with a tenant's key, with which its entries are opened.
    """
    with ExitStack() as undo:
        directory = make_private(config.gptcache.data_dir)
        secret = read_secret(directory)
        ring, tenant = open_ring(config, secret), None
        if key_env is not None:
            key = key_in(key_env)
            tenant = tenant_of_key(key, config, secret)
            if ring is not None:
                ring.learn(tenant, key)
        sketches = embedder is not None and wants_sketches(config)
        store = open_store(config, embedder, sketches=sketches, ring=ring)
        undo.callback(store.close)
        mark = None if ring is None else ring.mark
        journal = Journal(directory / "feedback.db", mark=mark)
        undo.callback(journal.close)
        yield Installation(secret, store, journal, tenant)


def wants_sketches(config: Config) -> bool:
    """Whether somebody will look at the sketches of what is stored."""
    return config.trust.verifier or config.trust.max_wrong_rate is not None
