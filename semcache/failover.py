"""Several servers for one name, asked in order: the next where one is down.

Only what came before the first chunk of an answer can be made up for, and only where another server
may do better: no connection, silence, a server's own failure, or too many requests. A server that
failed is passed over for a while, so that an outage costs one request its patience and not all; if
all have failed, all are asked again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, cast

from semcache.chat import ChatRequest
from semcache.completion import Chunk
from semcache.errors import UpstreamError
from semcache.interfaces import Relayed
from semcache.keys import Source

log = logging.getLogger("semcache")

DOWN_S = 10.0
_ELSEWHERE = frozenset({408, 429, 500, 502, 503, 504, 529})


@dataclass(frozen=True, slots=True)
class Alternative:
    """A server, and the name that its model has there; None for the name that was asked for."""

    answerer: Relayed
    model: str | None = None


class Failover:
    """Implements `interfaces.Answerer` in the name of the first; `clock` is monotonic, seconds.

    An answer of any of them is the first one's: they are given as equals by who configures them.
    """

    def __init__(
        self,
        alternatives: Sequence[Alternative],
        clock: Callable[[], float],
        down_s: float = DOWN_S,
    ) -> None:
        """At least one alternative."""
        self._alternatives = tuple(alternatives)
        self._first = alternatives[0].answerer
        self._clock = clock
        self._down_s = down_s
        self._lock = threading.Lock()
        self._back_at = [0.0] * len(alternatives)

    @property
    def name(self) -> str:
        """The first one's."""
        return self._first.name

    def accepts(self, request: ChatRequest) -> bool:
        """Whether the first one does."""
        return self._first.accepts(request)

    def source(self, request: ChatRequest) -> Source:
        """The first one's."""
        return self._first.source(request)

    def models(self) -> Sequence[str]:
        """The first one's."""
        return self._first.models()

    async def fetch_models(self, key: str | None = None) -> list[dict[str, Any]]:
        """What the first that lists any lists; a caller's key is for the first one only."""
        if key is not None:
            return await self._first.fetch_models(key)
        for one in self._alternatives:
            if found := await one.answerer.fetch_models():
                return found
        return []

    async def knows(self, key: str, path: str) -> bool:
        """Whether the first one knows the key. Raises UpstreamError."""
        return await self._first.knows(key, path)

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """The answer of the first that can. Raises what the last one that was asked raises."""
        order = self._order()
        for at in order:
            begun = False
            try:
                async with aclosing(self._asked(at, request)) as chunks:
                    async for chunk in chunks:
                        if not begun:
                            begun = True
                            self._mark(at, 0.0)
                        yield chunk
                return
            except UpstreamError as error:
                if begun or error.status not in _ELSEWHERE:
                    raise
                self._mark(at, self._clock() + self._down_s)
                if at == order[-1]:
                    raise
                log.warning("upstream %d: status %d, the next one is asked", at + 1, error.status)

    async def aclose(self) -> None:
        """Close all of them."""
        for one in self._alternatives:
            await one.answerer.aclose()

    def _asked(self, at: int, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        one = self._alternatives[at]
        asked = request if one.model is None else replace(request, model=one.model)
        return cast("AsyncGenerator[Chunk, None]", one.answerer.answer(asked))

    def _order(self) -> list[int]:
        now, every = self._clock(), range(len(self._alternatives))
        with self._lock:
            up = [at for at in every if self._back_at[at] <= now]
        return up or list(every)

    def _mark(self, at: int, back_at: float) -> None:
        with self._lock:
            self._back_at[at] = back_at
