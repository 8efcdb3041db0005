"""`GET /metrics`: what the cache counts, in Prometheus' text format.

No label holds a key, a prompt, or a name that a caller chose.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from starlette.requests import Request
from starlette.responses import Response

from semcache.cache import SemCache
from semcache.observed import Observed
from semcache.tally import COSINES, SECONDS, Spread
from semcache_server.wire import ASGIScope


class _Family(NamedTuple):
    """Counters whose names begin with `kind: `; what follows is the label."""

    kind: str
    name: str
    text: str
    label: str


_REQUESTS = ("hit", "miss", "bypass", "coalesced")
_SKIPPED = "skipped"
_FAMILIES = (
    _Family(_SKIPPED, "semcache_write_skipped", "Answers that were not stored.", "reason"),
    _Family("answer failed", "semcache_answer_failures", "Answerers that failed.", "status"),
    _Family("failed", "semcache_layer_failures", "Layers that broke: misses.", "layer"),
    _Family("feedback", "semcache_feedback", "Verdicts of people on answers.", "verdict"),
    _Family("certificate", "semcache_certificate_requests", "Requests by state.", "state"),
)
_TIMES = (
    _Family("lookup", "semcache_lookup_seconds", "From a request to what was decided.", "tier"),
    _Family("stage", "semcache_stage_seconds", "Parts of a lookup, and storing.", "stage"),
    _Family("answer", "semcache_answer_seconds", "Whole answers of who was asked.", "answerer"),
    _Family("first token", "semcache_first_token_seconds", "Until they began.", "answerer"),
)
_GUARD = "miss: guard="
_STATES = ("certified", "packaged", "fallback", "exact-only", "off")
_OF_CERTIFICATE = {
    "threshold": "Near-duplicates are served from this score.",
    "labels": "Labels that it stands on.",
    "wrong": "Of them, wrong answers.",
    "upper_bound": "The share of wrong answers that is not exceeded.",
}
_GAUGES = {
    "in flight": ("semcache_in_flight", "Requests whose answer is looked up or made now."),
    "tasks": ("semcache_tasks", "Tasks of the event loop."),
    "waiters": ("semcache_singleflight_waiters", "Of them, those that share another's answer."),
}


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
        ProcessCollector(registry=registry)
        return generate_latest(registry)


class _Collector:
    def __init__(self, cache: SemCache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[Metric]:
        seen = self._cache.recording.observed()
        yield from _counters(seen)
        yield from _spreads(seen)
        for name, value in seen.gauges.items():
            yield GaugeMetricFamily(*_GAUGES[name], value=value)
        yield from self._store()
        if self._cache.supervisor is not None:
            yield from _certificate(self._cache.supervisor.status())

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


def _counters(seen: Observed) -> Iterator[Metric]:
    counts = dict(seen.counts)
    requests = CounterMetricFamily(
        "semcache_requests", "Requests by outcome and reason.", labels=["outcome", "detail"]
    )
    guards = _Labelled("semcache_guard_rejections", "Near-duplicates refused.", "guard")
    for name in [name for name in counts if _kind(name) in _REQUESTS]:
        requests.add_metric([_kind(name), _rest(name)], count := counts.pop(name))
        if name.startswith(_GUARD):
            guards.add(name.removeprefix(_GUARD), count)
    yield requests
    yield guards.metric
    tokens = _Labelled("semcache_saved_tokens", "Tokens of answers from the cache.", "kind")
    for name in [name for name in counts if _kind(name) == "saved"]:
        tokens.add(_rest(name), counts.pop(name))
    yield tokens.metric
    for what, text in (("usd", "US dollars, by the price list"), ("seconds", "Seconds of waiting")):
        total = seen.sums.get(f"saved: {what}", 0.0)
        yield CounterMetricFamily(f"semcache_saved_{what}", f"{text}, saved.", value=total)
    yield CounterMetricFamily("semcache_stored", "Answers stored.", value=counts.pop("stored", 0))
    for family in _FAMILIES:
        labelled = _Labelled(family.name, family.text, family.label)
        for name in [name for name in counts if _kind(name) == family.kind]:
            labelled.add(_rest(name), counts.pop(name))
        yield labelled.metric
    events = CounterMetricFamily(
        "semcache_events", "What else happened.", labels=["event", "detail"]
    )
    for name, count in counts.items():
        events.add_metric([_kind(name), _rest(name)], count)
    yield events


class _Labelled:
    """A counter with one label, whose equal values add up."""

    def __init__(self, name: str, text: str, label: str) -> None:
        self._name, self._text, self._label = name, text, label
        self._counts: dict[str, int] = {}

    def add(self, value: str, count: int) -> None:
        self._counts[value] = self._counts.get(value, 0) + count

    @property
    def metric(self) -> Metric:
        metric = CounterMetricFamily(self._name, self._text, labels=[self._label])
        for value, count in self._counts.items():
            metric.add_metric([value], count)
        return metric


def _spreads(seen: Observed) -> Iterator[Metric]:
    similarity = HistogramMetricFamily(
        "semcache_similarity",
        "Cosine of near-duplicates served, and of the nearest entry of misses.",
        labels=["outcome"],
    )
    for name, spread in seen.cosines.items():
        similarity.add_metric([name], _buckets(COSINES, spread), spread.total)
    yield similarity
    for family in _TIMES:
        metric = HistogramMetricFamily(family.name, family.text, labels=[family.label])
        for name, spread in seen.times.items():
            if _kind(name) == family.kind:
                metric.add_metric([_rest(name)], _buckets(SECONDS, spread), spread.total)
        yield metric


def _buckets(bounds: Iterable[float], spread: Spread) -> list[tuple[str, float]]:
    up_to = [*map(str, bounds), "+Inf"]
    return list(zip(up_to, map(float, accumulate(spread.counts)), strict=True))


def _certificate(status: Mapping[str, Any]) -> Iterator[Metric]:
    state = GaugeMetricFamily("semcache_certificate", "1 for the state it is in.", labels=["state"])
    for name in _STATES:
        state.add_metric([name], float(status.get("state") == name))
    yield state
    for name, text in _OF_CERTIFICATE.items():
        value = status.get(name)
        if isinstance(value, int | float):
            yield GaugeMetricFamily(f"semcache_certificate_{name}", text, value=float(value))


def _kind(name: str) -> str:
    return name.partition(": ")[0]


def _rest(name: str) -> str:
    return name.partition(": ")[2]
