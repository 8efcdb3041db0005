"""The key of who runs this installation: it opens the admin routes and the dashboard.

It lies in the data directory, readable by its owner only; `server.admin_keys` may name others, by
their SHA-256. Such keys are 256 random bits, so the digest needs neither salt nor slowness.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from pathlib import Path

from semcache.errors import ConfigError
from semcache.secret_file import made_once
from semcache.server_keys import digest_of

FILE = "admin_key"
_PREFIX = "sk-semcache-admin-"
_DIGITS = frozenset("0123456789abcdef")


def read_admin_key(directory: Path) -> str:
    """The key in this data directory, made on first use. Raises ConfigError."""
    path = directory / FILE
    key = made_once(path, lambda: _new().encode() + b"\n").decode("utf-8", "replace").strip()
    if len(key) < len(_PREFIX) + 32:
        raise ConfigError(f"{path} is damaged: remove it, and a new key is made.")
    return key


def _new() -> str:
    return _PREFIX + secrets.token_urlsafe(32)


def check_digests(digests: Sequence[str]) -> None:
    """Raise ConfigError for one of `server.admin_keys` that is no SHA-256."""
    for digest in digests:
        if len(digest) != 64 or not _DIGITS.issuperset(digest):
            raise ConfigError(
                "'server.admin_keys' holds the SHA-256 of keys, 64 hex digits in lower case each: "
                "`semcache key NAME` prints a key and its own."
            )


def is_known(key: str, digests: Sequence[str]) -> bool:
    """Whether a key has one of these digests. All are compared, in constant time."""
    given = digest_of(key)
    known = [hmac.compare_digest(digest, given) for digest in digests]
    return bool(key) and any(known)
