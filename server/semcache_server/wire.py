"""Bodies in, responses out: the few ASGI messages that every route needs.

The hit path speaks ASGI itself: a framework's request and response objects cost more than the hit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

import orjson

from semcache.directives import NONE, Directives
from semcache.errors import (
    PayloadTooLarge,
    QuotaExceeded,
    RequestError,
    SemcacheError,
    UpstreamError,
)
from semcache.wishes import HEADERS, of_headers

ASGIScope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

JSON: tuple[bytes, bytes] = (b"content-type", b"application/json")
EVENT_STREAM: tuple[bytes, bytes] = (b"content-type", b"text/event-stream; charset=utf-8")
PRIVATE: tuple[bytes, bytes] = (b"cache-control", b"private, no-store")

UNEXPECTED = "The server met an unexpected error; its log says more."

_DRAINED = 8


class ClientGone(Exception):
    """The client closed the connection before its request or answer was complete."""


def header(scope: ASGIScope, name: bytes) -> str:
    """A request header's value, empty where it is missing. `name` in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return ""


_WISHES = frozenset(name.encode() for name in HEADERS)


def directives_of(scope: ASGIScope) -> Directives:
    """What a request's headers ask of the cache."""
    said = [
        (name.decode(), value.decode("latin-1"))
        for name, value in scope["headers"]
        if name in _WISHES
    ]
    return of_headers(said) if said else NONE


async def read_body(scope: ASGIScope, receive: Receive, limit_bytes: int) -> bytes:
    """The request's body. Raises PayloadTooLarge, ClientGone.

    A body that is too large is read on for a while and thrown away, so that a client which sends
    before it listens gets to see the refusal.
    """
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size <= limit_bytes:
            parts.append(part)
        elif size > _DRAINED * limit_bytes:
            break
        more = message.get("more_body", False)
    if size > limit_bytes:
        raise PayloadTooLarge(
            f"The request body is larger than {limit_bytes} bytes, the limit of this server."
        )
    return parts[0] if len(parts) == 1 else b"".join(parts)


def parse_json(body: bytes) -> Any:
    """Decode a JSON body (RFC 8259: UTF-8 only, no NaN). Raises RequestError."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"The request body is not valid JSON: {error}.") from None


def whole_headers(body: bytes, headers: Headers) -> Headers:
    """These headers, and those of every response whose body is known."""
    return [(b"content-length", b"%d" % len(body)), PRIVATE, *headers]


async def respond(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """A whole response."""
    start = {"type": "http.response.start", "status": status}
    await send({**start, "headers": whole_headers(body, headers)})
    await send({"type": "http.response.body", "body": body})


async def respond_json(
    send: Send, value: Any, status: int = 200, headers: Headers | None = None
) -> None:
    """A whole JSON response."""
    await respond(send, status, orjson.dumps(value), [JSON, *(headers or [])])


async def respond_error(send: Send, error: SemcacheError, headers: Headers | None = None) -> None:
    """An error as OpenAI's servers say it; an upstream's own body and headers as they came."""
    extra = list(headers or [])
    if isinstance(error, UpstreamError) and error.body is not None:
        relayed = _relayed(error.headers)
        await respond(send, error.status, error.body, [*relayed, *extra])
        return
    retry_after = getattr(error, "retry_after_s", None)
    if retry_after is not None:
        extra.append((b"retry-after", b"%d" % retry_after))
    if isinstance(error, QuotaExceeded):  # the official clients would try again at once
        extra.append((b"x-should-retry", b"false"))
    await respond_json(send, error.to_wire(), error.status, extra)


def _relayed(headers: Mapping[str, str]) -> Headers:
    hop = {"content-length", "transfer-encoding", "connection", "content-encoding"}
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in headers.items()
        if name.lower() not in hop
    ]
