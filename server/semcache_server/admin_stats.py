"""`/v1/cache/stats` and `/v1/cache/decisions`: what the cache does, for who runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from semcache.cache import SemCache
from semcache.observed import Observed
from semcache.recent import MOST
from semcache.tally import COSINES, SECONDS, Spread
from semcache.timeline import MINUTES, OUTCOMES, Minute
from semcache_server.admin_reading import read_count
from semcache_server.admin_told import Told
from semcache_server.wire import ASGIScope

_HOLDINGS = 200
_SERVED = ("hit", "semantic", "stale", "coalesced")
_QUANTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class AdminStats:
    """The handlers. `check` raises for anybody but the admin, `observe` says what was counted.

    `tenants`: names of those that have one, by digest.
    """

    cache: SemCache
    check: Callable[[ASGIScope], None]
    observe: Callable[[], Observed]
    tenants: Mapping[str, str]

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/v1/cache/stats", self.stats, methods=["GET"]),
            Route("/v1/cache/decisions", self.decisions, methods=["GET"]),
        ]

    async def stats(self, request: Request) -> Response:
        """`GET /v1/cache/stats?minutes=`: the timeline's last ones; a day where it is not said."""
        self.check(request.scope)
        minutes = read_count(request.query_params, "minutes", MINUTES)
        return Told(await asyncio.to_thread(self._told, minutes))

    async def decisions(self, request: Request) -> Response:
        """`GET /v1/cache/decisions?limit=`: newest first."""
        self.check(request.scope)
        most = read_count(request.query_params, "limit", MOST)
        recent = self.observe().recent[:most]
        data = [{**seen._asdict(), "lookup_ms": round(seen.lookup_ms, 4)} for seen in recent]
        return Told({"object": "list", "data": data})

    def _told(self, minutes: int) -> dict[str, Any]:
        """Blocking. Raises StoreError."""
        layers, seen = self.cache.layers, self.observe()
        settings, supervisor = layers.settings, self.cache.supervisor
        first = int(layers.clock()) // 60 - minutes
        return {
            "object": "cache.stats",
            "now": layers.clock(),
            "started_at": self.cache.recording.started_at,
            "totals": totals(seen),
            "counters": dict(seen.counts),
            "store": asdict(layers.store.stats()),
            "memory": {"entries": len(layers.memory)},
            "tenants": dict(self.tenants),
            "holdings": [asdict(one) for one in layers.store.holdings(_HOLDINGS)],
            "timeline": [told_minute(one) for one in seen.minutes if one.at > first],
            "latencies": {name: told_times(spread) for name, spread in seen.times.items()},
            "similarity": {
                "bounds": COSINES,
                "served": _counts(seen.cosines, "hit"),
                "nearest_of_misses": _counts(seen.cosines, "miss"),
                "threshold": settings.threshold,
                "semantic": settings.semantic and layers.embedder is not None,
                "verifier": layers.verifier is not None,
            },
            "certificate": None if supervisor is None else dict(supervisor.status()),
            "priced": bool(settings.prices),
            "answerers": [
                {"name": one.name, "models": list(one.models())} for one in self.cache.answerers
            ],
        }


def totals(seen: Observed) -> dict[str, Any]:
    """Since the start: requests by what became of them, and what that saved."""
    counts = seen.counts
    semantic, exact = counts.get("hit: semantic", 0), counts.get("hit: exact", 0)
    stale = counts.get("stale-if-error", 0)
    missed = sum(count for name, count in counts.items() if name.startswith("miss: ")) - stale
    by = {
        "hit": exact,
        "semantic": semantic,
        "stale": stale,
        "coalesced": counts.get("coalesced", 0),
        "miss": max(0, missed),
        "bypass": sum(count for name, count in counts.items() if name.startswith("bypass: ")),
    }
    served = sum(by[name] for name in _SERVED)
    asked = served + by["miss"]
    return {
        **by,
        "requests": sum(by.values()),
        "hit_rate": served / asked if asked else None,
        "prompt_tokens": counts.get("saved: prompt_tokens", 0),
        "completion_tokens": counts.get("saved: completion_tokens", 0),
        "usd": seen.sums.get("saved: usd", 0.0),
        "seconds": seen.sums.get("saved: seconds", 0.0),
    }


def told_minute(minute: Minute) -> dict[str, Any]:
    """For JSON; `at` in Unix seconds."""
    return {
        "at": 60 * minute.at,
        **{outcome: minute.count(outcome) for outcome in OUTCOMES},
        "prompt_tokens": minute.prompt_tokens,
        "completion_tokens": minute.completion_tokens,
        "usd": minute.usd,
        "seconds": minute.seconds,
    }


def told_times(spread: Spread) -> dict[str, Any]:
    """A spread of times for JSON, with quantiles as exact as its buckets are."""
    count = sum(spread.counts)
    return {
        "bounds_s": SECONDS,
        "counts": spread.counts,
        "count": count,
        "mean_ms": round(1e3 * spread.total / count, 4) if count else None,
        **{
            f"p{round(100 * share)}_ms": round(1e3 * quantile(spread.counts, SECONDS, share), 4)
            for share in _QUANTILES
            if count
        },
    }


def quantile(counts: Sequence[int], bounds: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie, even inside their bucket.

    What lies above the last bound counts as the last bound.
    """
    wanted = share * sum(counts)
    below, low = 0, 0.0
    for count, high in zip(counts, bounds, strict=False):
        if count and below + count >= wanted:
            return low + (high - low) * (wanted - below) / count
        below, low = below + count, high
    return bounds[-1]


def _counts(cosines: Mapping[str, Spread], name: str) -> Sequence[int]:
    spread = cosines.get(name)
    return [0] * (len(COSINES) + 1) if spread is None else spread.counts
