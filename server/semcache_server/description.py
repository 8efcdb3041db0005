"""`GET /openapi.json`: the routes, described by hand in `openapi.yaml`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@cache
def description() -> dict[str, Any]:
    """The OpenAPI 3.1 description. Its references within the file are written out."""
    text = (files("semcache_server") / "openapi.yaml").read_text(encoding="utf-8")
    read: dict[str, Any] = yaml.safe_load(text)
    return read


def description_route() -> Route:
    """For everybody: it tells nothing of what is cached."""
    return Route("/openapi.json", _described, methods=["GET"])


async def _described(request: Request) -> Response:
    return JSONResponse(description())
