"""`/v1/embeddings`: the encoder's own names by the encoder, others through the cache, by item."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from semcache.embedding_answers import Embedded, EmbeddingAnswers
from semcache.errors import SemcacheError
from semcache.explain import quoted, saved_headers
from semcache.interfaces import Bypass
from semcache_server.answering import Answering, charged
from semcache_server.bounds import by
from semcache_server.embeddings import Embeddings
from semcache_server.wire import (
    UNEXPECTED,
    ASGIScope,
    ClientGone,
    Headers,
    Receive,
    Send,
    read_body,
    respond_error,
    respond_json,
)


@dataclass(frozen=True, slots=True)
class CachedEmbeddings:
    """The ASGI application. `answering` reads and bounds requests; `own` is the encoder's part."""

    answering: Answering
    own: Embeddings | None
    clock: Callable[[], float]

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(scope, receive, self.answering.max_body_bytes)
            await self._answer(scope, body, send)
        except SemcacheError as error:
            await respond_error(send, error)
        except ClientGone:
            return
        except Exception:
            await respond_error(send, SemcacheError(UNEXPECTED))
            raise

    def at_once(self, scope: ASGIScope, body: bytes) -> tuple[bytes, Headers] | None:
        """Never: several lookups would keep everybody else waiting."""
        return None

    async def _answer(self, scope: ASGIScope, body: bytes, send: Send) -> None:
        request, directives = self.answering.asked(scope, body)
        answers = EmbeddingAnswers(self.answering.cache)
        if self.own is not None and (
            request.model in self.own.names or not answers.accepts(request)
        ):
            with self.answering.in_flight.one(request.tenant):
                embedded_here = await self.own.answer(request)
            await respond_json(send, embedded_here)
            return
        deadline_s = asyncio.get_running_loop().time() + self.answering.bounds.request_timeout_s
        with self.answering.in_flight.one(request.tenant):
            async with by(deadline_s):
                embedded = await answers.answer(request, directives)
        for reply in embedded.replies:
            if reply.rendered is not None:
                charged(reply)
        await respond_json(send, embedded.wire, headers=self._headers(embedded))

    def _headers(self, embedded: Embedded) -> Headers:
        """Of one item as of any other answer."""
        if embedded.items == 1:
            return self.answering.headers(embedded.replies[0], self.clock())
        return self.answering.compat(_together(embedded))


def _together(embedded: Embedded) -> Headers:
    """What became of several items together."""
    first, items, hits = embedded.replies[0], embedded.items, embedded.hits
    stored = "; stored" if embedded.stored else ""
    if hits == items:
        told, status = f"hit; detail={quoted(f'exact;items={items}')}", b"HIT"
    elif hits:
        told = f"fwd=partial{stored}; detail={quoted(f'items={items};hits={hits}')}"
        status = b"PARTIAL"
    elif isinstance(first.decision, Bypass):
        reason = first.decision.reason
        fwd = "request" if reason.startswith("request=") else "bypass"
        told, status = f"fwd={fwd}{stored}; detail={quoted(f'{reason};items={items}')}", b"BYPASS"
    else:
        told, status = f"fwd=miss{stored}; detail={quoted(f'items={items}')}", b"MISS"
    headers = [(b"cache-status", f"semcache; {told}".encode()), (b"x-semcache-status", status)]
    return headers + saved_headers(embedded.saved)
