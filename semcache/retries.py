"""Who asks again right after a near-duplicate's answer did not want that answer.

Applications repeat questions all the time, and many people ask the same one at once: neither is a
retry. Only the same asker with the same request counts, and only after a semantic hit: an exact
hit goes on repeating. Who asks is known where the request names a user (`safety_identifier` or
`user`); an installation whose tenants are single people may count on the tenant alone.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Literal, TypeAlias

from semcache.chat import ChatRequest
from semcache.keys import RequestKey, identity

Whose: TypeAlias = Literal["user", "tenant", "off"]
_MOST = 10_000


class Retries:
    """The semantic hits of the last seconds, by request and asker. Thread-safe."""

    def __init__(self, whose: Whose = "user", window_s: float = 30.0, most: int = _MOST) -> None:
        self._whose = whose if window_s > 0 else "off"
        self._window_s = window_s
        self._most = most
        self._served: OrderedDict[tuple[str, ...], float] = OrderedDict()
        self._lock = threading.Lock()

    def served(self, request: ChatRequest, key: RequestKey, now: float) -> None:
        """A semantic hit answered this request at `now` (Unix seconds)."""
        asker = self._asker(request, key)
        if asker is None:
            return
        with self._lock:
            self._served[asker] = now
            self._served.move_to_end(asker)
            if len(self._served) > self._most:
                self._served.popitem(last=False)

    def is_retry(self, request: ChatRequest, key: RequestKey, now: float) -> bool:
        """Whether a semantic hit answered the same asker's same request within the window."""
        asker = self._asker(request, key)
        if asker is None:
            return False
        before = self._served.get(asker)
        return before is not None and 0 <= now - before <= self._window_s

    def _asker(self, request: ChatRequest, key: RequestKey) -> tuple[str, ...] | None:
        """The exact key holds the tenant. None where it is not known who asks."""
        if self._whose == "off":
            return None
        named = identity(request)
        return (key.exact, *named) if named or self._whose == "tenant" else None
