"""Stale answers served while another is made (RFC 5861, section 3); lives by model and route."""

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
from semcache.config_sections import PolicySection
from semcache.directives import NONE, ONLY_IF_CACHED, Directives, parse_cache_control
from semcache.errors import ConfigError, UpstreamError
from semcache.explain import reply_headers
from semcache.policy import Keep, PolicySettings, Skip, TtlRule, keep
from semcache.refreshing import PAUSE_S
from semcache.reply import Reply
from semcache.sections import read_section
from semcache.store import LocalStore
from tests.cache_world import ask
from tests.scripted import ScriptedAnswerer, echo

HOUR = 3_600.0
WEATHER = "What is the weather in Oslo today?"


class World:
    """A cache whose answers live an hour and may be a minute stale; each answer says its number."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1_800_000_000.0
        self.answerer = ScriptedAnswerer(self.numbered)

    def numbered(self, request: ChatRequest) -> Completion:
        number = len(self.answerer.calls)
        return text_completion_of(f"answer {number}", id="chatcmpl-1", created=1, model="m")

    @asynccontextmanager
    async def cache(self, **settings: Any) -> AsyncIterator[SemCache]:
        given = {"ttl_s": HOUR, "semantic": False, "stale_while_revalidate_s": 60.0, **settings}
        made = SemCache(
            store=LocalStore(self.folder, clock=lambda: self.now),
            answerers=[self.answerer],
            settings=PolicySettings(**given),
            clock=lambda: self.now,
        )
        try:
            yield made
        finally:
            await made.aclose()

    def seen(self, reply: Reply) -> dict[str, str]:
        return {k.decode(): v.decode() for k, v in reply_headers(reply, self.now)}


async def answered(
    cache: SemCache, text: str = "Who?", directives: Directives = NONE, **options: Any
) -> tuple[str, Reply]:
    reply = await cache.ask(ask(text, **options), directives)
    completion = await reply.completion()
    await reply.stored()
    reply.close()
    return completion.text, reply


def test_stale_is_served_at_once_and_one_refresh_is_flown(tmp_path: Path) -> None:
    async def test() -> None:
        world = World(tmp_path)
        async with world.cache() as cache:
            await answered(cache)
            world.now += HOUR + 59
            gate = world.answerer.gate = asyncio.Event()
            replies = [await answered(cache) for _ in range(5)]
            assert {text for text, _ in replies} == {"answer 1"}
            headers = world.seen(replies[0][1])
            assert headers["x-semcache-status"] == "STALE"
            assert "; hit; ttl=-59;" in headers["cache-status"]
            assert '; detail="stale-while-revalidate"' in headers["cache-status"]
            await asyncio.sleep(0)
            assert len(world.answerer.calls) == 2
            gate.set()
            await cache.refreshing.settled()
            text, reply = await answered(cache)
            assert (text, world.seen(reply)["x-semcache-status"]) == ("answer 2", "HIT")
            assert len(world.answerer.calls) == 2
            world.now += HOUR + 60  # beyond the window it is a miss
            assert (await answered(cache))[0] == "answer 3"

    asyncio.run(test())


def test_a_failed_refresh_leaves_the_answer_and_is_not_tried_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        world = World(tmp_path)
        async with world.cache(stale_while_revalidate_s=HOUR) as cache:
            await answered(cache)
            world.now += HOUR
            world.answerer.error = UpstreamError("down", status=503)
            for _ in range(3):
                assert (await answered(cache))[0] == "answer 1"
                await cache.refreshing.settled()
            assert len(world.answerer.calls) == 2
            world.now += PAUSE_S
            world.answerer.error = None
            assert (await answered(cache))[0] == "answer 1"
            await cache.refreshing.settled()
            assert (await answered(cache))[0] == "answer 3"

    asyncio.run(test())


def test_who_does_not_get_a_stale_answer(tmp_path: Path) -> None:
    async def test() -> None:
        world = World(tmp_path)
        async with world.cache(volatile_ttl_s=30.0) as cache:
            await answered(cache)
            await answered(cache, WEATHER)
            world.now += 31
            assert (await answered(cache, WEATHER))[0] == "answer 3"
            world.now += HOUR
            for said in ("stale-while-revalidate=30", "max-age=60", "min-fresh=1", "no-cache"):
                wishes = parse_cache_control(f"{said}, no-store")
                text, reply = await answered(cache, directives=wishes)
                assert text != "answer 1", said
                assert world.seen(reply)["x-semcache-status"] in {"MISS", "BYPASS"}
            calls = len(world.answerer.calls)
            reply = await cache.ask(ask("Who?"), ONLY_IF_CACHED)  # no other is made: none is stale
            assert reply.rendered is None
            reply.close()
            text, reply = await answered(cache, directives=parse_cache_control("no-store"))
            assert (text, len(world.answerer.calls)) == ("answer 1", calls)
        async with world.cache(stale_while_revalidate_s=0.0) as cache:
            assert (await answered(cache))[0] == f"answer {calls + 1}"

    asyncio.run(test())


def test_a_caller_without_an_event_loop_has_it_made_in_a_thread(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def first(cache: SemCache) -> None:
        await answered(cache)

    async def whole() -> None:
        async with world.cache() as cache:
            await first(cache)
            world.now += HOUR + 1
            plan = cache.plan(ask("Who?"))
            reply = await asyncio.to_thread(cache.peek, plan)  # a thread without a loop
            assert reply is not None
            assert reply.rendered is not None
            assert reply.rendered.completion.text == "answer 1"
            await cache.refreshing.settled()
            assert (await answered(cache))[0] == "answer 2"

    asyncio.run(whole())


RULES = (
    TtlRule(60.0, "gpt-*", "chat", 5.0),
    TtlRule(None, "gpt-4o", "completions"),
    TtlRule(7.0, route="responses"),
)


@pytest.mark.parametrize(
    ("model", "route", "life_s"),
    [
        ("gpt-4o", "chat", 60.0),
        ("gpt-4o", "completions", None),
        ("gpt-5", "completions", 900.0),
        ("GPT-4o", "chat", 900.0),
        ("other", "responses", 7.0),
    ],
)
def test_the_first_rule_that_holds_has_its_word(
    model: str, route: str, life_s: float | None
) -> None:
    assert PolicySettings(ttl_s=900.0, ttls=RULES).life_s(model, route) == life_s


def test_an_answer_lives_as_its_models_rule_says_and_a_caller_shortens_it() -> None:
    settings = PolicySettings(ttl_s=900.0, ttls=RULES)
    request = ask("Who?", model="gpt-4o")
    kept = [
        keep(echo(request), 1_000.0, settings, directives, request)
        for directives in (NONE, Directives(ttl_s=10.0), Directives(ttl_s=1e6))
    ]
    assert kept == [Keep(1_060.0, 5.0), Keep(1_010.0, 5.0), Keep(1_060.0, 5.0)]
    assert keep(echo(request), 1_000.0, settings) == Keep(1_900.0)
    assert isinstance(keep(Completion({}), 1_000.0, settings, NONE, request), Skip)


def test_rules_are_read_and_checked() -> None:
    given = {"ttls": [{"model": "gpt-*", "route": "chat", "ttl_s": 60}]}
    assert read_section(PolicySection, given, "policy").ttls == (TtlRule(60, "gpt-*", "chat"),)
    with pytest.raises(ConfigError, match=r"policy\.ttls\[0\]\.route"):
        read_section(PolicySection, {"ttls": [{"ttl_s": 1, "route": "chats"}]}, "policy")
    with pytest.raises(ConfigError, match=r"policy\.ttls\[0\].*ttl_s"):
        read_section(PolicySection, {"ttls": [{"model": "gpt-*"}]}, "policy")
    with pytest.raises(ConfigError, match=r"policy\.ttls\[0\]"):
        PolicySection(ttls=(TtlRule(ttl_s=-1.0),)).check()


def test_a_refresh_whose_event_loop_is_gone_keeps_nobody_from_another(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def first(cache: SemCache) -> None:
        await answered(cache)
        world.now += HOUR + 1
        world.answerer.gate = asyncio.Event()  # never set
        await answered(cache)
        await asyncio.sleep(0)

    async def second(cache: SemCache) -> None:
        world.answerer.gate = None
        await answered(cache)
        await cache.refreshing.settled()
        assert (await answered(cache))[0] == "answer 3"

    async def made() -> Any:
        context = world.cache()
        return context, await context.__aenter__()

    loop = asyncio.new_event_loop()
    context, cache = loop.run_until_complete(made())
    loop.run_until_complete(first(cache))
    loop.close()
    asyncio.run(second(cache))
    asyncio.run(context.__aexit__(None, None, None))
