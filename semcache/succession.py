"""Several answerers of one request, asked in order until one does not decline."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

from semcache.chat import ChatRequest
from semcache.completion import Chunk
from semcache.errors import Declined
from semcache.grounds import Grounds, given_digest
from semcache.interfaces import Answerer, FromDocuments
from semcache.keys import Source


class Succession:
    """Implements `interfaces.Answerer` in the name of the first, and `interfaces.FromDocuments`.

    An answer of a later one is stored under the first one's source. It rests on the others' having
    nothing to say, too: when their documents change, they may come to have.
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
        """The first one's, with the state of everybody's documents."""
        return replace(self._answerers[0].source(request), base=_joined(self._bases(request)))

    def grounds(self, request: ChatRequest) -> Grounds:
        """Implements `interfaces.FromDocuments`; of the first that would not decline."""
        bases = self._bases(request)
        for at, answerer in enumerate(self._answerers):
            try:
                found = _grounds(answerer, request)
            except Declined as error:
                bases[at] = error.base
                continue
            return _after(at, bases, found)
        raise Declined("The documents say nothing about this question.", base=_joined(bases))

    def models(self) -> Sequence[str]:
        """The first one's."""
        return self._answerers[0].models()

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """The answer of the first that does not decline. Raises what it raises.

        Where all decline, Declined, as the last one said it.
        """
        bases = self._bases(request)
        for at, answerer in enumerate(self._answerers):
            grounds: Grounds | None = None
            try:
                async with aclosing(cast(Any, answerer.answer(request))) as chunks:
                    async for chunk in chunks:
                        if grounds is None:
                            grounds = _after(at, bases, chunk.grounds)
                            given = grounds if grounds.base else None
                            chunk = replace(chunk, grounds=given, answerer=answerer.name)
                        yield chunk
                return
            except Declined as error:
                if grounds is not None or answerer is self._answerers[-1]:
                    raise
                bases[at] = error.base

    def _bases(self, request: ChatRequest) -> list[str]:
        return [answerer.source(request).base for answerer in self._answerers]

    async def aclose(self) -> None:
        """Nothing: the answerers are closed by who made them."""


def _grounds(answerer: Answerer, request: ChatRequest) -> Grounds | None:
    return answerer.grounds(request) if isinstance(answerer, FromDocuments) else None


def _after(at: int, bases: list[str], grounds: Grounds | None) -> Grounds:
    """What an answer with these grounds rests on, after `at` others had nothing to say."""
    if grounds is None:
        return Grounds(_joined(bases), given_digest([str(at)]))
    bases = [*bases[:at], grounds.base, *bases[at + 1 :]]
    given = given_digest([str(at), grounds.given])
    return Grounds(_joined(bases), given, grounds.documents)


def _joined(bases: Sequence[str]) -> str:
    """One state of all documents; empty where there are none."""
    return given_digest(bases) if any(bases) else ""
