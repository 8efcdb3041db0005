"""Keys that the server's operator gives out: who may ask, as which tenant, and how often.

A configuration holds their SHA-256 only. Keys are 256 random bits, so the digest needs no salt and
no slowness: there is nothing to guess. All digests are compared in constant time.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from semcache.caller import Caller
from semcache.errors import AuthenticationError, ConfigError, TooManyRequests
from semcache.keyring import KeyRing
from semcache.quotas import Ledger, Quota

_PREFIX = "sk-semcache-"
_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class ServerKey:
    """One of `server.keys`. `sha256`: 64 hex digits, as `semcache key` prints them.

    Keys with the same `namespace` share a cache, and nobody else does; without one a key is a
    tenant of its own, under its `name`: give a new key the old name, and it has the old cache.
    One that is not `trusted` reads the namespace's answers, and has its own stored apart.
    `requests_per_minute`: None for no bound. `quota`: by the day and month. Raises ConfigError.
    """

    name: str
    sha256: str
    namespace: str | None = None
    requests_per_minute: int | None = None
    quota: Quota | None = None
    trusted: bool = True

    def __post_init__(self) -> None:
        if not self.name or self.namespace == "":
            raise ConfigError("A key in 'server.keys' needs a name, and a namespace is not empty.")
        if len(self.sha256) != 64 or not _DIGITS.issuperset(self.sha256):
            raise ConfigError(
                f"The key '{self.name}' needs the SHA-256 of itself, 64 hex digits in lower case: "
                "`semcache key` prints it."
            )
        if not self.trusted and self.namespace is None:
            raise ConfigError(
                f"The key '{self.name}': 'trusted: false' is said of a key with a namespace."
            )
        if self.requests_per_minute is not None and self.requests_per_minute < 1:
            raise ConfigError(f"The key '{self.name}': requests_per_minute must be at least 1.")


def new_key() -> tuple[str, str]:
    """A fresh key, and its SHA-256 in hex."""
    key = _PREFIX + secrets.token_urlsafe(32)
    return key, digest_of(key)


def digest_of(key: str) -> str:
    """64 hex digits."""
    return sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class Doorkeeper:
    """Lets keys in. Thread-safe; `clock` is monotonic, in seconds."""

    def __init__(
        self,
        keys: Sequence[ServerKey],
        secret: bytes,
        clock: Callable[[], float],
        ledger: Ledger | None = None,
        ring: KeyRing | None = None,
    ) -> None:
        """`secret` is the installation's: tenants cannot be told from names. Raises ConfigError.

        `ledger` has the accounts of keys with a quota, and is closed with this. `ring` is told the
        key of whoever is let in.
        """
        self._ring = ring
        self._ledger = ledger
        for what in ("name", "sha256"):
            values = [getattr(key, what) for key in keys]
            if len(set(values)) < len(values):
                raise ConfigError(f"Two keys in 'server.keys' have the same {what}.")
        self._entries = [
            (key.sha256, _caller(key, secret, ledger), _bucket(key, clock)) for key in keys
        ]
        shared = {key.namespace for key in keys if key.namespace is not None}
        self.tenants = {
            **{_digest(secret, "name", key.name): key.name for key in keys},
            **{_digest(secret, "namespace", name): name for name in shared},
        }
        """The names of keys and namespaces, by their tenants: for the operator's eyes."""

    def tenant_of(self, key: str) -> str:
        """The tenant of a bearer key, who has asked once more.

        Raises AuthenticationError, TooManyRequests.
        """
        return self._let_in(key).tenant

    def caller_of(self, key: str) -> Caller:
        """Who a bearer key is, whose question may cost something.

        Raises AuthenticationError, TooManyRequests, QuotaExceeded.
        """
        caller = self._let_in(key)
        account = caller.account
        if account is not None and account.counts_hits:
            account.require()
            account.spend("", {})
        return caller

    async def admit(self, key: str) -> None:
        """Nothing has to be asked of anybody. Raises AuthenticationError."""
        self._entry(key)

    def named(self, key: str) -> str:
        """The tenant of a bearer key, not counted. Raises AuthenticationError."""
        return self._entry(key)[0].tenant

    def close(self) -> None:
        """Write down what was spent."""
        if self._ledger is not None:
            self._ledger.close()

    def _let_in(self, key: str) -> Caller:
        caller, bucket = self._entry(key)
        if bucket is not None:
            bucket.take()
        return caller

    def _entry(self, key: str) -> tuple[Caller, _Bucket | None]:
        if not key:
            raise AuthenticationError(
                "This server needs a key: send it as 'Authorization: Bearer <key>'."
            )
        digest = digest_of(key)
        found = None
        for known, caller, bucket in self._entries:
            if hmac.compare_digest(known, digest):
                found = caller, bucket
        if found is None:
            raise AuthenticationError("The key is not known here: ask who runs this server.")
        if self._ring is not None:
            self._ring.learn(found[0].tenant, key)
        return found


class _Bucket:
    """A token bucket: a minute's requests at once, then as they come back."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._most = float(per_minute)
        self._left = self._most
        self._clock = clock
        self._at = clock()
        self._lock = threading.Lock()

    def take(self) -> None:
        with self._lock:
            now = self._clock()
            back = (now - self._at) * self._most / 60.0
            self._left, self._at = min(self._most, self._left + back), now
            if self._left < 1.0:
                wait_s = (1.0 - self._left) * 60.0 / self._most
                raise TooManyRequests(
                    f"This key may ask {self._most:.0f} times a minute: try again in "
                    f"{wait_s:.0f} s.",
                    retry_after_s=max(1, round(wait_s)),
                )
            self._left -= 1.0


def _bucket(key: ServerKey, clock: Callable[[], float]) -> _Bucket | None:
    bound = key.requests_per_minute
    return None if bound is None else _Bucket(bound, clock)


def _caller(key: ServerKey, secret: bytes, ledger: Ledger | None) -> Caller:
    own, paying = _digest(secret, "name", key.name), None
    if ledger is not None and key.quota is not None:
        paying = ledger.account(_digest(secret, "account", key.name), key.quota)
    if key.namespace is None:
        return Caller(own, paying)
    shared = _digest(secret, "namespace", key.namespace)
    return Caller(shared, paying) if key.trusted else Caller(own, paying, shared=shared)


def _digest(secret: bytes, kind: str, name: str) -> str:
    return hmac.new(secret, f"{kind}:{name}".encode(), "blake2b").hexdigest()[:32]
