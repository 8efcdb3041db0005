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
        return JSONResponse("hello gptcache server")

    async def put(self, request: Request) -> Response:
        """`POST /put {"prompt", "answer"}`."""
        body = await self._body(request)
        answer = body.get("answer")
        if not isinstance(answer, str) or not answer:
            raise RequestError("'answer' must be a text that is not empty.", param="answer")
        completion = text_completion_of(
            answer,
            id=f"chatcmpl-{uuid.uuid4().hex[:24]}",
            created=int(time.time()),
            model=self.model,
        )
        kept = await self.cache.put(self._question(request, body), completion)
        if isinstance(kept, Skip):
            raise RequestError(f"The answer cannot be stored: {kept.reason}.", param="answer")
        return JSONResponse("successfully update the cache")

    async def get(self, request: Request) -> Response:
        """`POST /get {"prompt"}`."""
        body = await self._body(request)
        reply = await self.cache.ask(self._question(request, body), ONLY_IF_CACHED)
        reply.close()
        answer = None if reply.rendered is None else reply.rendered.completion.text
        return JSONResponse({"prompt": body["prompt"], "answer": answer})

    async def flush(self, request: Request) -> Response:
        """`POST /flush`."""
        self.tenant(request.scope)
        await self.cache.flush()
        return JSONResponse("successfully flush the cache")

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

    async def _body(self, request: Request) -> dict[str, Any]:
        body = parse_json(await read_body(request.scope, request.receive, self.max_body_bytes))
        if not isinstance(body, dict):
            raise RequestError("The request body must be a JSON object.")
        prompt = body.get("prompt")
        if not isinstance(prompt, str) or not prompt.strip():
            raise RequestError("'prompt' must be a text that is not empty.", param="prompt")
        return body

    def _question(self, request: Request, body: dict[str, Any]) -> ChatRequest:
        return text_request(body["prompt"], tenant=self.tenant(request.scope), model=self.model)


def _zip_of_store(cache: SemCache) -> bytes:
    packed = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "semcache.sqlite3"
        cache.layers.store.backup(copy)
        with zipfile.ZipFile(packed, "w", compression=zipfile.ZIP_DEFLATED) as archive:
            archive.write(copy, copy.name)
    return packed.getvalue()
