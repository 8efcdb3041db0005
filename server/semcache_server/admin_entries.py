"""The admin's routes to entries: LiteLLM's `/cache/*`, and `/v1/cache/{entries,search,…}`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from semcache.administering import Administration
from semcache.cache import SemCache
from semcache.errors import RequestError
from semcache.selection import Selection
from semcache_server.admin_reading import (
    read_dry_run,
    read_invalidation,
    read_keys,
    read_page,
    read_search,
    read_why,
)
from semcache_server.admin_told import Told
from semcache_server.wire import ASGIScope, parse_json, read_body

_MOST_DIGITS = 19


@dataclass(frozen=True, slots=True)
class AdminEntries:
    """The handlers. `check` raises for whoever is not the admin."""

    cache: SemCache
    check: Callable[[ASGIScope], None]
    max_body_bytes: int

    def routes(self) -> list[Route]:
        """All of them."""
        one = "/v1/cache/entries/{id}"
        return [
            Route("/cache/ping", self.ping, methods=["GET"]),
            Route("/cache/delete", self.delete_keys, methods=["POST"]),
            Route("/cache/flushall", self.flush_all, methods=["POST"]),
            Route("/v1/cache/entries", self.entries, methods=["GET"]),
            Route(one, self.entry, methods=["GET"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/quarantine", self.quarantine, methods=["POST"]),
            Route(f"{one}/release", self.release, methods=["POST"]),
            Route(f"{one}/explain", self.why, methods=["POST"]),
            Route("/v1/cache/search", self.search, methods=["POST"]),
            Route("/v1/cache/invalidate", self.invalidate, methods=["POST"]),
        ]

    async def ping(self, request: Request) -> Response:
        """`GET /cache/ping`: the store was asked, and answered."""
        self.check(request.scope)
        stats = await asyncio.to_thread(self.cache.layers.store.stats)
        told = {"status": "healthy", "cache_type": "semcache", "ping_response": True}
        return Told({**told, "entries": stats.entries})

    async def delete_keys(self, request: Request) -> Response:
        """`POST /cache/delete {"keys": [...]}`: keys as in `x-semcache-key`."""
        keys = read_keys(await self._body(request))
        every = Selection(self.cache.layers.clock())
        tend = self._administration
        done = await asyncio.to_thread(tend.invalidate, every, keys, dry_run=False)
        return Told({"status": "success", "deleted": done["count"]})

    async def flush_all(self, request: Request) -> Response:
        """`POST /cache/flushall`: every entry of every tenant."""
        self.check(request.scope)
        return Told({"status": "success", "deleted": await self.cache.clear()})

    async def entries(self, request: Request) -> Response:
        """`GET /v1/cache/entries`: newest first, in pages."""
        self.check(request.scope)
        page = read_page(request.query_params, self.cache.layers.clock())
        tend = self._administration
        return Told(await asyncio.to_thread(tend.entries, page.wanted, page.before, page.most))

    async def entry(self, request: Request) -> Response:
        """`GET /v1/cache/entries/{id}`."""
        return await self._of_one(request, self._administration.entry)

    async def delete(self, request: Request) -> Response:
        """`DELETE /v1/cache/entries/{id}`."""
        entry_id = self._id(request)
        deleted = await asyncio.to_thread(self._administration.delete, entry_id)
        return Told({"id": entry_id, "object": "cache.entry", "deleted": bool(deleted)})

    async def quarantine(self, request: Request) -> Response:
        """`POST /v1/cache/entries/{id}/quarantine`."""
        return await self._of_one(request, self._administration.quarantine)

    async def release(self, request: Request) -> Response:
        """`POST /v1/cache/entries/{id}/release`."""
        return await self._of_one(request, self._administration.release)

    async def why(self, request: Request) -> Response:
        """`POST /v1/cache/entries/{id}/explain {"question"?}`: asked in the entry's own scope."""
        entry_id = self._id(request)
        question = read_why(await self._body(request))
        return Told(await asyncio.to_thread(self._administration.why, entry_id, question))

    async def search(self, request: Request) -> Response:
        """`POST /v1/cache/search {"question", "k"?, "tenant"?}`."""
        asked = read_search(await self._body(request))
        tend = self._administration
        return Told(await asyncio.to_thread(tend.nearest, asked.question, asked.k, asked.tenant))

    async def invalidate(self, request: Request) -> Response:
        """`POST /v1/cache/invalidate?dry_run=`."""
        body = await self._body(request)
        said = read_invalidation(body, self.cache.layers.clock())
        dry_run = read_dry_run(request.query_params)
        tend = self._administration
        return Told(
            await asyncio.to_thread(
                tend.invalidate, said.wanted, said.keys, said.ids, dry_run=dry_run
            )
        )

    @property
    def _administration(self) -> Administration:
        return Administration(self.cache.layers)

    async def _of_one(self, request: Request, act: Callable[[int], dict[str, Any]]) -> Response:
        return Told(await asyncio.to_thread(act, self._id(request)))

    def _id(self, request: Request) -> int:
        self.check(request.scope)
        text: str = request.path_params["id"]
        if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
            raise RequestError("An entry's id is a whole number.", param="id")
        return int(text)

    async def _body(self, request: Request) -> Any:
        """The body, after the door. Raises RequestError."""
        self.check(request.scope)
        return parse_json(await read_body(request.scope, request.receive, self.max_body_bytes))
