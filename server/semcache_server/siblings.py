"""Workers ask each other about what only one of them remembers: the ids of what it has answered.

Each listens on a socket in the data directory too, which only its owner can open, and serves there
what it serves on the port: who asks is authenticated again.
"""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import httpx2
from starlette.responses import Response

from semcache_server.wire import ASGIScope, header

log = logging.getLogger("semcache.server")

_ASKED = b"x-semcache-sibling"  # such a request is not passed on again
_WAIT_S = 10.0
_LONGEST = 100  # bytes of a socket's path: the system takes few more


class Siblings:
    """The other workers of one server, found by their sockets in `folder`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._own = folder / f"{name}.sock"

    def listen(self) -> list[socket.socket]:
        """The socket to serve on; none where its path would be too long."""
        if len(str(self._own).encode()) > _LONGEST:
            log.warning("the data directory's path is too long: feedback finds its own worker only")
            return []
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        one.bind(str(self._own))
        self._own.chmod(0o600)
        return [one]

    async def ask(self, scope: ASGIScope, body: bytes) -> Response | None:
        """What the first of them says who knows more than a 404; None where nobody does."""
        if header(scope, _ASKED):
            return None
        headers = {"authorization": header(scope, b"authorization"), _ASKED.decode(): "1"}
        for path in sorted(self._folder.glob("*.sock")):
            if path == self._own:
                continue
            try:
                told = await _post(path, str(scope["path"]), body, headers)
            except httpx2.TransportError:  # it is gone: its socket stays until the next start
                continue
            if told.status_code != 404:
                kind = told.headers.get("content-type")
                return Response(told.content, told.status_code, media_type=kind)
        return None

    def close(self) -> None:
        """Nobody is to ask here any more."""
        self._own.unlink(missing_ok=True)


async def _post(at: Path, path: str, body: bytes, headers: dict[str, str]) -> httpx2.Response:
    transport = httpx2.AsyncHTTPTransport(uds=str(at), verify=False)
    sent = {name: value for name, value in headers.items() if value}
    async with httpx2.AsyncClient(transport=transport, timeout=_WAIT_S) as http:
        return await http.post(f"http://worker{path}", content=body, headers=sent)
