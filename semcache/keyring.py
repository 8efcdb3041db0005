"""The keys that stored answers are sealed with, one for each tenant, in memory only.

They are derived by HKDF-SHA-256 (RFC 5869) with the installation's secret as its salt: from the
operator's own key, or from the API key with which a tenant's caller was let in. In the second case
whoever has the files, and the secret too, has nothing to derive them from: server keys are kept as
their SHA-256, callers' own keys not at all.
"""

from __future__ import annotations

import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable

from semcache.errors import AuthenticationError, ConfigError

MIN_CHARACTERS = 32
REMEMBERED = 4096
_INFO = b"semcache store 1:"


class KeyRing:
    """Finds a tenant's key. Thread-safe. Implementations differ in whose key it is made of."""

    def __init__(self, secret: bytes, most: int = REMEMBERED) -> None:
        self._secret = secret
        self._most = most
        self._keys: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, tenant: str) -> bytes | None:
        """32 bytes, or None where there is no key for this tenant now."""
        with self._lock:
            return self._keys.get(tenant)

    def learn(self, tenant: str, api_key: str) -> None:
        """A caller of this tenant was let in with this key.

        Raises AuthenticationError for a caller without one: nothing could be sealed for it.
        """
        if not api_key:
            raise AuthenticationError(
                "This server seals what it stores with its callers' keys: send one as "
                "'Authorization: Bearer <key>'."
            )
        self._remember(tenant, api_key.encode("utf-8", "surrogatepass"))

    def mark(self, text: str) -> str:
        """A text's digest under the installation's secret, for what is only ever compared."""
        message = b"semcache mark:" + text.encode("utf-8", "surrogatepass")
        return hmac.new(self._secret, message, "blake2b").hexdigest()[:64]

    def _remember(self, tenant: str, material: bytes) -> bytes:
        key = hkdf(material, self._secret, _INFO + tenant.encode())
        with self._lock:
            self._keys[tenant] = key
            self._keys.move_to_end(tenant)
            if len(self._keys) > self._most:
                self._keys.popitem(last=False)
        return key


class OperatorsRing(KeyRing):
    """Every tenant's key is made of the operator's; callers' keys are not looked at."""

    def __init__(self, secret: bytes, operators: str) -> None:
        """Raises ConfigError for a key that could be guessed."""
        super().__init__(secret)
        if len(operators) < MIN_CHARACTERS:
            raise ConfigError(
                f"The key of 'store.encryption' has fewer than {MIN_CHARACTERS} characters: make "
                "one with `openssl rand -base64 32`, and put it into the environment variable that "
                "'store.encryption_key_env' names."
            )
        self._operators = operators.encode("utf-8", "surrogatepass")

    def of(self, tenant: str) -> bytes | None:
        """32 bytes."""
        return super().of(tenant) or self._remember(tenant, self._operators)

    def learn(self, tenant: str, api_key: str) -> None:
        """Nothing: the operator's key serves all."""


def hkdf(material: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA-256 (RFC 5869), one block: 32 bytes."""
    extracted = hmac.digest(salt, material, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def learning(find: Callable[[str], str], ring: KeyRing | None) -> Callable[[str], str]:
    """`find` (a tenant by its key), with the ring told of each."""
    if ring is None:
        return find

    def found(api_key: str) -> str:
        tenant = find(api_key)
        ring.learn(tenant, api_key)
        return tenant

    return found
