"""How the application is served: uvicorn, with three habits for answers of a millisecond.

A system call costs more than a hit, so head and body of a response leave in one write. A framework
does too, so the hit paths are handed over before it sees the request. So do a task and a turn of
the event loop, so what can be answered at once is answered where the request was read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast

from uvicorn import Config as UvicornConfig
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from semcache.errors import SemcacheError
from semcache_server.bounds import DEFAULT_BOUNDS, Bounds
from semcache_server.patience import PatientProtocol
from semcache_server.wire import ASGIScope, Headers, Receive, Send, header, respond_error

log = logging.getLogger("semcache.server")
_OK = b"HTTP/1.1 200 OK"

ASGIApp: TypeAlias = Callable[[ASGIScope, Receive, Send], Awaitable[None]]
AtOnce: TypeAlias = Callable[[ASGIScope, bytes], tuple[bytes, Headers] | None]
"""Body and headers of a response with status 200 to a scope and a body; None for the ASGI way."""

_SMALL = 32_768  # bytes of a body that is waited for whole; uvicorn stops reading beyond 65,536


class Front:
    """The ASGI application: POSTs to `direct` go straight to their handlers.

    `at_once`, by path, may answer a POST before any of them is called; `before` is awaited before
    any other is, and may refuse a request. `around` goes around all of it.
    """

    def __init__(
        self,
        direct: Mapping[str, ASGIApp],
        rest: ASGIApp,
        at_once: Mapping[str, AtOnce] | None = None,
        before: Callable[[ASGIScope], Awaitable[None]] | None = None,
        bounds: Bounds = DEFAULT_BOUNDS,
        around: Callable[[ASGIApp], ASGIApp] | None = None,
    ) -> None:
        self._direct = direct
        self.rest = rest
        self.at_once = at_once or {}
        self._before = before
        self.bounds = bounds
        self._served: ASGIApp = self._serve if around is None else around(self._serve)

    def become(self, other: Front) -> None:
        """Serve as another does, from the next request on. On the event loop."""
        vars(self).update(vars(other))

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.rest(scope, receive, send)
        else:
            await self._served(scope, receive, send)

    async def _serve(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        app = self._direct.get(scope["path"]) if scope["method"] == "POST" else None
        try:
            if self._before is not None:
                await self._before(scope)
            await (app or self.rest)(scope, receive, send)
        except SemcacheError as error:  # of `before`: the others answer their own
            await respond_error(send, error)
        except Exception:  # it has been answered: uvicorn would break the connection off as well
            log.exception("a request met an unexpected error")


class GatheringTransport:
    """An asyncio transport whose writes of one turn of the event loop leave together."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Keep until the event loop's next turn."""
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)

    def close(self) -> None:
        """Write what is kept, then close."""
        self._flush()
        self._transport.close()

    def get_write_buffer_size(self) -> int:
        """Bytes that wait, here and in the transport."""
        return self._transport.get_write_buffer_size() + sum(map(len, self._held))

    def _flush(self) -> None:
        held, self._held = self._held, []
        if held and not self._transport.is_closing():  # else the client has left meanwhile
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class GatheringProtocol(PatientProtocol):
    """uvicorn's HTTP/1.1 over a GatheringTransport; small POSTs may be answered at once."""

    _held: tuple[RequestResponseCycle, Any] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        gathering = GatheringTransport(cast(asyncio.Transport, transport), self.loop)
        super().connection_made(cast(asyncio.Transport, gathering))

    def on_message_complete(self) -> None:
        """The body is whole."""
        super().on_message_complete()
        held, self._held = self._held, None
        if held is not None and not self._answered(held[0]):
            super()._start_asgi_task(*held)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """uvicorn has read the head, or comes to a request that was sent ahead."""
        if app is self.app and cycle.more_body and _waits_for_its_body(app, cycle):
            self._held = cycle, app
        else:
            super()._start_asgi_task(cycle, app)

    def _answered(self, cycle: RequestResponseCycle) -> bool:
        scope = cast(ASGIScope, cycle.scope)
        found = self.app.at_once[scope["path"]](scope, bytes(cycle.body))
        if found is None or cycle.disconnected:
            return False
        body, headers = found
        lines = [b"%b: %b" % one for one in (*cycle.default_headers, *headers)]
        if not cycle.keep_alive:
            lines.append(b"connection: close")
        self.transport.write(b"\r\n".join((_OK, *lines, b"", body)))
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True


def _waits_for_its_body(app: Any, cycle: RequestResponseCycle) -> bool:
    """Whether a request may be answered at once, when its body is there: a small POST."""
    scope = cast(ASGIScope, cycle.scope)
    at_once = app.at_once if isinstance(app, Front) else {}
    if scope["method"] != "POST" or scope["path"] not in at_once or cycle.waiting_for_100_continue:
        return False
    length = header(scope, b"content-length")
    return length.isdigit() and int(length) <= _SMALL


def uvicorn_config(
    app: ASGIApp, *, host: str, port: int, log_level: str, shutdown_grace_s: int
) -> UvicornConfig:
    """How uvicorn serves the application. `shutdown_grace_s`: for what has been accepted."""
    return UvicornConfig(
        cast(Any, app),
        host=host,
        port=port,
        http=GatheringProtocol,
        ws="none",
        log_level=log_level,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=shutdown_grace_s,
    )
