"""The driver over a real store and encoder; only the answerer is a double."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from semcache.chat import ChatRequest
from semcache.completion import Completion
from semcache.directives import ONLY_IF_CACHED, Directives
from semcache.errors import EngineError
from semcache.interfaces import Bypass, Hit, Miss
from semcache.policy import Keep, Skip
from tests.cache_world import BREAD, HEIGHT, HEIGHT_TOO, World, answered, ask, run
from tests.scripted import ScriptedAnswerer, echo


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_miss_is_answered_stored_and_then_hit(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            first = await cache.ask(ask())
            assert first.decision == Miss("no neighbour")
            assert await answered(first) == echo(ask())
            assert first.decided.kept == Keep(None)
            second = await cache.ask(ask())
            assert isinstance(second.decision, Hit)
            assert second.decision.tier == "exact"
            assert await answered(second) == echo(ask())
            assert len(world.answerer.calls) == 1

    run(test)


def test_another_wording_is_a_semantic_hit_and_another_question_is_not(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            await answered(await cache.ask(ask(HEIGHT)))
            near = await cache.ask(ask(HEIGHT_TOO))
            assert isinstance(near.decision, Hit)
            assert near.decision.tier == "semantic"
            assert cache.layers.embedder is not None
            one, other = cache.layers.embedder.encode([HEIGHT, HEIGHT_TOO])
            assert one.vector is not None
            assert other.vector is not None
            cosine = float(one.vector @ other.vector)
            assert near.decision.similarity == pytest.approx(cosine, abs=1e-5)
            assert await answered(near) == echo(ask(HEIGHT))
            far = await cache.ask(ask(BREAD))
            assert isinstance(far.decision, Miss)
            assert await answered(far) == echo(ask(BREAD))

    run(test)


@pytest.mark.parametrize(
    "other",
    [
        {"tenant": "other"},
        {"model": "m2"},
        {"max_tokens": 7},
        {"messages": [{"role": "system", "content": "Hi"}, {"role": "user", "content": HEIGHT}]},
    ],
)
def test_another_scope_never_shares(world: World, other: dict[str, Any]) -> None:
    async def test() -> None:
        world.answerer = ScriptedAnswerer(models=("m", "m2"))
        async with world.cache() as cache:
            await answered(await cache.ask(ask()))
            reply = await cache.ask(ask(**other))
            assert isinstance(reply.decision, Miss)
            await answered(reply)
            assert len(world.answerer.calls) == 2

    run(test)


def test_identical_requests_in_flight_share_one_answer(world: World) -> None:
    async def test() -> None:
        world.answerer.gate = asyncio.Event()
        async with world.cache() as cache:
            asking = [asyncio.create_task(cache.ask(ask())) for _ in range(8)]
            replies = await asyncio.gather(*asking)
            late = await cache.ask(ask(stream=True), Directives(replay=5.0))
            there = [await cache.ask(ask(), Directives(namespace="n")) for _ in range(2)]
            world.answerer.gate.set()
            for reply in [*replies, late, *there]:
                assert await answered(reply) == echo(ask())
            assert len(world.answerer.calls) == 2
            assert [reply.collapsed for reply in there] == [False, True]
            assert [reply.collapsed for reply in replies].count(False) == 1
            assert late.collapsed

    run(test)


def test_a_caller_who_leaves_cancels_nobody_and_the_last_one_cancels_all(world: World) -> None:
    async def test() -> None:
        world.answerer.gate = asyncio.Event()
        async with world.cache() as cache:
            first, second = await cache.ask(ask()), await cache.ask(ask())
            first.close()
            await asyncio.sleep(0.05)
            assert world.answerer.cancelled == 0
            second.close()
            await second.stored()
            assert world.answerer.cancelled == 1
            world.answerer.gate = None
            again = await cache.ask(ask())
            assert await answered(again) == echo(ask())
            assert len(world.answerer.calls) == 2

    run(test)


@pytest.mark.parametrize("fail_after", [0, 3])
def test_an_error_reaches_everybody_and_is_never_stored(world: World, fail_after: int) -> None:
    async def test() -> None:
        world.answerer = ScriptedAnswerer(error=EngineError("broke"), fail_after=fail_after)
        async with world.cache() as cache:
            replies = [await cache.ask(ask()) for _ in range(2)]
            for reply in replies:
                with pytest.raises(EngineError):
                    await reply.completion()
                reply.close()
            world.answerer.error = None
            again = await cache.ask(ask())
            assert isinstance(again.decision, Miss)
            await answered(again)

    run(test)


def test_what_policy_skips_is_not_stored(world: World) -> None:
    def truncated(request: ChatRequest) -> Completion:
        choice = {**echo(request).choices[0], "finish_reason": "length"}
        return Completion({**echo(request).wire, "choices": [choice]})

    async def test() -> None:
        world.answerer = ScriptedAnswerer(truncated)
        async with world.cache() as cache:
            reply = await cache.ask(ask())
            await answered(reply)
            assert reply.decided.kept == Skip("truncated")
            assert isinstance((await cache.ask(ask(), ONLY_IF_CACHED)).decision, Miss)

    run(test)


def test_directives_and_temperature(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            hot = await cache.ask(ask(temperature=0.9))
            assert hot.decision == Bypass("temperature")
            await answered(hot)
            await answered(await cache.ask(ask(), Directives(no_store=True)))
            assert isinstance((await cache.ask(ask(), ONLY_IF_CACHED)).decision, Miss)
            await answered(await cache.ask(ask()))
            fresh = await cache.ask(ask(), Directives(no_cache=True))
            assert fresh.decision == Bypass("request=no-cache")
            await answered(fresh)
            assert fresh.decided.kept == Keep(None)
            world.now += 100
            old = await cache.ask(ask(), Directives(max_age_s=50, only_if_cached=True))
            assert old.decision == Miss("max-age")

    run(test)
