"""Following requests: one log line for each, without its text, and spans where traces are on.

While neither is wanted, a request is handed on at the cost of two comparisons.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import Protocol

from semcache.trace import CURRENT
from semcache_server.listening import ASGIApp, AtOnce
from semcache_server.wire import ASGIScope, Headers, Message, Receive, Send, header

requests_log = logging.getLogger("semcache.requests")

_WATCH = "semcache.watch"  # in a scope: who follows this request
_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?\Z")
_STATUS = b"x-semcache-status"
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})  # asked every few seconds, by machines


class Span(Protocol):
    """A request's span. Times are seconds of `time.perf_counter`."""

    @property
    def trace_id(self) -> str: ...

    @property
    def passed_on(self) -> Mapping[str, str]: ...

    def stage(self, name: str, started: float, ended: float) -> None: ...

    def end(self, status: int, members: Mapping[str, str | float]) -> None: ...


class Tracer(Protocol):
    """Makes spans."""

    def begin(self, method: str, route: str, headers: Mapping[str, str], started: float) -> Span:
        """A span for a request that came with these `traceparent` and `tracestate`."""
        ...

    def close(self) -> None:
        """Send what is left. Blocking."""
        ...


class Watch:
    """One request. Implements `semcache.trace.Trace`."""

    def __init__(self, scope: ASGIScope, route: str, tracer: Tracer | None) -> None:
        self._started = perf_counter()
        self._path, method = route, str(scope["method"])
        headers = _trace_headers(scope)
        self._span = None
        if tracer is not None:
            self._span = tracer.begin(method, route, headers, self._started)
        self.passed_on = headers if self._span is None else self._span.passed_on
        self._members: dict[str, str | float] = {}
        self._times: dict[str, float] = {}
        self._first_byte: float | None = None
        self._status = 0

    def stage(self, name: str, started: float, ended: float) -> None:
        """A part of the work is done."""
        self._times[name] = self._times.get(name, 0.0) + ended - started
        if self._span is not None:
            self._span.stage(name, started, ended)

    def note(self, **members: str | float) -> None:
        """What was decided."""
        self._members.update(members)

    def sending(self, status: int, headers: Headers) -> None:
        """The response begins."""
        self._first_byte = perf_counter() - self._started
        self._status = status
        for name, value in headers:
            if name == _STATUS:
                self._members["status_header"] = value.decode("latin-1")

    def end(self) -> None:
        """The response is complete, or nobody waits for it any more."""
        if self._span is not None:
            self._span.end(self._status, self._members)
        if requests_log.isEnabledFor(logging.INFO):
            members = self._line()
            text = " ".join(f"{name}={_shown(value)}" for name, value in members.items())
            requests_log.info("%s", text, extra={"members": members})

    def _line(self) -> dict[str, str | float]:
        """The log line's members: names and numbers, no text of request or answer."""
        line: dict[str, str | float] = {"path": self._path, "http": self._status}
        line.update((k, v) for k, v in self._members.items() if k != "status_header")
        line["ms"] = _ms(perf_counter() - self._started)
        if self._first_byte is not None:
            line["first_byte_ms"] = _ms(self._first_byte)
        times = dict(self._times)  # an answer may be stored meanwhile, on another thread
        line.update((f"{name}_ms", _ms(seconds)) for name, seconds in times.items())
        parent = _PARENT.match(self.passed_on.get("traceparent", ""))
        trace_id = self._span.trace_id if self._span is not None else parent and parent.group(1)
        if trace_id:
            line["trace_id"] = trace_id
        return line


class Watching:
    """Follows requests where somebody wants to know: around the application, and what it does at
    once. `routes` are the paths that there are; any other is told as one."""

    def __init__(self, tracer: Tracer | None, routes: Iterable[str] = ()) -> None:
        self._tracer = tracer
        self._tracing = tracer is not None
        self._whole = frozenset(path for path in routes if "{" not in path) - _QUIET
        self._begun = [(path.partition("{")[0], path) for path in routes if "{" in path]

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application, followed."""

        async def called(scope: ASGIScope, receive: Receive, send: Send) -> None:
            if not self._wanted() or scope["path"] in _QUIET:
                await app(scope, receive, send)
                return
            watch = scope.get(_WATCH) or self._watch(scope)
            token = CURRENT.set(watch)
            try:
                await app(scope, receive, _told(watch, send))
            finally:
                CURRENT.reset(token)
                watch.end()

        return called

    def at_once(self, answer: AtOnce) -> AtOnce:
        """What may be answered at once, followed."""

        def answered(scope: ASGIScope, body: bytes) -> tuple[bytes, Headers] | None:
            if not self._wanted():
                return answer(scope, body)
            watch = scope[_WATCH] = self._watch(scope)
            token = CURRENT.set(watch)
            try:
                found = answer(scope, body)
            finally:
                CURRENT.reset(token)
            if found is not None:
                watch.sending(200, found[1])
                watch.end()
            return found

        return answered

    def _wanted(self) -> bool:
        return self._tracing or requests_log.isEnabledFor(logging.INFO)

    def _watch(self, scope: ASGIScope) -> Watch:
        return Watch(scope, self._route(str(scope["path"])), self._tracer)

    def _route(self, path: str) -> str:
        if path in self._whole:
            return path
        return next((route for begin, route in self._begun if path.startswith(begin)), "other")


def _told(watch: Watch, send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            watch.sending(message["status"], message.get("headers", []))
        await send(message)

    return sending


def _trace_headers(scope: ASGIScope) -> dict[str, str]:
    """A caller's trace, where it is one: what is no trace context is not passed on."""
    parent = header(scope, b"traceparent")
    if not _PARENT.match(parent):
        return {}
    state = header(scope, b"tracestate")
    found = {"traceparent": parent}
    if state and state.isascii() and state.isprintable() and len(state) <= 512:
        found["tracestate"] = state
    return found


def _ms(seconds: float) -> float:
    return round(1e3 * seconds, 3)


def _shown(value: str | float) -> str:
    text = str(value)
    return repr(text) if " " in text else text
