"""The application: routes put together from values, and the life of what they need.

Starlette routes the requests; the hit path below it is bare ASGI (see `answering`). Nothing here
reads a configuration file or an environment variable.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from semcache.cache import SemCache
from semcache.caller import Caller
from semcache.chat import Kind
from semcache.compat_headers import unchanged
from semcache.errors import SemcacheError
from semcache_server.admin import AdminDoor, admin_routes, with_admin
from semcache_server.answering import Answering, bearer_key
from semcache_server.bounds import DEFAULT_BOUNDS, Bounds, InFlight
from semcache_server.cached_embeddings import CachedEmbeddings
from semcache_server.dashboard import dashboard_routes
from semcache_server.description import description_route
from semcache_server.embeddings import Embeddings
from semcache_server.entrance import entrance
from semcache_server.legacy import Legacy
from semcache_server.listening import Front
from semcache_server.metrics import Metrics
from semcache_server.models import ListModels, Models
from semcache_server.trust import Elsewhere, Trust
from semcache_server.watching import Tracer, Watching
from semcache_server.wire import UNEXPECTED, ASGIScope, Headers, respond_error

log = logging.getLogger("semcache.server")


class Readiness:
    """Whether the server takes questions: after its start, until its shutdown."""

    def __init__(self) -> None:
        self.ready = False


@dataclass(frozen=True, slots=True)
class Serving:
    """What the application serves. Times in seconds, sizes in bytes.

    `tenant_of` authenticates a bearer key, and so does `caller_of` where more is known of its owner
    than the tenant; `admit` is awaited before them. With `pass_through` the keys are the
    upstream's. `learn` is told the tenant and key of an admin who asks. `more_models` asks the
    upstreams for theirs. `refresh` looks at the knowledge folder and brings cache and engine up to
    date with it. `compat` adds the headers of other gateways. `tenants` has names for the admin, by
    digest.
    """

    cache: SemCache
    tenant_of: Callable[[str], str]
    model: str
    embedding_names: Sequence[str] = ()
    more_models: Sequence[ListModels] = ()
    refresh: Callable[[], Awaitable[None]] | None = None
    refresh_every_s: float = 2.0
    max_body_bytes: int = 10_000_000
    cache_file_key: str = ""
    admin: AdminDoor = field(default_factory=AdminDoor)
    installation: str = ""
    tenants: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[], float] = field(default=time.time)
    caller_of: Callable[[str], Caller] | None = None
    admit: Callable[[str], Awaitable[None]] | None = None
    pass_through: bool = False
    learn: Callable[[str, str], None] | None = None
    forward_headers: Sequence[str] = ()
    bounds: Bounds = DEFAULT_BOUNDS
    tracer: Tracer | None = None
    readiness: Readiness = field(default_factory=Readiness)
    elsewhere: Elsewhere | None = None
    compat: Callable[[Headers], Headers] = unchanged


def build_app(serving: Serving) -> Front:
    """The ASGI application; its `rest` is the Starlette application with all routes."""
    serving = with_admin(serving)
    bounds = serving.bounds
    in_flight = InFlight(bounds.max_in_flight, bounds.max_in_flight_per_tenant)
    serving.cache.recording.gauges["in flight"] = lambda: in_flight.count
    answering: dict[str, Answering | CachedEmbeddings] = {
        "/v1/chat/completions": _answering(serving, "chat", in_flight),
        "/v1/completions": _answering(serving, "completion", in_flight),
        "/v1/responses": _answering(serving, "response", in_flight),
        "/v1/embeddings": _embeddings(serving, in_flight),
    }
    rest = Starlette(
        routes=[
            *(Route(path, app, methods=["POST"]) for path, app in answering.items()),
            *_other_routes(serving),
        ],
        lifespan=_lifespan(serving),
        exception_handlers={
            SemcacheError: _semcache_error,
            HTTPException: _http_error,
            Exception: _unexpected,
        },
    )
    watching = Watching(serving.tracer, [str(getattr(route, "path", "")) for route in rest.routes])
    at_once = {path: watching.at_once(app.at_once) for path, app in answering.items()}
    before = entrance(serving.admit, serving.admin, answering)
    return Front(answering, rest, at_once, before, bounds, watching.around)


def _other_routes(serving: Serving) -> list[Route]:
    legacy = Legacy(
        cache=serving.cache,
        model=serving.model,
        tenant=lambda scope: _tenant(serving, scope),
        max_body_bytes=serving.max_body_bytes,
        file_key=serving.cache_file_key,
    )
    trust = Trust(
        cache=serving.cache,
        model=serving.model,
        tenant=lambda scope: _tenant(serving, scope),
        max_body_bytes=serving.max_body_bytes,
        elsewhere=serving.elsewhere,
    )
    metrics = Metrics(serving.cache, lambda scope: _tenant(serving, scope))
    return [
        *_models(serving).routes(),
        Route("/v1/cache/explain", trust.explain, methods=["POST"]),
        Route("/v1/cache/feedback", trust.feedback, methods=["POST"]),
        Route("/metrics", metrics.__call__, methods=["GET"]),
        Route("/healthz", _healthz, methods=["GET"]),
        Route("/readyz", _readyz(serving.readiness), methods=["GET"]),
        Route("/", legacy.hello, methods=["GET"]),
        Route("/put", legacy.put, methods=["POST"]),
        Route("/get", legacy.get, methods=["POST"]),
        Route("/flush", legacy.flush, methods=["POST"]),
        Route("/cache_file", legacy.cache_file, methods=["GET"]),
        *admin_routes(serving, serving.admin),
        *dashboard_routes(),
        description_route(),
    ]


def _embeddings(serving: Serving, in_flight: InFlight) -> CachedEmbeddings:
    embedder, names = serving.cache.layers.embedder, serving.embedding_names
    own = None if embedder is None else Embeddings(embedder, names)
    asked = _answering(serving, "embedding", in_flight)
    return CachedEmbeddings(asked, own, serving.clock)


def _answering(serving: Serving, kind: Kind, in_flight: InFlight) -> Answering:
    return Answering(
        cache=serving.cache,
        kind=kind,
        caller_of=serving.caller_of or (lambda key: Caller(serving.tenant_of(key))),
        forwarded=tuple(name.encode() for name in serving.forward_headers),
        max_body_bytes=serving.max_body_bytes,
        clock=serving.clock,
        in_flight=in_flight,
        bounds=serving.bounds,
        compat=serving.compat,
    )


def _models(serving: Serving) -> Models:
    names = [name for one in serving.cache.answerers for name in one.models()]
    return Models(
        own=[*names, *serving.embedding_names],
        more=serving.more_models,
        tenant=lambda scope: _tenant(serving, scope),
        key_of=lambda scope: _upstreams_key(serving, scope),
    )


def _upstreams_key(serving: Serving, scope: ASGIScope) -> str | None:
    """The caller's own key, where callers bring theirs; an admin's is for nobody else to see."""
    key = bearer_key(scope) if serving.pass_through else ""
    return key if key and not serving.admin.knows(key) else None


def _tenant(serving: Serving, scope: ASGIScope) -> str:
    return serving.tenant_of(bearer_key(scope))


# --------------------------------------------------------------------------------------- routes


async def _healthz(request: Request) -> Response:
    """The process is alive."""
    return PlainTextResponse("ok")


def _readyz(readiness: Readiness) -> Callable[[Request], Awaitable[Response]]:
    async def readyz(request: Request) -> Response:
        if readiness.ready:
            return PlainTextResponse("ready")
        return PlainTextResponse("not ready", status_code=503)

    return readyz


# --------------------------------------------------------------------------------------- errors


async def _semcache_error(request: Request, error: Exception) -> Response:
    return _ErrorResponse(error if isinstance(error, SemcacheError) else SemcacheError(str(error)))


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "Internal error."
    if status == 404 and detail == "Not Found":
        detail = f"Unknown request URL: {request.method} {request.url.path}."
    headers = error.headers if isinstance(error, HTTPException) else None
    body = {
        "error": {
            "message": detail,
            "type": "invalid_request_error",
            "param": None,
            "code": "unknown_url" if status == 404 else None,
        }
    }
    return JSONResponse(body, status_code=status, headers=headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    return _ErrorResponse(SemcacheError(UNEXPECTED))


class _ErrorResponse(Response):
    """A SemcacheError as a Starlette response."""

    def __init__(self, error: SemcacheError) -> None:
        super().__init__(status_code=error.status)
        self._error = error

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await respond_error(send, self._error)


# ----------------------------------------------------------------------------------------- life


def _lifespan(serving: Serving) -> Any:
    readiness = serving.readiness

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        serving.cache.recording.gauges["tasks"] = lambda: len(asyncio.all_tasks(loop))
        watching = asyncio.create_task(_watch(serving))
        readiness.ready = True
        try:
            yield
        finally:
            readiness.ready = False
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await serving.cache.aclose()

    return lifespan


async def _watch(serving: Serving) -> None:
    """Follow the knowledge folder. What goes wrong is logged; the old knowledge stays in use."""
    while serving.refresh is not None:
        await asyncio.sleep(serving.refresh_every_s)
        try:
            await serving.refresh()
        except Exception:
            log.exception("the knowledge could not be brought up to date")
