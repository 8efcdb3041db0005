"""An answerer that declines makes room for the next, and its answer is stored all the same."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from semcache.cache import SemCache
from semcache.errors import Declined, EngineError
from semcache.explain import reply_headers
from semcache.interfaces import Answerer, Hit, Miss
from semcache.store import LocalStore
from semcache.succession import Succession
from tests.cache_world import BREAD, ask
from tests.scripted import ScriptedAnswerer


def _declining(fail_after: int = 0) -> ScriptedAnswerer:
    error = Declined("The documents say nothing about this.")
    return ScriptedAnswerer(name="documents", knowledge="d", error=error, fail_after=fail_after)


def test_the_next_one_answers_and_the_answer_is_stored(tmp_path: Path) -> None:
    first, other, second = _declining(), ScriptedAnswerer(models=["x"]), ScriptedAnswerer()

    async def test() -> None:
        store = LocalStore(tmp_path, dim=None, embedder=None)
        cache = SemCache(store=store, answerers=[first, other, second])
        try:
            reply = await cache.ask(ask(BREAD))
            assert isinstance(reply.decision, Miss)
            assert (await reply.completion()).text == f"m answers: {BREAD}"
            await reply.stored()
            again = await cache.ask(ask(BREAD))
            assert isinstance(again.decision, Hit)
            headers = dict(reply_headers(reply, 0.0))
            assert headers[b"x-semcache-answerer"] == b"scripted"  # not who declined
            assert again.plan.key.scope.source.knowledge == "d"  # which may come to know
            assert [len(one.calls) for one in (first, other, second)] == [1, 0, 1]
        finally:
            await cache.aclose()

    asyncio.run(test())


def test_who_declines_alone_is_heard(tmp_path: Path) -> None:
    async def test() -> None:
        cache = SemCache(
            store=LocalStore(tmp_path, dim=None, embedder=None), answerers=[_declining()]
        )
        try:
            with pytest.raises(Declined):
                await (await cache.ask(ask(BREAD))).completion()
        finally:
            await cache.aclose()

    asyncio.run(test())


@pytest.mark.parametrize(
    ("answerers", "error", "heard"),
    [
        ([_declining(), _declining()], Declined, 0),
        ([_declining(fail_after=1), ScriptedAnswerer()], Declined, 1),
        ([ScriptedAnswerer(error=EngineError("broken")), ScriptedAnswerer()], EngineError, 0),
    ],
    ids=["all", "too late", "an error is no decline"],
)
def test_what_is_raised(answerers: list[Answerer], error: type[Exception], heard: int) -> None:
    chunks = []

    async def test() -> None:
        async for chunk in Succession(answerers).answer(ask(BREAD)):
            chunks.append(chunk)

    with pytest.raises(error):
        asyncio.run(test())
    assert len(chunks) == heard
