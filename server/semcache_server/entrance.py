"""Who is not let in is told so before anything is read of a body, or asked of the cache."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from semcache.errors import RequestError
from semcache_server.admin import AdminDoor
from semcache_server.answering import bearer_key
from semcache_server.wire import ASGIScope

Before = Callable[[ASGIScope], Awaitable[None]]

_OPEN = frozenset({"/", "/healthz", "/readyz"})  # for everybody, whatever the key


def entrance(
    admit: Callable[[str], Awaitable[None]] | None, admin: AdminDoor, needing: Collection[str]
) -> Before | None:
    """What is awaited before a request is handled, where callers need keys.

    An admin's key is nobody's tenant: it is never given to `admit`, which may show a key to an
    upstream. `needing`: paths that are nothing without a key; others may be for an admin, or all.
    """
    if admit is None:
        return None

    async def before(scope: ASGIScope) -> None:
        path = scope["path"]
        if path in _OPEN:
            return
        try:
            key = bearer_key(scope)
            if (key or path in needing) and not admin.knows(key):
                await admit(key)
        except RequestError:
            if path in needing:  # the others refuse it in words of their own
                raise

    return before
