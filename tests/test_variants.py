"""Several answers to one request that wants another each time: real store, scripted answerer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from semcache.cache import SemCache
from semcache.chat import ChatRequest
from semcache.completion import Completion, text_completion_of
from semcache.directives import NONE, ONLY_IF_CACHED, Directives
from semcache.interfaces import Bypass, Hit, Miss
from semcache.policy import PolicySettings
from semcache.store import LocalStore
from tests.cache_world import ask
from tests.scripted import ScriptedAnswerer

HOT: dict[str, Any] = {"temperature": 1.0}


class World:
    """Each answer says its number; which variant is served is told in `chances`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1_800_000_000.0
        self.chances = [0.0]
        self.answerer = ScriptedAnswerer(self.numbered)

    def numbered(self, request: ChatRequest) -> Completion:
        number = len(self.answerer.calls)
        return text_completion_of(f"answer {number}", id=f"c-{number}", created=1, model="m")

    @asynccontextmanager
    async def cache(self, **settings: Any) -> AsyncIterator[SemCache]:
        made = SemCache(
            store=LocalStore(self.folder, clock=lambda: self.now),
            answerers=[self.answerer],
            settings=PolicySettings(**{"variants": 3, **settings}),
            clock=lambda: self.now,
            chance=lambda: self.chances.pop(0),
        )
        try:
            yield made
        finally:
            await made.aclose()


async def said(
    cache: SemCache, directives: Directives = NONE, text: str = "Write a poem.", **options: Any
) -> tuple[str, Any]:
    reply = await cache.ask(ask(text, **{**HOT, **options}), directives)
    completion = await reply.completion()
    await reply.stored()
    reply.close()
    return completion.text, reply.decision


def test_the_first_are_made_and_then_one_of_them_is_served(tmp_path: Path) -> None:
    async def test() -> None:
        world = World(tmp_path)
        world.chances = [0.0, 0.99, 0.5]
        async with world.cache() as cache:
            for number in (1, 2, 3):
                text, decision = await said(cache)
                assert (text, decision) == (f"answer {number}", Miss("variants"))
            for text in ("answer 1", "answer 3", "answer 2"):  # from memory, as chance says
                assert (await said(cache))[0] == text
            assert sorted(entry.variant for entry in cache.layers.store.scan()) == [0, 1, 2]
        world.chances = [0.5]
        async with world.cache() as cache:  # from the store
            text, decision = await said(cache)
            assert text == "answer 2"
            assert isinstance(decision, Hit)
            assert decision.entry.variant == 1
            removed = await cache.remove([cache.plan(ask("Write a poem.", **HOT)).key.exact])
            assert (removed, cache.layers.store.stats().entries) == (3, 0)

    asyncio.run(test())


def test_requests_at_once_each_get_and_keep_an_answer_of_their_own(tmp_path: Path) -> None:
    async def test() -> None:
        world = World(tmp_path)
        async with world.cache() as cache:
            found = await asyncio.gather(*(said(cache) for _ in range(5)))
            assert {text for text, _ in found} == {f"answer {number}" for number in range(1, 6)}
            assert cache.layers.store.stats().entries == 3
            assert cache.tally.counts()["skipped: variants"] == 2
            world.chances = [0.0]
            assert isinstance((await said(cache))[1], Hit)

    asyncio.run(test())


def test_a_caller_asks_for_fewer_never_for_more(tmp_path: Path) -> None:
    async def test() -> None:
        world = World(tmp_path)
        async with world.cache() as cache:
            assert (await said(cache, Directives(variants=1)))[0] == "answer 1"
            world.chances = [0.0, 0.7]
            assert (await said(cache, Directives(variants=1)))[0] == "answer 1"
            for number in (2, 3):
                assert (await said(cache, Directives(variants=20)))[0] == f"answer {number}"
            assert (await said(cache, Directives(variants=20)))[0] == "answer 3"
            assert isinstance((await said(cache, Directives(variants=0)))[1], Bypass)
        async with world.cache(variants=0) as cache:
            assert isinstance((await said(cache, Directives(variants=5)))[1], Bypass)

    asyncio.run(test())


def test_what_is_over_is_made_again_and_a_seed_or_no_heat_has_one_answer(tmp_path: Path) -> None:
    async def test() -> None:
        world = World(tmp_path)
        async with world.cache(variants=2, volatile_ttl_s=30.0) as cache:
            weather = "What is the weather in Oslo today?"
            for _ in range(2):
                await said(cache, text=weather)
            world.now += 31
            for number in (3, 4):
                assert (await said(cache, text=weather))[0] == f"answer {number}"
            assert isinstance((await said(cache, text=weather))[1], Hit)
            before = len(world.answerer.calls)
            cooler: tuple[dict[str, Any], ...] = ({"seed": 7}, {"temperature": 0})
            for options in cooler:
                assert isinstance((await said(cache, **options))[1], Miss)
                assert isinstance((await said(cache, **options))[1], Hit)
            assert len(world.answerer.calls) == before + 2

    asyncio.run(test())


@pytest.mark.parametrize("stored", [0, 1])
def test_where_nobody_is_asked_fewer_than_all_serve(tmp_path: Path, stored: int) -> None:
    async def test() -> None:
        world = World(tmp_path)
        async with world.cache() as cache:
            for _ in range(stored):
                await said(cache)
            reply = await cache.ask(ask("Write a poem.", **HOT), ONLY_IF_CACHED)
            assert (reply.rendered is not None) == bool(stored)
            reply.close()

    asyncio.run(test())
