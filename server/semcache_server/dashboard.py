"""The dashboard: one page of plain files, the same for everybody, empty without the admin key.

Nothing is loaded from elsewhere, nothing runs that is not in a file of this package, no other page
may frame it, and no script may turn text into markup (Trusted Types).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-cache",
}


def dashboard_routes() -> list[Route]:
    """`GET /dashboard`, and the files that it is made of."""
    return [
        Route("/dashboard", _page, methods=["GET"]),
        Route("/dashboard/{name}", _file, methods=["GET"]),
    ]


@cache
def page_files() -> Mapping[str, tuple[bytes, str]]:
    """The files, by name: content and media type."""
    folder = files("semcache_server") / "page"
    found = {one.name: one.read_bytes() for one in folder.iterdir()}
    return {
        name: (content, _TYPES[name[name.rindex(".") :]])
        for name, content in found.items()
        if name.endswith(tuple(_TYPES))
    }


async def _page(request: Request) -> Response:
    return _served(request, "index.html")


async def _file(request: Request) -> Response:
    return _served(request, request.path_params["name"])


def _served(request: Request, name: str) -> Response:
    found = page_files().get(name)
    if found is None:
        raise HTTPException(404)
    content, kind = found
    headers = {**_HEADERS, "etag": f'"{sha256(content).hexdigest()[:32]}"'}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)
