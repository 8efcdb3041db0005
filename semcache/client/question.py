"""Which HTTP requests are questions for the cache, and who asks them. Pure.

Everything else is none of the cache's business: another method or path, a body that is not JSON or
cannot be read twice, a signature that covers the body.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import httpx2
import orjson

from semcache.chat import Kind
from semcache.directives import NONE, Directives
from semcache.wishes import OWN, of_headers

# By the end of the path; the longer one first.
_KINDS: tuple[tuple[bytes, Kind], ...] = (
    (b"/chat/completions", "chat"),
    (b"/completions", "completion"),
    (b"/responses", "response"),
    (b"/embeddings", "embedding"),
)
# Headers beside `Authorization` by which gateways tell their users apart.
_IDENTIFYING = re.compile("auth|key|token|secret|credential|tenant|account|user")
_NOT_IDENTIFYING = frozenset({"authorization", "idempotency-key", "user-agent"})


_NO_COOKIES = httpx2.Cookies()


@dataclass(frozen=True, slots=True)
class Question:
    """A request that the cache may answer.

    `server` is the address below which the path was asked: another server's answers are never
    this one's. `credential` says who asks; it is empty for nobody in particular.
    """

    kind: Kind
    body: Any
    directives: Directives
    server: str
    credential: str


def read_question(
    request: httpx2.Request, cookies: httpx2.Cookies = _NO_COOKIES
) -> Question | None:
    """The question in a request, or None where it is not one.

    `cookies` are those of the HTTP client that sends it.
    """
    if request.method != "POST":
        return None
    path, _, query = request.url.raw_path.partition(b"?")
    end, kind = next((known for known in _KINDS if path.endswith(known[0])), (b"", None))
    if kind is None or "content-encoding" in request.headers:
        return None
    credential = credential_of(request, cookies)
    if credential is None:
        return None
    try:
        body = orjson.loads(request.content)
    except (ValueError, httpx2.RequestNotRead):
        return None
    return Question(
        kind=kind,
        body=body,
        directives=wishes_of(request),
        server=server_of(request.url, path.removesuffix(end), query),
        credential=credential,
    )


def wishes_of(request: httpx2.Request) -> Directives:
    """What a request asks of this cache; other gateways' headers are for a gateway behind it."""
    said = [
        (name, value)
        for name, value in request.headers.items()
        if name in OWN or name == "cache-control"
    ]
    return of_headers(said) if said else NONE


def server_of(url: httpx2.URL, root: bytes, query: bytes) -> str:
    """Origin and path. A query may hold a key, so it is told apart by its digest only."""
    name = f"{url.scheme}://{url.netloc.decode()}{root.decode()}"
    return f"{name}?{blake2b(query, digest_size=8).hexdigest()}" if query else name


def credential_of(request: httpx2.Request, cookies: httpx2.Cookies) -> str | None:
    """Everything that says who asks; a bearer's key alone where there is nothing else.

    None where the request is signed: what it says of its sender is never the same twice.
    """
    scheme, _, key = request.headers.get("authorization", "").strip().rpartition(" ")
    scheme = scheme.strip().lower()
    if scheme not in {"", "bearer", "basic"}:
        return None
    others = [
        f"{name}: {value}"
        for name, value in request.headers.multi_items()
        if name not in _NOT_IDENTIFYING and _IDENTIFYING.search(name)
    ]
    others.extend(f"cookie: {cookie}" for cookie in _callers_cookies(request, cookies))
    if scheme == "basic":
        others.append(f"basic: {key}")
        key = ""
    if request.url.userinfo:
        others.append(f"userinfo: {request.url.userinfo.decode()}")
    return "\n".join([key, *sorted(others)]) if others else key


def _callers_cookies(request: httpx2.Request, cookies: httpx2.Cookies) -> list[str]:
    """The cookies that the caller chose.

    Those that a server has set say nothing of who asks, and change all the time (a content
    network's, for instance); they have a domain, and a caller's have none.
    """
    header = request.headers.get("cookie")
    if header is None:
        return []
    try:
        set_by_servers = {
            f"{cookie.name}={cookie.value}" for cookie in cookies.jar if cookie.domain
        }
    except RuntimeError:  # another thread was just given a cookie
        set_by_servers = set()
    return [cookie for cookie in header.split("; ") if cookie not in set_by_servers]
