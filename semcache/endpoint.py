"""One HTTP server that the operator named: requests out, open responses or UpstreamError back.

`httpx2` is the HTTP client under the official `openai` package. That package itself is not used
here: its response models and retries would stand between the caller and the upstream's own words.

Rules of this file:
1. An error's status, body and headers (those that a client can use) pass as they came.
2. Requests of different tenants share connections and nothing else: no cookies.
3. The operator's key reaches the server only: no message, log line, repr or relayed body holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Literal

import httpx2
import orjson

from semcache.errors import ConfigError, RequestError, UpstreamError
from semcache.per_loop import AsyncClients, Given, PerLoop
from semcache.trace import CURRENT

MAX_ANSWER_BYTES = 64 * 2**20
MAX_ERROR_BYTES = 2**20
# uvicorn and Node close an idle connection after 5 s; leave before they do.
_KEEP_ALIVE_S = 4.0
_RELAYED_HEADERS = frozenset(
    {"content-type", "retry-after", "retry-after-ms", "x-request-id", "x-should-retry"}
)


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """Where an upstream is, and what it is for; written by the operator, never by a caller.

    `base_url` ends before `/chat/completions`. `models` are glob patterns on the model asked for.
    `timeout_s` bounds each silence, not the whole answer. `headers` go with every request and
    override ours. `key_from_caller`: requests carry their caller's key, and never `api_key`.
    Raises ConfigError.
    """

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    models: tuple[str, ...] = ("*",)
    timeout_s: float = 600.0
    connect_timeout_s: float = 5.0
    max_connections: int = 1000
    usage_in_streams: bool = True
    name: str = "upstream"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    key_from_caller: bool = False

    def __post_init__(self) -> None:
        if self.timeout_s <= 0 or self.connect_timeout_s <= 0 or self.max_connections < 1:
            raise ConfigError(f"Upstream {self.name!r}: timeouts and max_connections must be > 0.")
        if not self.models:
            raise ConfigError(f"Upstream {self.name!r}: name at least one model, or '*'.")
        for text in (self.api_key or "", *self.headers, *self.headers.values()):
            if not (text.isascii() and text.isprintable()):
                raise ConfigError(
                    f"Upstream {self.name!r}: api_key and headers must be one line of ASCII."
                )
        root_of(self.base_url)


def root_of(base_url: str) -> str:
    """The base URL in one spelling: origin and path, no slash at the end. Raises ConfigError."""
    try:
        url = httpx2.URL(base_url)
    except (httpx2.InvalidURL, TypeError) as error:
        raise ConfigError("base_url is not a URL; write it like http://host:8000/v1.") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigError("base_url must begin with http:// or https:// and a host.")
    if not 0 < (url.port or 80) < 65536:
        raise ConfigError("base_url has a port that no server can have.")
    if url.userinfo or set("?#") & set(base_url):
        raise ConfigError("base_url may hold no user, password, query or fragment: use api_key.")
    return str(url).rstrip("/")


class Endpoint:
    """The server behind the settings.

    `http` is a client to send through instead of our own; it stays the caller's to close.
    """

    def __init__(
        self, settings: UpstreamSettings, *, http: httpx2.AsyncClient | None = None
    ) -> None:
        self.name = settings.name
        self.root = root_of(settings.base_url)
        self._key = settings.api_key or ""
        self._headers = _request_headers(settings)
        self._timeout = httpx2.Timeout(settings.timeout_s, connect=settings.connect_timeout_s)
        self._quick = httpx2.Timeout(settings.connect_timeout_s)
        self._owned = http is None
        self._http: AsyncClients = Given(http) if http is not None else _own(settings)

    async def get(self, path: str, key: str | None = None) -> httpx2.Response:
        """Open a small, quick response, with a caller's key. Raises UpstreamError, HTTPError."""
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return await self._send("GET", path, None, self._quick, headers)

    async def post(
        self, path: str, wire: Any, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """Send JSON and open the response, its status good. Raises as `get`, and RequestError.

        `headers` go with this request and override the others.
        """
        return await self._send("POST", path, _encoded(wire), self._timeout, headers or {})

    async def body(self, response: httpx2.Response) -> bytes:
        """The whole body. Raises UpstreamError beyond MAX_ANSWER_BYTES, httpx2.HTTPError."""
        body = await _read(response, MAX_ANSWER_BYTES)
        if body is None:
            raise self.too_large()
        return body

    async def aclose(self) -> None:
        """Close the connections; nothing can be sent afterwards."""
        if self._owned:
            await self._http.aclose()

    def without_key(self, body: bytes) -> bytes:
        """The bytes with the operator's key starred out, where a server repeats it."""
        return body.replace(self._key.encode(), b"***") if self._key else body

    def too_large(self) -> UpstreamError:
        """The error for an answer beyond MAX_ANSWER_BYTES."""
        limit = MAX_ANSWER_BYTES
        return UpstreamError(f"The upstream {self.name!r} sent more than {limit} bytes.")

    def failure(self, error: httpx2.HTTPError) -> UpstreamError:
        """What a broken or silent connection means to the caller."""
        cause: Literal["", "silent", "ours"] = ""
        if isinstance(error, httpx2.PoolTimeout):
            cause = "ours"
            says, status = "has no connection free: raise its max_connections", 503
        elif isinstance(error, httpx2.ConnectTimeout):
            says, status = "could not be reached in time: check its base_url", 504
        elif isinstance(error, httpx2.TimeoutException):
            cause = "silent"
            says, status = "was silent for too long: raise its timeout_s if it is only slow", 504
        elif isinstance(error, httpx2.ConnectError | httpx2.ProxyError):
            says, status = "could not be reached: check that it runs, and its base_url", 502
        else:
            says, status = "broke off before its answer was complete", 502
        return UpstreamError(f"The upstream {self.name!r} {says}.", status=status, cause=cause)

    async def _send(
        self,
        method: str,
        path: str,
        content: bytes | None,
        timeout: httpx2.Timeout,
        own: Mapping[str, str],
    ) -> httpx2.Response:
        if self._http.is_closed:
            says = f"The upstream {self.name!r} is shut down."
            raise UpstreamError(says, status=503, cause="ours")
        url = f"{self.root}/{path}"
        http, headers = self._http.here(), self._headers
        trace = CURRENT.get()
        if own or trace is not None:
            headers = self._headers.copy()
            headers.update(own)
            headers.update({} if trace is None else trace.passed_on)
        request = http.build_request(method, url, content=content, headers=headers, timeout=timeout)
        response = await http.send(request, stream=True, follow_redirects=False)
        if response.is_success:
            return response
        async with aclosing(response):
            raise await self._refusal(response)

    async def _refusal(self, response: httpx2.Response) -> UpstreamError:
        status = response.status_code
        says = f"The upstream {self.name!r} answered with status {status}"
        if status < 400:
            return UpstreamError(f"{says}: set its base_url to where it really is.")
        try:
            body = await _read(response, MAX_ERROR_BYTES)
        except httpx2.HTTPError:
            body = None
        return UpstreamError(
            f"{says}.",
            status=status,
            body=self.without_key(body) if body else None,
            headers={k: v for k, v in response.headers.items() if _is_relayed(k)},
        )


def _own(settings: UpstreamSettings) -> PerLoop:
    return PerLoop(lambda: _client(settings.max_connections))


def _client(max_connections: int) -> httpx2.AsyncClient:
    limits = httpx2.Limits(
        max_connections=max_connections,
        max_keepalive_connections=max_connections,
        keepalive_expiry=_KEEP_ALIVE_S,
    )
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return httpx2.AsyncClient(limits=limits, cookies=no_cookies)


def _request_headers(settings: UpstreamSettings) -> httpx2.Headers:
    headers = httpx2.Headers(
        {"accept": "application/json", "content-type": "application/json", "user-agent": "semcache"}
    )
    if settings.api_key and not settings.key_from_caller:
        headers["authorization"] = f"Bearer {settings.api_key}"
    headers.update(settings.headers)
    return headers


def _encoded(wire: Any) -> bytes:
    try:
        return orjson.dumps(wire)
    except TypeError as error:
        raise RequestError(f"The request cannot be written as JSON: {error}.") from error


def _is_relayed(header: str) -> bool:
    return header in _RELAYED_HEADERS or header.startswith("x-ratelimit-")


async def _read(response: httpx2.Response, limit_bytes: int) -> bytes | None:
    """The body, or None where it is larger than the limit."""
    parts: list[bytes] = []
    left = limit_bytes
    async with aclosing(response.aiter_bytes()) as feeds:
        async for feed in feeds:
            left -= len(feed)
            if left < 0:
                return None
            parts.append(feed)
    return b"".join(parts)
