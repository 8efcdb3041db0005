"""`/v1/cache/explain` and `/v1/cache/feedback`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from semcache.cache import SemCache
from semcache.chat import read_question_body
from semcache.errors import UnknownAnswer
from semcache.explanation import explain
from semcache.feedback import read_feedback
from semcache.wishes import joined, taken_from_body
from semcache_server.wire import ASGIScope, directives_of, parse_json, read_body

Elsewhere: TypeAlias = Callable[[ASGIScope, bytes], Awaitable[Response | None]]


@dataclass(frozen=True, slots=True)
class Trust:
    """The handlers. `model` is the model that a bare question speaks for.

    `elsewhere` is asked about what is not known here: what another process has answered.
    """

    cache: SemCache
    model: str
    tenant: Callable[[ASGIScope], str]
    max_body_bytes: int
    elsewhere: Elsewhere | None = None

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
        body = await read_body(request.scope, request.receive, self.max_body_bytes)
        said = read_feedback(parse_json(body))
        try:
            return JSONResponse(await asyncio.to_thread(self.cache.feedback.take, tenant, said))
        except UnknownAnswer:
            told = None if self.elsewhere is None else await self.elsewhere(request.scope, body)
            if told is None:
                raise
            return told

    async def _body(self, request: Request) -> Any:
        return parse_json(await read_body(request.scope, request.receive, self.max_body_bytes))
