"""A stored response (`/v1/responses`) as bytes, plain and as a stream; and stored vectors.

A response that its server keeps (`store`) has its own id on a hit too: the caller may name it in a
later request's `previous_response_id`, and the server knows no other. One that is kept nowhere has
an id and a time of its own each time. What a response repeats of its request (`form.ECHOED`) is
always the caller's own.
"""

from __future__ import annotations

import random
import secrets
from typing import Any

import orjson

from semcache.chat import ChatRequest
from semcache.completion import Completion
from semcache.render import Rendered
from semcache.responses import events
from semcache.responses.form import ECHOED
from semcache.usage import UsageMode

# Stand in the encoded bytes where each response has something of its own; told to nobody.
_ID, _CREATED = (f"{secrets.token_hex(16)}{name}" for name in ("id", "created"))
_ID_BYTES, _CREATED_BYTES = _ID.encode(), orjson.dumps(_CREATED)


class RenderedResponse(Rendered):
    """See `Rendered`; usage is part of a response, streamed or not."""

    __slots__ = ("_mode",)

    def __init__(self, completion: Completion, usage: UsageMode = "replay") -> None:
        super().__init__(completion, usage)
        self._mode = usage

    def to(self, request: ChatRequest) -> Rendered:
        """The same answer to this request, which may name another user or other metadata."""
        wire = self.completion.wire
        own = {name: request.options.get(name) for name in ECHOED}
        own["metadata"] = own["metadata"] or {}
        told = {name: value for name, value in own.items() if (wire.get(name) or None) != value}
        told = {name: value for name, value in told.items() if value or wire.get(name)}
        if not told:
            return self
        return RenderedResponse(Completion({**wire, **told}), self._mode)

    def body(self, created: int, name: str = "") -> bytes:
        """The JSON body of a plain response; `name` as for `fresh_id`."""
        return _filled(self._plain(), created, name)

    def events(self, created: int, *, include_usage: bool, name: str = "") -> list[bytes]:
        """The server-sent events of a streamed response; no `[DONE]` ends them."""
        if self._events is None:
            self._events = tuple(map(_event, events.replay(self._template())))
        id_ = name or f"{random.getrandbits(96):024x}"
        return [_filled(event, created, id_) for event in self._events]

    def _plain(self) -> bytes:
        if self._body is None:
            self._body = orjson.dumps(self._template())
        return self._body

    def _template(self) -> dict[str, Any]:
        wire = self._shown.wire
        if wire.get("store") is not False:
            return dict(wire)
        return {**wire, "id": f"resp_{_ID}", "created_at": _CREATED}


def _event(wire: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (wire["type"].encode(), orjson.dumps(wire))


def _filled(template: bytes, created: int, name: str) -> bytes:
    if _ID_BYTES not in template:
        return template
    id_ = name or f"{random.getrandbits(96):024x}"
    return template.replace(_ID_BYTES, id_.encode()).replace(_CREATED_BYTES, b"%d" % created)


class RenderedEmbeddings(Rendered):
    """See `Rendered`; a list of vectors has no id and is never streamed."""

    __slots__ = ()

    def body(self, created: int, name: str = "") -> bytes:
        """The JSON body, the same each time."""
        return self._plain()

    def _plain(self) -> bytes:
        if self._body is None:
            self._body = orjson.dumps(self._shown.wire)
        return self._body


def rendered(completion: Completion, usage: UsageMode = "replay") -> Rendered:
    """A stored answer of any kind."""
    if completion.is_embeddings:
        return RenderedEmbeddings(completion, usage)
    kind = RenderedResponse if completion.is_response else Rendered
    return kind(completion, usage)
