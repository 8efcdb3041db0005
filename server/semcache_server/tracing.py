"""OpenTelemetry traces: a span for each request, with its stages below it.

    POST /v1/chat/completions      server span; child of the caller's `traceparent`
      exact                        key and exact lookup
      semantic                     encode, search, judge
      answer                       who was asked, upstream or engine; upstream gets `traceparent`
      store                        until the answer is durable

The official SDK does the work and reads the usual environment (OTEL_SERVICE_NAME,
OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_*, OTEL_BSP_*, OTEL_SDK_DISABLED).
It is imported where traces are on, and only there. No attribute holds text of a request.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from semcache.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

_SEMANTIC = ("encode", "search", "judge")
_NAMES: Mapping[str, str] = {"status_header": "semcache.status"}


def open_tracing() -> OtelTracer:
    """Spans to an OTLP collector, as the environment says. Raises ConfigError."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ConfigError(
            "'server.traces' needs OpenTelemetry: pip install 'semcache-proxy[otel]'."
        ) from None
    named = Resource.create()
    if str(named.attributes.get(SERVICE_NAME)).startswith("unknown_service"):
        named = named.merge(Resource({SERVICE_NAME: "semcache"}))
    provider = TracerProvider(resource=named)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OtelTracer(provider)


class OtelTracer:
    """Implements `watching.Tracer`. The provider is closed with it."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("semcache")

    def begin(
        self, method: str, route: str, headers: Mapping[str, str], started: float
    ) -> OtelSpan:
        """A server span."""
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        since = time.time_ns() - int(time.perf_counter() * 1e9)
        span = self._tracer.start_span(
            f"{method} {route}",
            context=TraceContextTextMapPropagator().extract(headers),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": route},
            start_time=since + int(started * 1e9),
        )
        return OtelSpan(self._tracer, span, started, since)

    def close(self) -> None:
        """Send what is left. Blocking."""
        self._provider.shutdown()


class OtelSpan:
    """Implements `watching.Span`. What comes after its end is still below it: an answer is stored
    when its caller has long got it."""

    def __init__(self, tracer: Tracer, span: Span, started: float, since: int) -> None:
        """`since`: nanoseconds from 1970 to the zero of `time.perf_counter`."""
        from opentelemetry.trace import set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = tracer
        self._span = span
        self._started = started
        self._since = since
        self._inside = set_span_in_context(span)
        self._semantic: Span | None = None
        self._semantic_ended = 0.0
        self._looked_up = False
        passed_on: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(passed_on, context=self._inside)
        self.passed_on: Mapping[str, str] = passed_on

    @property
    def trace_id(self) -> str:
        """32 hex digits."""
        return f"{self._span.get_span_context().trace_id:032x}"

    def stage(self, name: str, started: float, ended: float) -> None:
        """One child; those of the semantic layer have a parent of their own."""
        from opentelemetry.trace import set_span_in_context

        parent = self._inside
        if name in _SEMANTIC:
            if self._semantic is None:
                self._semantic = self._tracer.start_span(
                    "semantic", context=parent, start_time=self._ns(started)
                )
            self._semantic_ended = ended
            parent = set_span_in_context(self._semantic)
        else:
            self._end_semantic()
        self._looked_up = True
        child = self._tracer.start_span(name, context=parent, start_time=self._ns(started))
        child.end(end_time=self._ns(ended))

    def end(self, status: int, members: Mapping[str, str | float]) -> None:
        """The response is complete."""
        from opentelemetry.trace import Status, StatusCode

        self._end_semantic()
        ended = time.perf_counter()
        if not self._looked_up and "outcome" in members:  # a hit in memory has no other stage
            self.stage("exact", self._started, ended)
        self._span.set_attribute("http.response.status_code", status)
        for name, value in members.items():
            self._span.set_attribute(_NAMES.get(name, f"semcache.{name}"), value)
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end(end_time=self._ns(ended))

    def _end_semantic(self) -> None:
        if self._semantic is not None:
            self._semantic.end(end_time=self._ns(self._semantic_ended))
            self._semantic = None

    def _ns(self, at: float) -> int:
        return self._since + int(at * 1e9)
