"""`gptcache_server`'s routes: `/`, `/put`, `/get`, `/flush`, `/cache_file`.

A `/put` is durable when it is acknowledged. A `/get` takes the path of a chat request, without the
engines; a miss is `"answer": null`.
"""

from __future__ import annotations

import asyncio
import hmac
import io
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from semcache.cache import SemCache
from semcache.chat import ChatRequest, text_request
from semcache.completion import text_completion_of
from semcache.directives import ONLY_IF_CACHED
from semcache.errors import AuthenticationError, RequestError
from semcache.gptcache.legacy import FLUSHED, HELLO, UPDATED, parse_get, parse_put
from semcache.policy import Skip
from semcache_server.wire import ASGIScope, parse_json, read_body


@dataclass(frozen=True, slots=True)
class Legacy:
    """The handlers. `model` is the model that `/put` and `/get` speak for."""

    cache: SemCache
    model: str
    tenant: Callable[[ASGIScope], str]
    max_body_bytes: int
    file_key: str = ""

    async def hello(self, request: Request) -> Response:
        """`GET /`."""
        return JSONResponse(HELLO)

    async def put(self, request: Request) -> Response:
        """`POST /put {"prompt", "answer"}`."""
        put = parse_put(await self._body(request))
        completion = text_completion_of(
            put.answer,
            id=f"chatcmpl-{uuid.uuid4().hex[:24]}",
            created=int(time.time()),
            model=self.model,
        )
        kept = await self.cache.put(self._question(request, put.prompt), completion)
        if isinstance(kept, Skip):
            raise RequestError(f"The answer cannot be stored: {kept.reason}.", param="answer")
        return JSONResponse(UPDATED)

    async def get(self, request: Request) -> Response:
        """`POST /get {"prompt"}`."""
        get = parse_get(await self._body(request))
        reply = await self.cache.ask(self._question(request, get.prompt), ONLY_IF_CACHED)
        reply.close()
        answer = None if reply.rendered is None else reply.rendered.completion.text
        return JSONResponse(get.answered(answer))

    async def flush(self, request: Request) -> Response:
        """`POST /flush`."""
        self.tenant(request.scope)
        await self.cache.flush()
        return JSONResponse(FLUSHED)

    async def cache_file(self, request: Request) -> Response:
        """`GET /cache_file?key=`: a zip with a consistent copy of the store."""
        given = request.query_params.get("key", "")
        if not self.file_key:
            message = "Start the server with --cache-file-key to download the cache."
            return PlainTextResponse(message, status_code=403)
        if not hmac.compare_digest(given.encode(), self.file_key.encode()):
            raise AuthenticationError("The cache file key is wrong.", param="key")
        packed = await asyncio.to_thread(_zip_of_store, self.cache)
        return Response(packed, media_type="application/zip")

    async def _body(self, request: Request) -> Any:
        return parse_json(await read_body(request.scope, request.receive, self.max_body_bytes))

    def _question(self, request: Request, prompt: str) -> ChatRequest:
        return text_request(prompt, tenant=self.tenant(request.scope), model=self.model)


def _zip_of_store(cache: SemCache) -> bytes:
    packed = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "semcache.sqlite3"
        cache.layers.store.backup(copy)
        with zipfile.ZipFile(packed, "w", compression=zipfile.ZIP_DEFLATED) as archive:
            archive.write(copy, copy.name)
    return packed.getvalue()
