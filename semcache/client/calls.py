"""`POST …/cache/feedback` and `…/cache/explain` of a client with a cache in its process.

The cache in the process answers. A verdict on what it does not know goes on to the server that the
client talks to: that may be a semcache of its own.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import httpx2
import orjson

from semcache.chat import read_question_body
from semcache.client.attached import Ready
from semcache.client.exchange import Whole
from semcache.client.lines import Line
from semcache.client.own_server import OwnServer
from semcache.client.question import credential_of, server_of, wishes_of
from semcache.errors import RequestError, SemcacheError, UnknownAnswer
from semcache.explanation import explain
from semcache.feedback import read_feedback

FEEDBACK, EXPLAIN = b"/cache/feedback", b"/cache/explain"
_JSON = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class Call:
    """A request that is for the cache itself. `credential` says who asks."""

    is_feedback: bool
    request: httpx2.Request
    server: str
    credential: str


def read_call(request: httpx2.Request, cookies: httpx2.Cookies) -> Call | None:
    """The call in a request, or None where it is not one."""
    path, _, query = request.url.raw_path.partition(b"?")
    if request.method != "POST" or not path.endswith((FEEDBACK, EXPLAIN)):
        return None
    credential = credential_of(request, cookies)
    if credential is None:  # who signs each request anew cannot be told from others
        credential = secrets.token_hex(16)
    is_feedback = path.endswith(FEEDBACK)
    root = path.removesuffix(FEEDBACK if is_feedback else EXPLAIN)
    return Call(is_feedback, request, server_of(request.url, root, query), credential)


def answer_call(call: Call, ready: Ready, mark: str, line: Line) -> Whole | None:
    """The cache's answer; None where the verdict is for the server. Blocking.

    `mark` is what `Asking` adds to a credential.
    """
    tenant = ready.tenant_of(f"{call.credential}\n{mark}" if mark else call.credential)
    try:
        body = _body(call.request)
        if call.is_feedback:
            return _whole(ready.cache.feedback.take(tenant, read_feedback(body)))
        asked = read_question_body(body, tenant=tenant, model="", responses=True)
        own = OwnServer(line, call.request, call.server, set())
        plan = ready.cache.plan(asked, wishes_of(call.request), via=own)
        return _whole(explain(ready.cache.layers, plan))
    except UnknownAnswer:
        return None
    except SemcacheError as error:
        return _whole(error.to_wire(), error.status)


def _body(request: httpx2.Request) -> Any:
    try:
        return orjson.loads(request.content)
    except ValueError as error:
        raise RequestError(f"The request body is not valid JSON: {error}.") from None


def _whole(value: Any, status: int = 200) -> Whole:
    return Whole(status, [_JSON], orjson.dumps(value))
