"""Whose entries a command is about: by a tenant's digest, by a key, or by a namespace."""

from __future__ import annotations

import argparse
import os
import time

from semcache.assembly import Assembled
from semcache.config import Config
from semcache.errors import ConfigError
from semcache.keys import tenant_of
from semcache.pass_through import PassThrough
from semcache.server_keys import Doorkeeper, ServerKey, digest_of
from semcache.transfer.placing import ANYBODY


def add_tenant(parser: argparse.ArgumentParser, what: str) -> None:
    """The options that name a tenant."""
    named = parser.add_mutually_exclusive_group()
    named.add_argument("--tenant", metavar="DIGEST", help=what)
    named.add_argument(
        "--tenant-key-env",
        metavar="NAME",
        help="the same, by the environment variable with the tenant's key",
    )


def members_of(namespace: str, secret: bytes) -> str:
    """The tenant that the keys of a namespace in 'server.keys' are."""
    member = ServerKey("-", digest_of("-"), namespace)
    return Doorkeeper([member], secret, time.monotonic).named("-")


def key_in(name: str) -> str:
    """The key that an environment variable holds. Raises ConfigError."""
    key = os.environ.get(name, "")
    if not key:
        raise ConfigError(f"The environment variable '{name}' holds no key.")
    return key


def tenant_of_key(key: str, config: Config, secret: bytes) -> str:
    """As a server with this configuration would name its owner. Raises AuthenticationError."""
    if config.server.pass_through is not None:
        return PassThrough(_unasked, secret, time.monotonic, config.server.pass_through).named(key)
    if config.server.keys:
        return Doorkeeper(config.server.keys, secret, time.monotonic).named(key)
    return tenant_of(secret, key)


def tenant_asking(assembled: Assembled, key: str) -> str:
    """The tenant of a key, or nobody's without one; what is sealed with it can be opened then."""
    if not key:
        return ANYBODY
    door = assembled.doorkeeper
    tenant = assembled.tenant_of(key) if door is None else door.named(key)
    if assembled.ring is not None:
        assembled.ring.learn(tenant, key)
    return tenant


async def _unasked(key: str) -> bool:
    """To name a tenant the upstream is not asked; the key that is named is whoever's runs this."""
    return False
