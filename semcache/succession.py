"""Several answerers of one request, asked in order until one does not decline."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, cast

from semcache.chat import ChatRequest
from semcache.completion import Chunk
from semcache.errors import Declined
from semcache.interfaces import Answerer
from semcache.keys import Source


class Succession:
    """Implements `interfaces.Answerer` in the name of the first.

    An answer of a later one is stored under the first one's source: when its knowledge changes, it
    may have something to say, and is asked again.
    """

    def __init__(self, answerers: Sequence[Answerer]) -> None:
        """At least one; each accepts the requests that come."""
        self._answerers = tuple(answerers)

    @property
    def name(self) -> str:
        """The first one's."""
        return self._answerers[0].name

    def accepts(self, request: ChatRequest) -> bool:
        """Whether the first one does."""
        return self._answerers[0].accepts(request)

    def source(self, request: ChatRequest) -> Source:
        """The first one's."""
        return self._answerers[0].source(request)

    def models(self) -> Sequence[str]:
        """The first one's."""
        return self._answerers[0].models()

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """The answer of the first that does not decline. Raises what it raises.

        Where all decline, Declined, as the last one said it.
        """
        for answerer in self._answerers:
            begun = False
            try:
                async with aclosing(cast(Any, answerer.answer(request))) as chunks:
                    async for chunk in chunks:
                        begun = True
                        yield chunk
                return
            except Declined:
                if begun or answerer is self._answerers[-1]:
                    raise

    async def aclose(self) -> None:
        """Nothing: the answerers are closed by who made them."""
