"""Who may tend the cache: the admin's key at the door, and the routes behind it.

The key comes in the `Authorization` header only. A browser adds that header for no other site, and
no response says `Access-Control-Allow-…`: neither a foreign page nor one that rebinds its name to
this machine gains anything. A request that says itself it comes from another site is refused before
its key is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from starlette.routing import Route

from semcache.admin_key import is_known
from semcache.caller import Caller
from semcache.errors import AuthenticationError, Forbidden, RequestError
from semcache_server.admin_entries import AdminEntries
from semcache_server.admin_moving import AdminMoving
from semcache_server.admin_stats import AdminStats
from semcache_server.answering import bearer_key
from semcache_server.wire import ASGIScope, header

if TYPE_CHECKING:
    from semcache_server.app import Serving

T = TypeVar("T")
TENANT = "admin"
_OWN_SITE = frozenset({"", "none", "same-origin"})
_WRONG = (
    "This needs the admin key, as 'Authorization: Bearer <key>': `semcache dashboard` on the "
    "server's machine prints it."
)


@dataclass(frozen=True, slots=True)
class AdminDoor:
    """Lets the admin in. `digests`: SHA-256 of the keys that are let in, in hex."""

    digests: tuple[str, ...] = ()

    def check(self, scope: ASGIScope) -> None:
        """Raise AuthenticationError for no key or another one alike, Forbidden for another site."""
        if header(scope, b"sec-fetch-site") not in _OWN_SITE:
            raise Forbidden("A page of another site asks for this: that is refused.")
        try:
            key = bearer_key(scope)
        except RequestError:
            key = ""
        if not self.knows(key):
            raise AuthenticationError(_WRONG)

    def knows(self, key: str) -> bool:
        """Whether a key is an admin's."""
        return is_known(key, self.digests)


def with_admin(serving: Serving) -> Serving:
    """The same, for a server with keys: an admin's key is a tenant of its own, to ask with."""
    tenant_of, caller_of = serving.tenant_of, serving.caller_of

    def let_in(door: Callable[[str], T], key: str, admins: T) -> T:
        """Nothing but a call is added for whoever is let in."""
        try:
            return door(key)
        except AuthenticationError:
            if not serving.admin.knows(key):
                raise
        if serving.learn is not None:
            serving.learn(TENANT, key)
        return admins

    def tenant(key: str) -> str:
        return let_in(tenant_of, key, TENANT)

    def caller(key: str) -> Caller:
        if caller_of is None:
            return Caller(tenant(key))
        return let_in(caller_of, key, Caller(TENANT))

    return replace(serving, tenant_of=tenant, caller_of=caller)


def admin_routes(serving: Serving, door: AdminDoor) -> list[Route]:
    """What only the admin may do; each handler asks at the door first."""
    cache = serving.cache
    entries = AdminEntries(cache, door.check, serving.max_body_bytes)
    stats = AdminStats(cache, door.check, cache.recording.observed, serving.tenants)
    moving = AdminMoving(cache, door.check, serving.installation)
    return [*entries.routes(), *stats.routes(), *moving.routes()]
