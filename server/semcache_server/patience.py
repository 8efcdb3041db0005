"""How long, and how much, the server listens to a client that has not asked yet.

uvicorn waits for a request's end for ever, and takes a head of any size. Here a connection whose
request is not whole in time is closed, with a 408 where nothing else is being answered on it, and a
head that is too large with a 431. One timer for each connection: a request sets no timer.
"""

from __future__ import annotations

import asyncio

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from semcache.errors import HeadTooLarge, RequestTooSlow, SemcacheError
from semcache_server.bounds import DEFAULT_BOUNDS

_LARGE = "Send fewer or shorter headers."
_SLOW = "The request did not arrive in time; send it again."


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, with the bounds that the application has as its `bounds`."""

    _bounds = DEFAULT_BOUNDS
    _since: float | None = None  # when what is being read began
    _head_bytes: int | None = None  # of a head that is being read
    _piece_bytes = 0
    _refused: SemcacheError | None = None
    _watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; the first request is waited for."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._bounds = getattr(self.app, "bounds", DEFAULT_BOUNDS)
        self._since = self.loop.time()
        self._watch = self.loop.call_later(self._bounds.read_timeout_s, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A piece of a request."""
        self._piece_bytes = len(data)
        super().data_received(data)
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > self._bounds.max_head_bytes and self._refused is None:
                self._refuse(HeadTooLarge(_LARGE))

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._since, self._head_bytes = self.loop.time(), 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole; it is measured only where it may be too large."""
        before = self._head_bytes or 0
        if self._piece_bytes + before > self._bounds.max_head_bytes and self._is_too_large():
            self._refused = HeadTooLarge(_LARGE)
            raise self._refused  # the parser stops, and `send_400_response` says so
        self._head_bytes = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is whole."""
        self._since = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What cannot be read is refused; a head that is too large in its own words."""
        if self._refused is None:
            super().send_400_response(msg)
        else:
            self._refuse(self._refused)

    def _is_too_large(self) -> bool:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        return size > self._bounds.max_head_bytes

    def _look(self) -> None:
        """Whether the client was too slow; otherwise look again when it could be."""
        if self.transport.is_closing():
            return
        patience_s, since = self._bounds.read_timeout_s, self._since
        now = self.loop.time()
        left_s = patience_s if since is None else since + patience_s - now
        if left_s > 0:
            self._watch = self.loop.call_later(left_s, self._look)
        else:
            self._refuse(
                RequestTooSlow(_SLOW), quietly=self._head_bytes is None and not self._in_body
            )

    @property
    def _in_body(self) -> bool:
        return self.cycle is not None and self.cycle.more_body

    def _refuse(self, error: SemcacheError, *, quietly: bool = False) -> None:
        """Say why, where no response is under way, and hang up."""
        self._refused = error
        cycle = self.cycle
        answering = cycle is not None and cycle.response_started and not cycle.response_complete
        if not (quietly or answering or self.pipeline):
            body = orjson.dumps(error.to_wire())
            head = (
                b"HTTP/1.1 %d Refused\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\nconnection: close\r\n\r\n" % (error.status, len(body))
            )
            self.transport.write(head + body)
            if cycle is not None:  # its application must not write a second response
                cycle.disconnected = True
                cycle.message_event.set()
        self.transport.close()
