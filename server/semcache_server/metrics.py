"""`GET /metrics`: what the cache counts, in Prometheus' text format.

No label holds a key, a prompt, or a name that a caller chose.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from starlette.requests import Request
from starlette.responses import Response

from semcache.cache import SemCache
from semcache.tally import COSINES
from semcache_server.wire import ASGIScope

_REQUESTS = ("hit", "miss", "bypass")


@dataclass(frozen=True, slots=True)
class Metrics:
    """The handler. `authenticate` raises for a caller without a key, where keys are needed."""

    cache: SemCache
    authenticate: Callable[[ASGIScope], object]

    async def __call__(self, request: Request) -> Response:
        self.authenticate(request.scope)
        body = await asyncio.to_thread(self.text)
        return Response(body, media_type=CONTENT_TYPE_LATEST)

    def text(self) -> bytes:
        """All metrics as they are now. Blocking. Raises StoreError."""
        registry = CollectorRegistry()
        registry.register(_Collector(self.cache))
        return generate_latest(registry)


class _Collector:
    def __init__(self, cache: SemCache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[Metric]:
        counts = self._cache.tally.counts()
        yield _counter("semcache_requests", "Requests by outcome and reason.", "outcome", {
            name: count for name, count in counts.items() if _kind(name) in _REQUESTS
        })  # fmt: skip
        yield _counter("semcache_saved_tokens", "Tokens of answers from the cache.", "kind", {
            name: count for name, count in counts.items() if _kind(name) == "saved"
        })  # fmt: skip
        yield _counter("semcache_events", "What else happened.", "event", {
            name: count
            for name, count in counts.items()
            if _kind(name) not in (*_REQUESTS, "saved")
        })  # fmt: skip
        yield self._similarity()
        yield from self._store()

    def _similarity(self) -> Metric:
        metric = HistogramMetricFamily(
            "semcache_similarity",
            "Cosine of near-duplicates served, and of the nearest entry of misses.",
            labels=["outcome"],
        )
        for name, spread in self._cache.tally.spreads().items():
            up_to = [*map(str, COSINES), "+Inf"]
            buckets = list(zip(up_to, map(float, accumulate(spread.counts)), strict=True))
            metric.add_metric([name], buckets, spread.total)
        return metric

    def _store(self) -> Iterator[Metric]:
        stats = self._cache.layers.store.stats()
        sizes: dict[str, tuple[str, Any]] = {
            "semcache_entries": ("Entries in the store.", stats.entries),
            "semcache_entries_expired": ("Entries whose time is over.", stats.expired),
            "semcache_vectors": ("Questions that can be found in other words.", stats.vectors),
            "semcache_bytes": ("Answers, questions, vectors and sketches.", stats.bytes),
        }
        for name, (text, value) in sizes.items():
            yield GaugeMetricFamily(name, text, value=value)


def _kind(name: str) -> str:
    return name.partition(": ")[0]


def _counter(name: str, text: str, label: str, counts: dict[str, int]) -> Metric:
    metric = CounterMetricFamily(name, text, labels=[label, "detail"])
    for counted, count in counts.items():
        kind, _, detail = counted.partition(": ")
        metric.add_metric([kind, detail], count)
    return metric
