"""`/v1/chat/completions`, `/v1/completions`, `/v1/responses`: bare ASGI around SemCache.

A request whose client leaves is cancelled, unless somebody else waits for the same answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import orjson

from semcache.cache import SemCache
from semcache.caller import Caller
from semcache.chat import ChatRequest, Kind
from semcache.compat_headers import unchanged
from semcache.completion import Chunk, without_usage
from semcache.directives import Directives
from semcache.errors import AnswerError, NotCached, RequestError, SemcacheError
from semcache.explain import reply_headers
from semcache.render import Rendered
from semcache.replaying import events_of, paced_events
from semcache.reply import Plan, Reply
from semcache.sse import DONE
from semcache.sse import encode as encode_event
from semcache.wishes import joined, taken_from_body
from semcache_server.bounds import DEFAULT_BOUNDS, Bounds, InFlight, by
from semcache_server.wire import (
    EVENT_STREAM,
    JSON,
    PRIVATE,
    UNEXPECTED,
    ASGIScope,
    ClientGone,
    Headers,
    Receive,
    Send,
    directives_of,
    header,
    parse_json,
    read_body,
    respond,
    respond_error,
    whole_headers,
)

_PLANNED = "semcache.plan"  # in a scope: what `at_once` made of it
log = logging.getLogger("semcache.server")


@dataclass(frozen=True, slots=True)
class Answering:
    """The ASGI application of one kind of request. `caller_of` authenticates a bearer key.

    `forwarded`: names of headers, in lower case, that go on to an upstream. `compat` adds
    the headers of other gateways.
    """

    cache: SemCache
    kind: Kind
    caller_of: Callable[[str], Caller]
    max_body_bytes: int
    clock: Callable[[], float]
    in_flight: InFlight = field(default_factory=InFlight)
    forwarded: tuple[bytes, ...] = ()
    bounds: Bounds = DEFAULT_BOUNDS
    compat: Callable[[Headers], Headers] = unchanged

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(scope, receive, self.max_body_bytes)
            plan = scope.get(_PLANNED) or self._plan(scope, body)
            reply = self.cache.peek(plan)
            if reply is None:
                await self._watched(plan, partial(self._relay, plan, send), receive)
            elif plan.pace is None:
                await self._send_hit(reply, send)
            else:
                await self._watched(plan, partial(self._send_hit, reply, send), receive)
        except SemcacheError as error:
            await respond_error(send, error)
        except ClientGone:
            return
        except Exception:
            await respond_error(send, SemcacheError(UNEXPECTED))
            raise

    def at_once(self, scope: ASGIScope, body: bytes) -> tuple[bytes, Headers] | None:
        """Body and headers of an exact hit in memory; None for `__call__` to answer.

        No turn of the event loop is spent. Never raises: `__call__` meets the error too.
        """
        if len(body) > self.max_body_bytes:
            return None
        try:
            plan = scope[_PLANNED] = self._plan(scope, body)
            reply = self.cache.peek(plan) if plan.pace is None else None
            return None if reply is None else self._hit(reply)
        except Exception:
            return None

    def _plan(self, scope: ASGIScope, body: bytes) -> Plan:
        return self.cache.plan(*self.asked(scope, body))

    def asked(self, scope: ASGIScope, body: bytes) -> tuple[ChatRequest, Directives]:
        """The request of an authenticated caller, within bounds, and its wishes.

        Raises RequestError.
        """
        asked, wishes = taken_from_body(parse_json(body))
        caller = self.caller_of(bearer_key(scope))
        request = ChatRequest.from_wire(asked, tenant=caller.tenant, kind=self.kind, caller=caller)
        self.bounds.check(request)
        if self.forwarded:
            request = replace(request, headers=_let_through(scope, self.forwarded))
        directives = joined(directives_of(scope), wishes)
        if caller.account is not None and caller.account.exhausted:
            directives = replace(directives, only_if_cached=True)
        return request, directives

    def headers(self, reply: Reply, now: float) -> Headers:
        """What happened, in our words and, where they are wanted, in those of other gateways."""
        return self.compat(reply_headers(reply, now))

    async def _watched(
        self, plan: Plan, sending: Callable[[], Coroutine[Any, Any, None]], receive: Receive
    ) -> None:
        """Send, until the client leaves."""
        with self.in_flight.one(plan.request.tenant):
            await _until_gone(sending(), receive)

    async def _relay(self, plan: Plan, send: Send) -> None:
        deadline_s = asyncio.get_running_loop().time() + self.bounds.request_timeout_s
        async with by(deadline_s):
            reply = await self.cache.fly(plan)
        try:
            if reply.rendered is not None:
                await self._send_hit(reply, send)
            elif plan.directives.only_if_cached:
                _require_quota(plan)
                await respond_error(send, NotCached(), self.headers(reply, self.clock()))
            elif plan.request.stream:
                await self._send_stream(reply, send, deadline_s)
            else:
                await self._send_whole(reply, send, deadline_s)
        finally:
            reply.close()

    async def _send_hit(self, reply: Reply, send: Send) -> None:
        if reply.plan.pace is None:
            body, headers = self._hit(reply)
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        now = self.clock()
        events = paced_events(reply, charged(reply), now)
        headers = [EVENT_STREAM, PRIVATE, *self.headers(reply, now)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with aclosing(events):
            async for event in events:
                await _send_event(send, event)
        await send({"type": "http.response.body", "body": b""})

    def _hit(self, reply: Reply) -> tuple[bytes, Headers]:
        now = self.clock()
        headers = self.headers(reply, now)
        rendered = charged(reply)
        if not reply.plan.request.stream:
            body = rendered.body(int(now), reply.decision_id)
            return body, whole_headers(body, [JSON, *headers])
        body = b"".join(events_of(reply, rendered, now))
        return body, whole_headers(body, [EVENT_STREAM, *headers])

    async def _send_whole(self, reply: Reply, send: Send, deadline_s: float) -> None:
        async with by(deadline_s):
            completion = await reply.completion()
        await reply.stored()
        headers = self.headers(reply, self.clock())
        await respond(send, 200, orjson.dumps(completion.wire), [JSON, *headers])

    async def _send_stream(self, reply: Reply, send: Send, deadline_s: float) -> None:
        """The first chunk is awaited before the status line, so that an error has its own."""
        chunks = _shown(aiter(reply), reply.plan.request.include_usage)
        async with by(deadline_s):
            first = await anext(chunks, None)
        headers = [EVENT_STREAM, PRIVATE, *self.headers(reply, self.clock())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        is_response = reply.plan.request.kind == "response"
        ending = b"" if is_response else DONE
        try:
            if first is not None:
                await _send_event(send, encode_event(first))
            async with by(deadline_s):
                async for chunk in chunks:
                    await _send_event(send, encode_event(chunk))
        except SemcacheError as error:
            ending = _broken_off(error, is_response=is_response)
        except Exception:
            log.exception("an answer broke off")
            broken = AnswerError("The answer broke off; ask again.")
            ending = _broken_off(broken, is_response=is_response)
        await send({"type": "http.response.body", "body": ending})


def _let_through(scope: ASGIScope, names: tuple[bytes, ...]) -> tuple[tuple[str, str], ...]:
    """The headers of these names, in one order; of two with one name the first."""
    found = ((name, header(scope, name)) for name in names)
    return tuple((name.decode(), value) for name, value in found if value)


def _require_quota(plan: Plan) -> None:
    """The reason why nobody was asked, where it is that the caller cannot pay for it."""
    caller = plan.request.caller
    if caller is not None and caller.account is not None:
        caller.account.require()


def charged(reply: Reply) -> Rendered:
    """A hit's answer to its request, taken off where hits are not free."""
    if reply.rendered is None:
        raise RuntimeError("a hit without an answer")
    request = reply.plan.request
    rendered, caller = reply.rendered.to(request), request.caller
    if caller is not None and caller.account is not None and caller.account.counts_hits:
        wire = rendered.completion.wire
        caller.account.spend(str(wire.get("model")), wire.get("usage") or {}, requests=0)
    return rendered


async def _shown(chunks: AsyncIterator[Chunk], include_usage: bool) -> AsyncIterator[Chunk]:
    """The chunks as this caller asked for them: usage only where it was wanted."""
    async for chunk in chunks:
        shown = chunk if include_usage else without_usage(chunk)
        if shown is not None:
            yield shown


def _broken_off(error: SemcacheError, *, is_response: bool) -> bytes:
    """The event that says so, as OpenAI's servers do."""
    wire = error.to_wire()
    if not is_response:
        return b"data: " + orjson.dumps(wire) + b"\n\n"
    told = {name: wire["error"][name] for name in ("code", "message", "param")}
    return b"event: error\ndata: " + orjson.dumps({"type": "error", **told}) + b"\n\n"


async def _send_event(send: Send, event: bytes) -> None:
    await send({"type": "http.response.body", "body": event, "more_body": True})


async def _until_gone(sending: Coroutine[Any, Any, None], receive: Receive) -> None:
    work = asyncio.ensure_future(sending)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        if not work.done():
            work.cancel()
        await asyncio.wait({work, gone})
    if work.cancelled():
        raise ClientGone
    work.result()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


def bearer_key(scope: ASGIScope) -> str:
    """The key of the `Authorization` header, empty where there is none. Raises RequestError."""
    value = header(scope, b"authorization")
    if not value:
        return ""
    scheme, _, key = value.partition(" ")
    key = key.strip(" \t")  # and nothing else that Unicode takes for a space
    if scheme.lower() != "bearer" or not key:
        raise RequestError("The Authorization header must read 'Bearer <key>'.")
    return key
