"""A stored answer as the bytes of a response, encoded once and sent many times.

Every response carries its own `id` and `created`; everything else of the answer is as it was.
"""

from __future__ import annotations

import random
from typing import Any

import orjson

from semcache.chat import ChatRequest
from semcache.completion import Completion, replay
from semcache.prices import Prices, Saved, saved
from semcache.sse import DONE
from semcache.usage import UsageMode, shown

_EVENT = b"data: "
_END = b"\n\n"


def fresh_id(completion: Completion, name: str = "") -> str:
    """A new response id in the form of the answer's own (`chatcmpl-…`, `cmpl-…`).

    `name` is its last part: 24 hex digits; random ones where it is empty.
    """
    prefix, dash, _ = str(completion.wire.get("id") or "").partition("-")
    if not dash or len(prefix) > 16:
        prefix = "cmpl" if completion.is_text else "chatcmpl"
    return f"{prefix}-{name or f'{random.getrandbits(96):024x}'}"


class Rendered:
    """The bytes of one stored answer, plain and as a stream; each form is made on first use.

    `usage` is what they say of its tokens.
    """

    __slots__ = ("_body", "_events", "_saved", "_shown", "_usage", "completion")

    def __init__(self, completion: Completion, usage: UsageMode = "replay") -> None:
        self.completion = completion
        self._shown = shown(completion, usage)
        self._body: bytes | None = None
        self._events: tuple[bytes, ...] | None = None
        self._usage: tuple[bytes, ...] = ()
        self._saved: tuple[Prices, str, float, Saved] | None = None

    def saved(self, asked: str, prices: Prices, cost_s: float) -> Saved:
        """What each hit saves (see `prices.saved`), computed for the first."""
        known = self._saved
        if known is None or known[0] is not prices or known[1] != asked or known[2] != cost_s:
            made = saved(self.completion.wire, asked, prices, cost_s)
            known = self._saved = (prices, asked, cost_s, made)
        return known[3]

    def to(self, request: ChatRequest) -> Rendered:
        """The same answer to this request."""
        return self

    @property
    def size_bytes(self) -> int:
        """The length of the answer, without what each response has of its own."""
        return len(self._plain())

    def body(self, created: int, name: str = "") -> bytes:
        """The JSON body of a plain response; `name` as for `fresh_id`."""
        return _head(fresh_id(self.completion, name), created) + self._plain()

    def _plain(self) -> bytes:
        if self._body is None:
            self._body = _tail(self._shown.wire)
        return self._body

    def events(self, created: int, *, include_usage: bool, name: str = "") -> list[bytes]:
        """The server-sent events of a streamed response, `[DONE]` included."""
        if self._events is None:
            self._split()
        head = _EVENT + _head(fresh_id(self.completion, name), created)
        tails = self._events or ()
        if include_usage:
            tails += self._usage
        return [head + tail for tail in tails] + [DONE]

    def _split(self) -> None:
        chunks = [chunk.wire for chunk in replay(self._shown)]
        usage = [wire for wire in chunks if wire.get("usage") is not None and not wire["choices"]]
        spoken = chunks[: len(chunks) - len(usage)]
        self._usage = tuple(_tail(wire) + _END for wire in usage)
        self._events = tuple(_tail(wire) + _END for wire in spoken)


def _head(id_: str, created: int) -> bytes:
    return b'{"id":"%b","created":%d,' % (id_.encode(), created)


def _tail(wire: Any) -> bytes:
    return orjson.dumps({k: v for k, v in wire.items() if k not in {"id", "created"}})[1:]
