"""How the application is served: uvicorn, with two habits of its own for answers of a millisecond.

A system call costs more than a hit, so head and body of a response leave in one write. A framework
does too, so the hit paths are handed over before it sees the request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast

from uvicorn import Config as UvicornConfig
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from semcache_server.wire import ASGIScope, Receive, Send

log = logging.getLogger("semcache.server")

ASGIApp: TypeAlias = Callable[[ASGIScope, Receive, Send], Awaitable[None]]


class Front:
    """The ASGI application: POSTs to `direct` go straight to their handlers."""

    def __init__(self, direct: Mapping[str, ASGIApp], rest: ASGIApp) -> None:
        self._direct = direct
        self.rest = rest

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.rest(scope, receive, send)
            return
        app = self._direct.get(scope["path"]) if scope["method"] == "POST" else None
        try:
            await (app or self.rest)(scope, receive, send)
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
        if held:
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class GatheringProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 over a GatheringTransport."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        gathering = GatheringTransport(cast(asyncio.Transport, transport), self.loop)
        super().connection_made(cast(asyncio.Transport, gathering))


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
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=shutdown_grace_s,
    )
