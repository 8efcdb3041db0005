"""One question through the cache: from a plan to what the caller's HTTP client would have seen.

Runs in an event loop, whichever client asked. The caller's own server speaks for itself: its
words, refusals and failures are handed on unchanged to the caller whose request it answered. A
caller who shares an answer that fails is told to ask for itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import httpx2
import orjson

from semcache.cache import SemCache
from semcache.client.lines import LineError
from semcache.client.own_server import OwnServer, StreamCut
from semcache.completion import Chunk, without_usage
from semcache.errors import (
    AnswerError,
    EngineBusy,
    NotCached,
    SemcacheError,
    UpstreamDown,
    UpstreamError,
)
from semcache.explain import Headers, reply_headers
from semcache.render import Rendered
from semcache.replaying import events_of, paced_events
from semcache.reply import Decided, Plan, Reply
from semcache.sse import DONE
from semcache.sse import encode as encode_event

T = TypeVar("T")
log = logging.getLogger("semcache.client")

_JSON = (b"content-type", b"application/json")
_EVENT_STREAM = (b"content-type", b"text/event-stream; charset=utf-8")
# About one connection or one spelling of the body, not about the answer.
_NOT_RELAYED = frozenset(
    {b"connection", b"content-encoding", b"content-length", b"keep-alive", b"transfer-encoding"}
)


class PassOn(Exception):
    """The cache cannot serve this caller: send the request as it is.

    Its cause, if any, is a fault of the cache.
    """


@dataclass(frozen=True, slots=True)
class Whole:
    """A response whose body is known."""

    status: int
    headers: Headers
    body: bytes
    extensions: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Live:
    """A response whose body comes: server-sent events. Closing `events` leaves the answer.

    `reply` is to be closed too: a generator that never ran does not run its end either.
    """

    headers: Headers
    events: AsyncGenerator[bytes, None]
    reply: Reply
    extensions: dict[str, Any]


Outcome: TypeAlias = Whole | Live


def hit(reply: Reply) -> Whole:
    """The response of a stored answer."""
    if reply.rendered is None:
        raise ValueError("not a hit")
    now = time.time()
    headers = reply_headers(reply, now)
    request = reply.plan.request
    rendered = reply.rendered.to(request)
    if not request.stream:
        return Whole(200, [_JSON, *headers], rendered.body(int(now), reply.decision_id))
    events = b"".join(events_of(reply, rendered, now))
    return Whole(200, [_EVENT_STREAM, *headers], events)


def _paced(reply: Reply, rendered: Rendered) -> Live:
    """The response of a stored answer that is streamed at a pace."""
    now = time.time()
    headers = [_EVENT_STREAM, *reply_headers(reply, now)]
    return Live(headers, paced_events(reply, rendered.to(reply.plan.request), now), reply, {})


async def exchange(
    cache: SemCache,
    plan: Plan,
    own: OwnServer,
    patience_s: float | None,
    known: Decided | None = None,
) -> Outcome:
    """Ask the cache, and on a miss whoever the plan names. `known`: a miss that was found already.

    `patience_s` bounds the caller's wait for each piece of an answer that its own HTTP client does
    not wait for itself. Raises PassOn, LineError, httpx2.ReadTimeout.
    """
    try:
        reply = await cache.fly(plan, known)
    except Exception as error:
        if plan.answerer is own:
            raise PassOn from error
        return _broke(error)
    outcome: Outcome | None = None
    try:
        outcome = await _Exchange(reply, own, patience_s).outcome()
    finally:
        if not isinstance(outcome, Live):
            reply.close()
    return outcome


class _Exchange:
    def __init__(self, reply: Reply, own: OwnServer, patience_s: float | None) -> None:
        self._reply = reply
        self._own = own
        self._goes_to_own = reply.plan.answerer is own
        self._is_own_answer = self._goes_to_own and not reply.collapsed
        self._patience_s = None if self._is_own_answer else patience_s

    async def outcome(self) -> Outcome:
        if self._reply.rendered is not None:
            paced = self._reply.plan.pace is not None
            return _paced(self._reply, self._reply.rendered) if paced else hit(self._reply)
        if self._reply.plan.directives.only_if_cached:
            return self._refusal(NotCached())
        try:
            return await (self._live() if self._reply.plan.request.stream else self._whole())
        except httpx2.ReadTimeout:
            raise
        except LineError:
            if self._is_own_answer:
                raise
            raise PassOn from None
        except Exception as error:
            return self._failed(error)

    async def _whole(self) -> Whole:
        completion = await self._patiently(self._reply.completion())
        await self._reply.stored()
        as_it_came = self._as_it_came()
        if as_it_came is not None:
            return as_it_came
        body = orjson.dumps(completion.wire)
        return Whole(200, [_JSON, *self._said(), *self._explained()], body, self._extensions())

    async def _live(self) -> Live:
        chunks = _shown(aiter(self._reply), self._reply.plan.request.include_usage)
        first = await self._patiently(anext(chunks, None))
        headers = [_EVENT_STREAM, *self._said(), *self._explained()]
        return Live(headers, self._events(chunks, first), self._reply, self._extensions())

    async def _events(
        self, chunks: AsyncIterator[Chunk], chunk: Chunk | None
    ) -> AsyncGenerator[bytes, None]:
        broken: BaseException | None = None
        try:
            while chunk is not None:
                yield encode_event(chunk)
                chunk = await self._patiently(anext(chunks, None))
            await self._reply.stored()
            if self._reply.plan.request.kind != "response":
                yield DONE
        except StreamCut as cut:
            if cut.rest:
                yield cut.rest
        except LineError as error:
            broken = error.error
        except httpx2.ReadTimeout as error:
            broken = error
        except SemcacheError as error:
            yield _error_event(error)
        except Exception:
            log.exception("an answer broke off")
            yield _error_event(AnswerError("The answer broke off; ask again."))
        finally:
            self._reply.close()
        if broken is not None:
            raise broken

    def _failed(self, error: Exception) -> Whole:
        """What the caller sees of a failure before the first chunk."""
        as_it_came = self._as_it_came()
        if as_it_came is not None:
            return as_it_came
        if self._is_own_answer and isinstance(error, StreamCut):
            return Whole(200, [_EVENT_STREAM, *self._said()], error.rest, self._extensions())
        if self._goes_to_own:
            raise PassOn from (None if isinstance(error, SemcacheError) else error)
        return self._refusal(error) if isinstance(error, SemcacheError) else _broke(error)

    def _as_it_came(self) -> Whole | None:
        """The response of the caller's own server, verbatim, where its body was read whole."""
        head, body = self._own.head, self._own.body
        if head is None or body is None or not self._is_own_answer:
            return None
        kind = [item for item in head.headers if item[0].lower() == b"content-type"]
        headers = [*kind, *self._said(), *self._explained()]
        return Whole(head.status, headers, body, head.extensions)

    def _refusal(self, error: SemcacheError) -> Whole:
        explained = self._explained()
        if isinstance(error, UpstreamError) and error.body is not None:
            relayed = [(k.lower().encode(), v.encode()) for k, v in error.headers.items()]
            return Whole(error.status, [*relayed, *explained], error.body)
        if isinstance(error, EngineBusy | UpstreamDown):
            explained.append((b"retry-after", b"%d" % error.retry_after_s))
        return Whole(error.status, [_JSON, *explained], orjson.dumps(error.to_wire()))

    def _explained(self) -> Headers:
        return reply_headers(self._reply, time.time())

    def _said(self) -> Headers:
        """What the caller's own server said of its answer, its content type apart."""
        head = self._own.head
        if head is None or not self._is_own_answer:
            return []
        apart = _NOT_RELAYED | {b"content-type"}
        return [item for item in head.headers if item[0].lower() not in apart]

    def _extensions(self) -> dict[str, Any]:
        head = self._own.head
        return head.extensions if head is not None and self._is_own_answer else {}

    async def _patiently(self, work: Awaitable[T]) -> T:
        scope = asyncio.timeout(self._patience_s)
        try:
            async with scope:
                return await work
        except TimeoutError:
            if not scope.expired():
                raise
        raise httpx2.ReadTimeout("The answer did not come in time.", request=self._own.request)


async def _shown(chunks: AsyncIterator[Chunk], include_usage: bool) -> AsyncIterator[Chunk]:
    """The chunks as this caller asked for them: usage only where it was wanted."""
    async for chunk in chunks:
        shown = chunk if include_usage else without_usage(chunk)
        if shown is not None:
            yield shown


def _broke(error: Exception) -> Whole:
    """For a fault where an engine was to answer: its questions are for nobody else."""
    log.error("an engine failed on a request", exc_info=error)
    told = AnswerError("The engine failed on this request; the log says more.")
    return Whole(told.status, [_JSON], orjson.dumps(told.to_wire()))


def _error_event(error: SemcacheError) -> bytes:
    body = error.body if isinstance(error, UpstreamError) else None
    return b"data: " + (body or orjson.dumps(error.to_wire())) + b"\n\n"
