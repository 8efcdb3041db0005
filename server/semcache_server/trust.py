"""`/v1/cache/explain` and `/v1/cache/feedback`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from semcache.cache import SemCache
from semcache.chat import read_question_body
from semcache.explanation import explain
from semcache.feedback import read_feedback
from semcache.wishes import joined, taken_from_body
from semcache_server.wire import ASGIScope, directives_of, parse_json, read_body


@dataclass(frozen=True, slots=True)
class Trust:
    """The handlers. `model` is the model that a bare question speaks for."""

    cache: SemCache
    model: str
    tenant: Callable[[ASGIScope], str]
    max_body_bytes: int

    async def explain(self, request: Request) -> Response:
        """`POST /v1/cache/explain`: a chat, completion or response request, or `{"question"}`."""
        tenant = self.tenant(request.scope)
        body, wishes = taken_from_body(await self._body(request))
        asked = read_question_body(body, tenant=tenant, model=self.model, responses=True)
        plan = self.cache.plan(asked, joined(directives_of(request.scope), wishes))
        return JSONResponse(await asyncio.to_thread(explain, self.cache.layers, plan))

    async def feedback(self, request: Request) -> Response:
        """`POST /v1/cache/feedback {"id", "verdict", "comment"?}`."""
        tenant = self.tenant(request.scope)
        said = read_feedback(await self._body(request))
        return JSONResponse(await asyncio.to_thread(self.cache.feedback.take, tenant, said))

    async def _body(self, request: Request) -> Any:
        return parse_json(await read_body(request.scope, request.receive, self.max_body_bytes))
