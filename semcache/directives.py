"""What a request asks of the cache; by its `Cache-Control` header (RFC 9111, section 5.2.1) first.

A header that cannot be read is ignored, member by member, as the RFC demands of caches.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

_MAX_SECONDS = 2**31
Pace: TypeAlias = Literal["instant", "recorded"] | float
"""How fast a stored answer is streamed; a number is tokens a second."""


@dataclass(frozen=True, slots=True)
class Directives:
    """The caller's wishes; times in seconds, None where nothing was said.

    `no_cache` skips the lookup and still stores; `no_store` looks up and stores nothing; both
    together leave the cache out of it. `max_stale_s` is infinite for a bare `max-stale`;
    `stale_if_error_s` (RFC 5861, section 4) is how stale an answer may be where none can be made,
    `stale_while_revalidate_s` (section 3, of responses) while another is made.

    Beyond the RFC (see `wishes`): `ttl_s` bounds how long the answer is kept, `namespace` is a part
    of the tenant's cache of its own, `exact_only` wants no near-duplicates, and one has to reach
    `threshold`, a cosine. They can ask for less than the operator allows, never for more. `replay`
    is how fast a stored answer is streamed. `variants`: of how many answers one is served to a
    request that wants another each time.
    """

    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    max_age_s: float | None = None
    min_fresh_s: float | None = None
    max_stale_s: float | None = None
    stale_if_error_s: float | None = None
    stale_while_revalidate_s: float | None = None
    ttl_s: float | None = None
    namespace: str = ""
    exact_only: bool = False
    threshold: float | None = None
    replay: Pace | None = None
    variants: int | None = None


NONE = Directives()
ONLY_IF_CACHED = Directives(only_if_cached=True)


@lru_cache(maxsize=256)
def parse_cache_control(header: str) -> Directives:
    """Read a `Cache-Control` request header of at most a few hundred characters.

    `s-maxage`, which the RFC has for responses only, is LiteLLM's word for the answer's life.
    """
    members: dict[str, str] = {}
    for member in header[:1024].split(","):
        name, _, value = member.partition("=")
        members[name.strip().lower()] = value.strip().strip('"')
    stale = members.get("max-stale")
    return Directives(
        no_cache="no-cache" in members,
        no_store="no-store" in members,
        only_if_cached="only-if-cached" in members,
        max_age_s=_seconds(members.get("max-age")),
        min_fresh_s=_seconds(members.get("min-fresh")),
        max_stale_s=float("inf") if stale == "" else _seconds(stale),
        stale_if_error_s=_seconds(members.get("stale-if-error")),
        stale_while_revalidate_s=_seconds(members.get("stale-while-revalidate")),
        ttl_s=_seconds(members.get("s-maxage")),
    )


def _seconds(value: str | None) -> float | None:
    if value is None or not (value.isascii() and value.isdigit()):
        return None
    return float(min(int(value[:12]), _MAX_SECONDS))
