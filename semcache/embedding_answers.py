"""`/v1/embeddings` through the cache: known items are served, the others asked for together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter
from typing import Any, cast

from semcache.cache import SemCache
from semcache.caller import paying
from semcache.chat import ChatRequest
from semcache.completion import Chunk, Completion
from semcache.directives import Directives
from semcache.embedding_items import joined, parts_of, split, together
from semcache.errors import NotCached, UpstreamError
from semcache.interfaces import Answerer, Hit
from semcache.policy import Keep
from semcache.prices import Saved
from semcache.reply import Plan, Reply
from semcache.usage import shown


@dataclass(frozen=True, slots=True)
class Embedded:
    """The answer to a request for vectors. `hits` of its `items` came from the cache.

    `stored`: whether all others are stored now.
    """

    wire: dict[str, Any]
    replies: tuple[Reply, ...]
    hits: int
    stored: bool

    @property
    def items(self) -> int:
        """How many vectors were asked for."""
        return len(self.replies)

    @property
    def saved(self) -> Saved:
        """By all hits together."""
        made = [one.decided.saved for one in self.replies if one.decided.saved is not None]
        return Saved(*map(sum, zip(Saved(), *made, strict=True)))


class EmbeddingAnswers:
    """Asks a cache for vectors."""

    def __init__(self, cache: SemCache) -> None:
        self._cache = cache

    def accepts(self, request: ChatRequest) -> bool:
        """Whether an answerer has the model."""
        return any(one.accepts(request) for one in self._cache.answerers)

    async def answer(self, request: ChatRequest, directives: Directives) -> Embedded:
        """Raises RequestError and AnswerError, as the answerer said them; NotCached."""
        plans = [self._cache.plan(item, directives) for item in split(request)]
        found: dict[str, Reply] = {}
        for plan in plans:
            if plan.key.exact not in found and (reply := self._cache.peek(plan)) is not None:
                found[plan.key.exact] = reply
        rest = list({p.key.exact: p for p in plans if p.key.exact not in found}.values())
        if rest:
            for plan, reply in zip(
                rest, await asyncio.to_thread(self._looked_up, rest), strict=True
            ):
                found[plan.key.exact] = reply
        missing = [p for p in rest if not isinstance(found[p.key.exact].decision, Hit)]
        made, stored = await self._made(missing, found) if missing else ({}, False)
        return self._together(plans, found, made, stored=stored)

    def _looked_up(self, plans: Sequence[Plan]) -> list[Reply]:
        return [self._cache.reply(plan, self._cache.look(plan)) for plan in plans]

    def _together(
        self,
        plans: Sequence[Plan],
        found: dict[str, Reply],
        made: dict[str, dict[str, Any]],
        *,
        stored: bool,
    ) -> Embedded:
        parts, usages, counted = [], [], set()
        for plan in plans:
            key = plan.key.exact
            part = made.get(key)
            if part is None:
                mode = self._cache.layers.settings.usage
                completion = cast(Hit, found[key].decision).entry.completion
                part = cast("dict[str, Any]", shown(completion, mode).wire)
            parts.append(part)
            if key not in counted:  # what is asked twice was used once
                usages.append(part.get("usage"))
            counted.add(key)
        replies = tuple(found[plan.key.exact] for plan in plans)
        hits = sum(plan.key.exact not in made for plan in plans)
        return Embedded(together(parts, usages), replies, hits, stored)

    async def _made(
        self, missing: Sequence[Plan], found: dict[str, Reply]
    ) -> tuple[dict[str, dict[str, Any]], bool]:
        """The missing items by their keys, and whether all of them are stored."""
        first = missing[0]
        if first.directives.only_if_cached or first.answerer is None:
            caller = first.request.caller
            if caller is not None and caller.account is not None:
                caller.account.require()
            raise NotCached
        requests = [plan.request for plan in missing]
        started = perf_counter()
        wire = await self._asked(first.answerer, joined(requests))
        cost_s = (perf_counter() - started) / len(missing)
        parts = parts_of(wire, requests)
        if parts is None:
            raise UpstreamError(f"{first.answerer.name!r} gave other vectors than were asked for.")
        keep = self._cache.storing.keep
        kept = await asyncio.gather(
            *(
                keep(plan, found[plan.key.exact].decided, [Chunk(part)], cost_s)
                for plan, part in zip(missing, parts, strict=True)
            )
        )
        stored = all(isinstance(one, Keep) for one in kept)
        return {p.key.exact: part for p, part in zip(missing, parts, strict=True)}, stored

    async def _asked(self, answerer: Answerer, request: ChatRequest) -> dict[str, Any]:
        chunks: list[Chunk] = []
        with paying(request.caller, request.model, chunks):
            async with aclosing(cast(Any, answerer.answer(request))) as came:
                chunks.extend([chunk async for chunk in came])
        completion = Completion(chunks[-1].wire) if chunks else Completion({})
        if not completion.is_embeddings:
            raise UpstreamError(f"{answerer.name!r} gave no vectors.")
        return dict(completion.wire)
