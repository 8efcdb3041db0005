"""Near-duplicates in flight: real encoder, real verifier, an answerer that can be held."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from semcache.cache import SemCache
from semcache.chat import ChatRequest
from semcache.completion import Completion
from semcache.directives import Directives
from semcache.embedding import SentenceEncoder
from semcache.errors import EngineError
from semcache.explain import reply_headers
from semcache.interfaces import Verifier
from semcache.policy import PolicySettings
from semcache.reply import Reply
from semcache.store import LocalStore
from semcache.verify.verifier import PairVerifier
from tests.cache_world import BREAD, HEIGHT, HEIGHT_TOO, ask, run
from tests.scripted import ScriptedAnswerer, echo

WIDTH = "How wide is the Eiffel Tower?"


class World:
    """A cache whose answers are held until `gate` is set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answerer = ScriptedAnswerer()
        self.verifier: Verifier | None = PairVerifier.open()

    @asynccontextmanager
    async def cache(self, **settings: Any) -> AsyncIterator[SemCache]:
        encoder = SentenceEncoder.open()
        made = SemCache(
            store=LocalStore(
                self.folder, dim=encoder.dim, embedder=encoder.fingerprint, sketches=True
            ),
            embedder=encoder,
            answerers=[self.answerer],
            verifier=self.verifier,
            settings=PolicySettings(**settings),
        )
        self.gate = self.answerer.gate = asyncio.Event()
        try:
            yield made
        finally:
            self.gate.set()
            await made.aclose()

    async def begun(self, cache: SemCache, calls: int, *asked: Any, **kw: Any) -> asyncio.Task[Any]:
        """A question that the answerer has been asked, as many as this in all."""
        task = asyncio.ensure_future(said(cache, *asked, **kw))
        while len(self.answerer.calls) < calls:
            await asyncio.sleep(0.005)
        return task


async def said(
    cache: SemCache, text: str, directives: Directives | None = None, **options: Any
) -> tuple[str, dict[str, str], str]:
    """The answer's text, its headers, its id."""
    reply: Reply = await cache.ask(ask(text, **options), directives or Directives())
    try:
        completion = await reply.completion()
        await reply.stored()
        headers = {k.decode(): v.decode() for k, v in reply_headers(reply, 0.0)}
        return completion.text, headers, str(completion.wire["id"])
    finally:
        reply.close()


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.005)


def test_a_near_duplicate_joins_what_is_in_the_making(tmp_path: Path) -> None:
    async def test() -> None:
        world = World(tmp_path)
        async with world.cache() as cache:
            first = await world.begun(cache, 1, HEIGHT)
            live = await cache.fly(cache.plan(ask(HEIGHT_TOO, stream=True)))
            chunks = aiter(live)
            began = await anext(chunks)  # while the first is still being made
            headers = dict(reply_headers(live, 0.0))
            assert headers[b"x-semcache-status"] == b"COALESCED"
            assert b"; collapsed;" in headers[b"cache-status"]
            assert 0.6 < float(headers[b"x-semcache-similarity"]) < 1.0
            whole = asyncio.ensure_future(said(cache, HEIGHT_TOO))
            other = await world.begun(cache, 2, WIDTH)  # near, and another question
            world.gate.set()
            text, _, first_id = await first
            rest = [chunk async for chunk in chunks]
            live.close()
            parts = [c.wire["choices"][0]["delta"] for c in (began, *rest) if c.wire["choices"]]
            assert "".join(part.get("content") or "" for part in parts) == text
            ids = {chunk.wire["id"] for chunk in (began, *rest)}
            assert len(ids) == 1
            assert first_id not in ids  # a verdict on the one is none on the other
            assert (await whole)[:1] == (text,)
            assert (await other)[0] == f"m answers: {WIDTH}"
            assert len(world.answerer.calls) == 2
            stored = sorted(str(entry.question) for entry in cache.layers.store.scan())
            assert stored == sorted([HEIGHT, WIDTH])
            assert cache.tally.counts()["joined"] == 1

    run(test)


def test_who_joined_an_answer_that_fails_asks_for_itself(tmp_path: Path) -> None:
    def cut(request: ChatRequest) -> Completion:
        whole = echo(request)
        if len(world.answerer.calls) > 1:
            return whole
        choice = {**whole.choices[0], "finish_reason": "length"}
        return Completion({**whole.wire, "choices": [choice]})

    world = World(tmp_path)

    async def test() -> None:
        async with world.cache() as cache:
            world.answerer.error, world.answerer.fail_after = EngineError("broke"), 1
            first = await world.begun(cache, 1, HEIGHT)
            second = asyncio.ensure_future(said(cache, HEIGHT_TOO))
            await until(lambda: "miss: no neighbour" in cache.tally.counts())
            await until(lambda: cache.tally.counts()["miss: no neighbour"] == 2)
            await asyncio.sleep(0.1)  # so that it waits in the other's flight
            world.gate.set()
            await asyncio.wait([first])
            assert isinstance(first.exception(), EngineError)
            await until(lambda: len(world.answerer.calls) == 2)
            await asyncio.wait([second])
            assert isinstance(second.exception(), EngineError)  # its own
            assert [call.messages[0]["content"] for call in world.answerer.calls] == [
                HEIGHT,
                HEIGHT_TOO,
            ]

    async def shortened() -> None:
        world.answerer = ScriptedAnswerer(cut)
        async with world.cache() as cache:
            first = await world.begun(cache, 1, HEIGHT)
            second = asyncio.ensure_future(said(cache, HEIGHT_TOO))
            await until(lambda: cache.tally.counts().get("miss: no neighbour") == 2)
            await asyncio.sleep(0.1)
            world.gate.set()
            await first
            assert (await second)[0] == f"m answers: {HEIGHT_TOO}"

    run(test)
    run(shortened)


async def alone(world: World, cache: SemCache, text: str, *asked: Any, **options: Any) -> None:
    """A question that is answered for itself while another is in the making."""
    await cache.clear()
    world.answerer.calls.clear()
    world.gate = world.answerer.gate = asyncio.Event()
    first = await world.begun(cache, 1, HEIGHT)
    second = await world.begun(cache, 2, text, *asked, **options)
    world.gate.set()
    assert (await first)[0] == f"m answers: {HEIGHT}"
    assert (await second)[0] == f"m answers: {text}"
    assert "joined" not in cache.tally.counts()


def test_who_does_not_join(tmp_path: Path) -> None:
    async def test() -> None:
        world = World(tmp_path)
        async with world.cache(volatile="bypass") as cache:
            await alone(world, cache, HEIGHT_TOO, Directives(exact_only=True))
            await alone(world, cache, HEIGHT_TOO, Directives(threshold=0.999))
            await alone(world, cache, HEIGHT_TOO, max_tokens=7)  # another scope
            await alone(world, cache, HEIGHT_TOO, tenant="another")
            await alone(world, cache, BREAD)
            await alone(world, cache, "How tall is the Eiffel Tower today?")
            leading = cache._leading
            under_a_bound = replace(leading.joining, certified=True)
            cache._leading = replace(leading, joining=under_a_bound)
            await alone(world, cache, HEIGHT_TOO)
        async with world.cache(join_similar=False) as cache:
            await alone(world, cache, HEIGHT_TOO)
        world.verifier = None
        async with world.cache() as cache:
            await alone(world, cache, HEIGHT_TOO)

    run(test)
