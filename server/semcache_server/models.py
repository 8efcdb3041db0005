"""`/v1/models`: what answers here, and what the upstreams list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from semcache_server.wire import ASGIScope

ListModels: TypeAlias = Callable[[str | None], Awaitable[list[dict[str, Any]]]]
"""For a caller's key, where callers bring their own for the upstream."""


@dataclass(frozen=True, slots=True)
class Models:
    """`own` names are listed first. `tenant` authenticates; `more` is asked with `key_of`'s."""

    own: Sequence[str]
    more: Sequence[ListModels]
    tenant: Callable[[ASGIScope], str]
    key_of: Callable[[ASGIScope], str | None]

    def routes(self) -> list[Route]:
        """The list, and one of it by name."""
        return [
            Route("/v1/models", self._all, methods=["GET"]),
            Route("/v1/models/{name:path}", self._one, methods=["GET"]),
        ]

    async def _all(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": await self._listed(request)})

    async def _one(self, request: Request) -> Response:
        name = request.path_params["name"]
        for listed in await self._listed(request):
            if listed["id"] == name:
                return JSONResponse(listed)
        raise HTTPException(404, f"The model '{name}' does not exist here.")

    async def _listed(self, request: Request) -> list[dict[str, Any]]:
        self.tenant(request.scope)
        head = {"object": "model", "created": 0, "owned_by": "semcache"}
        models: dict[str, dict[str, Any]] = {name: {"id": name, **head} for name in self.own}
        key = self.key_of(request.scope)
        for more in self.more:
            for model in await more(key):
                models.setdefault(str(model.get("id")), model)
        return list(models.values())
