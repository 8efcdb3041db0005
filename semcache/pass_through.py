"""Callers with keys of their own for the upstream: the upstream says whether a key is good.

Nobody gets anything before it has, from the cache neither. Its word is kept for a while, a refusal
too. What is kept is the key's HMAC under the installation's secret, never the key; a key is looked
up by that, so the time that takes says nothing of other keys. Where the upstream cannot say (it is
down), a key that was good stays good for a grace, and an unknown one is told to come back.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from semcache.caller import Caller
from semcache.errors import AnswerError, AuthenticationError, ConfigError, UpstreamError
from semcache.keyring import KeyRing

log = logging.getLogger("semcache")

MAX_KEY = 512
OWN_PREFIX = "sk-semcache-"
_AT_ONCE = 16
_ASKED_AGAIN_S = 10.0

Check: TypeAlias = Callable[[str], Awaitable[bool]]
"""Whether the upstream lets a key in. Raises AnswerError where it cannot say."""


@dataclass(frozen=True, slots=True)
class PassThroughSettings:
    """`server.pass_through`. Raises ConfigError.

    `path`: what the upstream is asked for with a key, below its base URL; it must need a key there.
    `ttl_s`, `refused_ttl_s`: how long its word is kept. `grace_s`: how much longer a good key stays
    good while the upstream is down. `most`: so many good keys are remembered, and so many others.
    `shared`: answers that enough of them were given alike are for all of them.
    """

    path: str = "models"
    ttl_s: float = 300.0
    refused_ttl_s: float = 60.0
    grace_s: float = 3600.0
    most: int = 10_000
    shared: bool = False

    def __post_init__(self) -> None:
        if min(self.ttl_s, self.refused_ttl_s) <= 0 or self.grace_s < 0 or self.most < 1:
            raise ConfigError(
                "'server.pass_through': ttl_s and refused_ttl_s must be more than 0, most at least "
                "1, and grace_s not negative."
            )
        if not self.path or self.path.startswith("/") or set(self.path) & set(":?#\\ "):
            raise ConfigError(
                "'server.pass_through.path' is a path below upstream.base_url, like 'models'."
            )


@dataclass(frozen=True, slots=True)
class _Word:
    """What the upstream said of a key, when, and until when it is not asked again."""

    tenant: str
    said_at: float
    until: float


class PassThrough:
    """Lets in whom the upstream lets in. Thread-safe but for `admit`; `clock` is monotonic."""

    def __init__(
        self,
        check: Check,
        secret: bytes,
        clock: Callable[[], float],
        settings: PassThroughSettings = PassThroughSettings(),
        ring: KeyRing | None = None,
    ) -> None:
        """`ring` is told the key of whoever is let in."""
        self._ring = ring
        self._check = check
        self._secret = secret
        self._clock = clock
        self._settings = settings
        self._shared = self._digest("shared", "").hex()[:32] if settings.shared else ""
        self._lock = threading.Lock()
        # Apart, so that no flood of wrong keys drives out good ones.
        self._good: OrderedDict[bytes, _Word] = OrderedDict()
        self._refused: OrderedDict[bytes, _Word] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[None]] = {}

    async def admit(self, key: str) -> None:
        """Ask the upstream about a key, unless its word is known.

        Raises AuthenticationError for a key that cannot be one, UpstreamError (503) where the
        upstream cannot say.
        """
        index = self._index(key)
        if self._fresh(index):
            return
        task = self._asking.get(index)
        if task is None:
            if len(self._asking) >= _AT_ONCE:
                raise _unknown("is busy with other keys")
            task = asyncio.ensure_future(self._ask(key, index))
            self._asking[index] = task
            task.add_done_callback(lambda done: self._asked(index, done))
        await asyncio.shield(task)

    def caller_of(self, key: str) -> Caller:
        """Who a bearer key is. Raises AuthenticationError for who was not admitted."""
        index = self._index(key)
        with self._lock:
            word = self._good.get(index)
            if word is not None:
                self._good.move_to_end(index)
        if word is None or self._clock() >= word.until:
            raise AuthenticationError("The upstream does not know this key.")
        if self._ring is not None:
            self._ring.learn(word.tenant, key)
        return Caller(word.tenant, key=key, shared=self._shared)

    def tenant_of(self, key: str) -> str:
        """The tenant of a bearer key. Raises AuthenticationError for who was not admitted."""
        return self.caller_of(key).tenant

    def named(self, key: str) -> str:
        """The tenant that a key would have, whether it is good or not."""
        return self._digest("tenant", key).hex()[:32]

    def close(self) -> None:
        """Nothing is held."""

    async def _ask(self, key: str, index: bytes) -> None:
        settings = self._settings
        try:
            good = await self._check(key)
        except AnswerError as error:
            log.warning("the upstream cannot say whether a key is good: status %d", error.status)
            if not self._prolong(index):
                raise _unknown("cannot say now whether this key is good") from error
            return
        lasting = settings.ttl_s if good else settings.refused_ttl_s
        now = self._clock()
        word = _Word(self.named(key), now, now + lasting)
        with self._lock:
            for words in (self._good, self._refused):
                words.pop(index, None)
            words = self._good if good else self._refused
            words[index] = word
            if len(words) > settings.most:
                words.popitem(last=False)

    def _asked(self, index: bytes, task: asyncio.Task[None]) -> None:
        self._asking.pop(index, None)
        if not task.cancelled():
            task.exception()  # whoever waited has seen it; nobody may have waited

    def _fresh(self, index: bytes) -> bool:
        now = self._clock()
        with self._lock:
            words = [w for known in (self._good, self._refused) if (w := known.get(index))]
        return any(now < word.until for word in words)

    def _prolong(self, index: bytes) -> bool:
        """Let a good key stay good for a short while, within the grace after its time."""
        now, most_s = self._clock(), self._settings.ttl_s + self._settings.grace_s
        with self._lock:
            word = self._good.get(index)
            if word is None or now >= word.said_at + most_s:
                return False
            until = min(now + _ASKED_AGAIN_S, word.said_at + most_s)
            self._good[index] = replace(word, until=until)
        return True

    def _index(self, key: str) -> bytes:
        """Where the word on a key is kept. Raises AuthenticationError for what can be no key."""
        if not key:
            raise AuthenticationError(
                "This server needs your own key for its upstream: 'Authorization: Bearer <key>'."
            )
        if len(key) > MAX_KEY or not key.isascii() or not key.isprintable() or " " in key:
            raise AuthenticationError("A key is one word of printable ASCII.")
        if key.startswith(OWN_PREFIX):  # made here for something else: it is nobody else's business
            raise AuthenticationError("This is no key for the upstream.")
        return self._digest("index", key)

    def _digest(self, kind: str, key: str) -> bytes:
        message = f"pass-through {kind}:{key}".encode("utf-8", "surrogatepass")
        return hmac.new(self._secret, message, "blake2b").digest()[:32]


def _unknown(says: str) -> UpstreamError:
    return UpstreamError(f"The upstream {says}: try again.", status=503)
