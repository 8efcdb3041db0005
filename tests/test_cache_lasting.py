"""The driver: lifetimes, broken layers, several loops, and callers who block."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from semcache.cache import SemCache
from semcache.chat import text_request
from semcache.completion import Completion, collect
from semcache.directives import NONE, ONLY_IF_CACHED
from semcache.embedding import SentenceEncoder
from semcache.errors import EmbeddingError, ModelNotFound, StoreError
from semcache.interfaces import Hit, Miss
from semcache.policy import Keep
from semcache.store import LocalStore
from tests.cache_world import BREAD, HEIGHT, HEIGHT_TOO, World, answered, ask, run
from tests.scripted import ScriptedAnswerer, echo


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_ttl(world: World) -> None:
    async def test() -> None:
        async with world.cache(ttl_s=60) as cache:
            await answered(await cache.ask(ask()))
            world.now += 59
            assert isinstance((await cache.ask(ask())).decision, Hit)
            world.now += 1
            stale = await cache.ask(ask())
            assert stale.decision == Miss("stale")
            await answered(stale)
            assert isinstance((await cache.ask(ask())).decision, Hit)

    run(test)


def test_what_was_stored_outlives_the_process(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            await answered(await cache.ask(ask()))
        async with world.cache() as cache:
            assert isinstance((await cache.ask(ask())).decision, Hit)
            near = await cache.ask(ask(HEIGHT_TOO))
            assert isinstance(near.decision, Hit)
        assert len(world.answerer.calls) == 1

    run(test)


def test_new_knowledge_makes_old_answers_unreachable_and_stale(world: World) -> None:
    async def test() -> None:
        world.answerer = ScriptedAnswerer(knowledge="v1")
        async with world.cache() as cache:
            await answered(await cache.ask(ask()))
            world.answerer.knowledge = "v2"
            assert await cache.knowledge_changed("scripted", "v2") == 1
            reply = await cache.ask(ask())
            assert isinstance(reply.decision, Miss)
            await answered(reply)
            assert cache.layers.store.stats().expired == 1
            assert isinstance((await cache.ask(ask())).decision, Hit)

    run(test)


def test_put_remove_clear(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            request = text_request(HEIGHT, tenant="t", model="m")
            assert await cache.put(request, echo(request)) == Keep(None)
            reply = await cache.ask(request)
            assert isinstance(reply.decision, Hit)
            assert await cache.remove([reply.plan.key.exact]) == 1
            assert isinstance((await cache.ask(request, ONLY_IF_CACHED)).decision, Miss)
            await cache.put(request, echo(request))
            assert await cache.clear("somebody else") == 0
            assert await cache.clear("t") == 1
            assert isinstance((await cache.ask(request, ONLY_IF_CACHED)).decision, Miss)

    run(test)


def test_nobody_answers_an_unknown_model(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            with pytest.raises(ModelNotFound, match="Models: m"):
                await cache.ask(ask(model="nobody"))

    run(test)


class Broken:
    """Stands in for a disk or a runtime that fails: every call raises."""

    def __init__(self, real: Any, error: Exception, *names: str) -> None:
        self._real, self._error, self._names = real, error, names

    def __getattr__(self, name: str) -> Any:
        if name in self._names:
            return self._fail
        return getattr(self._real, name)

    def _fail(self, *args: Any, **kwargs: Any) -> Any:
        raise self._error


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        ("store", ("get",)),
        ("store", ("search",)),
        ("store", ("put",)),
        ("store", ("version",)),
        ("store", ("touch",)),
        ("store", ("get", "search", "put", "version", "touch")),
        ("embedder", ("encode",)),
    ],
)
def test_a_broken_layer_is_a_miss_and_never_an_outage(
    world: World, layer: str, names: tuple[str, ...]
) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            await answered(await cache.ask(ask()))
            error: Exception = StoreError("disk") if layer == "store" else EmbeddingError("onnx")
            whole = cache.layers
            broken = Broken(getattr(whole, layer), error, *names)
            object.__setattr__(whole, layer, broken)
            for question in (HEIGHT, HEIGHT_TOO, BREAD):
                reply = await cache.ask(ask(question))
                said = await answered(reply)
                assert said in (echo(ask(question)), echo(ask(HEIGHT)))
            assert any(name.startswith("failed: ") for name in cache.tally.counts())
            object.__setattr__(whole, layer, broken._real)

    run(test)


def test_a_text_beyond_the_window_is_exact_only(world: World) -> None:
    long = "Tell me about the history of this long text. " * 60

    async def test() -> None:
        async with world.cache() as cache:
            reply = await cache.ask(ask(long))
            assert reply.decision == Miss("longer than the encoder's window")
            await answered(reply)
            again = await cache.ask(ask(long))
            assert isinstance(again.decision, Hit)
            assert again.decision.tier == "exact"
            other = await cache.ask(ask(long + "Or not?"))
            assert other.decision == Miss("longer than the encoder's window")
            await answered(other)

    run(test)


def test_several_event_loops_one_after_another(tmp_path: Path) -> None:
    encoder = SentenceEncoder.open()
    store = LocalStore(tmp_path, dim=encoder.dim, embedder=encoder.fingerprint)
    cache = SemCache(store=store, embedder=encoder, answerers=[ScriptedAnswerer()])

    async def once() -> Completion:
        return await answered(await cache.ask(ask()))

    assert asyncio.run(once()) == asyncio.run(once()) == echo(ask())
    assert cache.tally.counts()["hit: exact"] == 1
    asyncio.run(cache.aclose())


def test_a_stream_and_a_plain_request_share_one_entry(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            reply = await cache.ask(ask(stream=True), NONE)
            chunks = [chunk async for chunk in reply]
            await reply.stored()
            reply.close()
            assert collect(chunks) == echo(ask())
            assert isinstance((await cache.ask(ask())).decision, Hit)

    run(test)


def test_where_the_nearest_is_refused_the_next_is_served(world: World) -> None:
    asked = "How tall is the Eiffel Tower in 4 words?"
    nearest = "How tall is the Eiffel Tower in 3 words?"
    other = "Would you say in 4 words how tall the Eiffel Tower in Paris is?"

    async def test() -> None:
        async with world.cache() as cache:
            await answered(await cache.ask(ask(nearest)))
            vetoed = await cache.ask(ask(asked))
            assert isinstance(vetoed.decision, Miss)
            assert vetoed.decision.reason == "guard=numbers"
            await answered(vetoed)
            await cache.remove([vetoed.plan.key.exact])
            await answered(await cache.ask(ask(other)))
            assert cache.layers.embedder is not None
            vector = cache.layers.embedder.encode([asked])[0].vector
            assert vector is not None
            first, second = cache.layers.store.search(vetoed.plan.key.scope, vector, 4)
            assert (first.entry.question, second.entry.question) == (nearest, other)
            served = await cache.ask(ask(asked))
            assert isinstance(served.decision, Hit)
            assert served.decision.entry.question == other

    run(test)


def test_questions_that_wait_together_each_get_their_own_answer(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            towns = ["Lisbon", "Oslo", "Lima", "Cairo", "Hanoi", "Accra", "Quito", "Riga"]
            for town in towns:
                question = ask(f"How do I renew a parking permit in {town}?")
                await cache.put(question, echo(question))
            replies = await asyncio.gather(
                *(cache.ask(ask(f"In {town}, how can I renew a parking permit?")) for town in towns)
            )
            for town, reply in zip(towns, replies, strict=True):
                assert isinstance(reply.decision, Hit)
                assert town in (reply.decision.entry.question or "")

    run(test)


def test_callers_who_may_block_look_up_on_their_own_thread(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            assert isinstance(cache.get(ask()).decision, Miss)
            assert not world.answerer.calls
            await answered(await cache.ask(ask()))
            for request, tier in ((ask(), "exact"), (ask(HEIGHT_TOO), "semantic")):
                plan = cache.plan(request)
                decided = cache.look(plan)
                assert isinstance(decided.decision, Hit)
                assert decided.decision.tier == tier
                assert cache.get(request).rendered is not None
        with pytest.raises(RuntimeError, match="closed"):
            cache.look(cache.plan(ask(BREAD)))

    run(test)


def test_a_miss_that_was_looked_up_is_not_looked_up_again(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            plan = cache.plan(ask())
            known = cache.look(plan)
            assert isinstance(known.decision, Miss)
            reply = await cache.fly(plan, known)
            await answered(reply)
            assert reply.decision is known.decision
            # What somebody else stored in between is found after all.
            later = await cache.fly(plan, known)
            assert isinstance(later.decision, Hit)
            later.close()
            assert len(world.answerer.calls) == 1

    run(test)
