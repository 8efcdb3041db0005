"""Changing and personal answers through the whole cache: real store, encoder, rules and probe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from semcache.cache import SemCache
from semcache.chat import ChatRequest
from semcache.completion import Completion, text_completion_of
from semcache.directives import NONE, Directives
from semcache.embedding import SentenceEncoder
from semcache.interfaces import Bypass, Hit, Miss
from semcache.policy import Keep, PolicySettings, Skip
from semcache.reply import Reply
from semcache.store import LocalStore
from tests.scripted import ScriptedAnswerer

ORDER = "Where is my order?"
ORDER_TOO = "Where is my order now?"
RULED = "Who is the president of France?"
PROBED = "which country has the largest army"
LASTS = "How tall is the Eiffel Tower?"


class World:
    """A cache whose answerer never says the same twice, and a clock that is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1_000_000.0
        self.answerer = ScriptedAnswerer(self._say)

    def _say(self, request: ChatRequest) -> Completion:
        text = f"answer {len(self.answerer.calls)} for {request.options.get('user')}"
        return text_completion_of(text, id="chatcmpl-x", created=1, model="m")

    @asynccontextmanager
    async def cache(self, *, semantic: bool = True, **settings: Any) -> AsyncIterator[SemCache]:
        encoder = SentenceEncoder.open() if semantic else None
        store = LocalStore(
            self.folder,
            dim=encoder.dim if encoder else None,
            embedder=encoder.fingerprint if encoder else None,
            clock=lambda: self.now,
        )
        made = SemCache(
            store=store,
            embedder=encoder,
            answerers=[self.answerer],
            settings=PolicySettings(**settings),
            clock=lambda: self.now,
        )
        try:
            yield made
        finally:
            await made.aclose()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


def ask(text: str, tenant: str = "t", **options: Any) -> ChatRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **options}
    return ChatRequest.from_wire(body, tenant=tenant)


async def said(
    cache: SemCache, request: ChatRequest, directives: Directives = NONE
) -> tuple[Reply, str]:
    reply = await cache.ask(request, directives)
    completion = await reply.completion()
    await reply.stored()
    reply.close()
    return reply, completion.text or ""


# ------------------------------------------------------------------------------------- personal


@pytest.mark.parametrize("text", [ORDER, "我的订单在哪里？"])
@pytest.mark.parametrize("field", ["user", "safety_identifier"])
def test_two_users_of_a_tenant_never_share_a_personal_answer(
    world: World, text: str, field: str
) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            anna, bob = ask(text, **{field: "anna"}), ask(text, **{field: "bob"})
            _, first = await said(cache, anna)
            reply, other = await said(cache, bob)
            assert isinstance(reply.decision, Miss)
            assert other != first
            again, same = await said(cache, anna)
            assert isinstance(again.decision, Hit)
            assert same == first
            _, bobs = await said(cache, bob)
            assert bobs == other
            assert len(world.answerer.calls) == 2

    run(test)


def test_nor_in_other_words_nor_across_tenants(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            _, first = await said(cache, ask(ORDER, user="anna"))
            hers, text = await said(cache, ask(ORDER_TOO, user="anna"))
            assert isinstance(hers.decision, Hit)
            assert hers.decision.tier == "semantic"
            assert text == first
            for stranger in (
                ask(ORDER_TOO, user="bob"),
                ask(ORDER_TOO, tenant="u", user="anna"),
                ask(ORDER_TOO, user="anna", safety_identifier="s"),
            ):
                reply, text = await said(cache, stranger)
                assert reply.decision == Miss("no neighbour")
                assert text != first

    run(test)


def test_without_a_user_nothing_is_read_or_stored(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            for _ in range(2):
                reply, _ = await said(cache, ask(ORDER))
                assert reply.decision == Bypass("personal")
                assert reply.decided.kept is None
            assert len(world.answerer.calls) == 2
            assert cache.layers.store.stats().entries == 0

    run(test)


def test_identical_personal_requests_in_flight_share_within_a_user_only(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            asked = [ask(ORDER, user="anna"), ask(ORDER, user="anna"), ask(ORDER, user="bob")]
            asked += [ask(ORDER), ask(ORDER)]
            answers = [text for _, text in await asyncio.gather(*(said(cache, a) for a in asked))]
            assert answers[0] == answers[1]
            assert len(set(answers)) == 4

    run(test)


def test_a_tenant_may_be_one_user(world: World) -> None:
    async def test() -> None:
        async with world.cache(personal="tenant") as cache:
            _, first = await said(cache, ask(ORDER))
            reply, again = await said(cache, ask(ORDER))
            assert isinstance(reply.decision, Hit)
            assert again == first
            for stranger in (ask(ORDER, user="bob"), ask(ORDER, tenant="u")):
                assert (await said(cache, stranger))[1] != first

    run(test)


def test_the_user_divides_no_other_question(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            _, first = await said(cache, ask(LASTS, user="anna"))
            reply, again = await said(cache, ask(LASTS, user="bob"))
            assert isinstance(reply.decision, Hit)
            assert again == first

    run(test)


def test_a_personal_answer_from_elsewhere_needs_its_user(world: World) -> None:
    async def test() -> None:
        answer = text_completion_of("On its way.", id="chatcmpl-y", created=1, model="m")
        async with world.cache() as cache:
            assert await cache.put(ask(ORDER), answer) == Skip("personal")
            assert await cache.put(ask("Flip a coin."), answer) == Skip("volatile")
            kept = await cache.put(ask(ORDER, user="anna"), answer)
            assert kept == Keep(world.now + 300, -1.0)
            assert (await said(cache, ask(ORDER, user="anna")))[1] == "On its way."
            assert (await said(cache, ask(ORDER, user="bob")))[1] != "On its way."

    run(test)


# ------------------------------------------------------------------------------------- volatile


@pytest.mark.parametrize("text", [RULED, PROBED, ORDER])
def test_a_changing_answer_expires_and_a_lasting_one_does_not(world: World, text: str) -> None:
    async def test() -> None:
        async with world.cache(volatile_ttl_s=60.0) as cache:
            reply, first = await said(cache, ask(text, user="anna"))
            assert reply.decided.kept == Keep(world.now + 60, -1.0)
            stays, _ = await said(cache, ask(LASTS))
            assert stays.decided.kept == Keep(None)
            world.now += 59
            reply, again = await said(cache, ask(text, user="anna"))
            assert isinstance(reply.decision, Hit)
            assert again == first
            world.now += 2
            reply, fresh = await said(cache, ask(text, user="anna"))
            assert reply.decision == Miss("stale")
            assert fresh != first
            assert isinstance((await said(cache, ask(LASTS)))[0].decision, Hit)

    run(test)


def test_without_an_encoder_the_rules_alone_decide(world: World) -> None:
    async def test() -> None:
        async with world.cache(semantic=False) as cache:
            assert (await said(cache, ask(RULED)))[0].decided.kept == Keep(world.now + 300, -1.0)
            assert (await said(cache, ask(PROBED)))[0].decided.kept == Keep(None)

    run(test)


def test_a_request_that_skips_the_lookup_is_judged_by_its_vector_all_the_same(
    world: World,
) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            reply, _ = await said(cache, ask(PROBED), Directives(no_cache=True))
            assert reply.decided.kept == Keep(world.now + 300, -1.0)

    run(test)


def test_a_volatile_question_gets_no_old_answer_of_a_question_that_was_not(world: World) -> None:
    async def test() -> None:
        async with world.cache(volatile="off") as cache:
            _, old = await said(cache, ask("Who is president of France?"))
        world.now += 301
        async with world.cache() as cache:
            reply, fresh = await said(cache, ask(RULED))
            assert isinstance(reply.decision, Miss)
            assert reply.decision.reason == "max-age"
            assert fresh != old

    run(test)


@pytest.mark.parametrize("text", [RULED, PROBED])
def test_bypass_stores_nothing_that_changes(world: World, text: str) -> None:
    async def test() -> None:
        async with world.cache(volatile="bypass") as cache:
            for _ in range(2):
                reply, _ = await said(cache, ask(text))
                assert reply.decision in (Bypass("volatile"), Miss("volatile"))
                assert reply.decided.kept in (None, Skip("volatile"))
            assert cache.layers.store.stats().entries == 0
            assert len(world.answerer.calls) == 2

    run(test)


def test_the_time_of_day_is_never_kept(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            for _ in range(2):
                reply, _ = await said(cache, ask("What time is it?"))
                assert reply.decision == Bypass("volatile")
            assert len(world.answerer.calls) == 2

    run(test)


def test_off_keeps_everything_for_good_and_for_all(world: World) -> None:
    async def test() -> None:
        async with world.cache(volatile="off", personal="off") as cache:
            for text in (RULED, PROBED, ORDER, "What time is it?"):
                reply, first = await said(cache, ask(text, user="anna"))
                assert reply.decided.kept == Keep(None)
                again, same = await said(cache, ask(text, user="bob"))
                assert isinstance(again.decision, Hit)
                assert same == first

    run(test)
