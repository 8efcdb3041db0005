"""Stale answers where nobody can make a fresh one (RFC 5861, section 4)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from semcache.cache import SemCache
from semcache.chat import ChatRequest
from semcache.directives import NONE, Directives
from semcache.errors import AnswerError, EngineBusy, UpstreamDown, UpstreamError
from semcache.explain import reply_headers
from semcache.policy import PolicySettings
from semcache.store import LocalStore
from tests.scripted import ScriptedAnswerer

HEIGHT = "How tall is the Eiffel Tower?"
DOWN = UpstreamError("The upstream is down.", status=503)


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class World:
    """A cache whose answers live an hour, and what answers behind it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.clock = Clock()
        self.answerer = ScriptedAnswerer()
        self.cache = SemCache(
            store=LocalStore(folder, clock=self.clock),
            answerers=[self.answerer],
            settings=PolicySettings(**{"ttl_s": 3600.0, "semantic": False, **settings}),
            clock=self.clock,
        )

    def ask(
        self, text: str = HEIGHT, directives: Directives = NONE, **options: Any
    ) -> tuple[str, dict[str, str]]:
        """The answer's text and its headers."""
        body = {"model": "m", "messages": [{"role": "user", "content": text}], **options}
        request = ChatRequest.from_wire(body, tenant="t")

        async def answered() -> tuple[str, dict[str, str]]:
            reply = await self.cache.ask(request, directives)
            completion = await reply.completion()
            await reply.stored()
            told = reply_headers(reply, self.clock())
            reply.close()
            return completion.text, {name.decode(): value.decode() for name, value in told}

        return asyncio.run(answered())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    asyncio.run(made.cache.aclose())


def outage(world: World, error: Exception = DOWN, later_s: float = 4_000.0) -> None:
    world.clock.now += later_s
    world.answerer.error = error


def test_yesterdays_answer_stands_in_and_says_so(world: World) -> None:
    fresh, _ = world.ask()
    outage(world)
    stale, headers = world.ask()
    assert stale == fresh
    assert headers["x-semcache-status"] == "STALE"
    assert "; hit; ttl=-400; " in headers["cache-status"]
    assert 'detail="stale-if-error;status=503"' in headers["cache-status"]
    assert headers["age"] == "4000"
    world.answerer.error = None
    again, headers = world.ask()
    assert (again, headers["x-semcache-status"]) == (fresh, "MISS")
    assert world.ask()[1]["x-semcache-status"] == "HIT"


def test_the_engine_is_asked_first(world: World) -> None:
    world.ask()
    outage(world)
    world.ask()
    assert len(world.answerer.calls) == 2


@pytest.mark.parametrize(
    ("error", "stands_in"),
    [
        (UpstreamError("broken", status=500), True),
        (UpstreamError("gone", status=502), True),
        (UpstreamError("slow", status=504), True),
        (EngineBusy("busy"), True),
        (UpstreamDown(), True),
        (UpstreamError("too many", status=429), False),
        (UpstreamError("who are you", status=401), False),
        (UpstreamError("no such model", status=404), False),
    ],
)
def test_only_outages_are_bridged(world: World, error: AnswerError, stands_in: bool) -> None:
    world.ask()
    outage(world, error)
    if stands_in:
        assert world.ask()[1]["x-semcache-status"] == "STALE"
        return
    with pytest.raises(AnswerError) as told:
        world.ask()
    assert told.value.status == error.status


def test_nothing_stands_in_for_another_question(world: World) -> None:
    world.ask()
    outage(world)
    with pytest.raises(UpstreamError):
        world.ask("How tall is the Empire State Building?")
    with pytest.raises(UpstreamError):
        world.ask(max_tokens=5)


def test_an_answer_that_has_begun_is_not_replaced(world: World) -> None:
    world.ask()
    outage(world)
    world.answerer.fail_after = 2
    with pytest.raises(UpstreamError):
        world.ask()


def test_the_bound_is_kept_and_a_caller_may_lower_it(world: World) -> None:
    world.ask()
    outage(world)
    with pytest.raises(UpstreamError):
        world.ask(directives=Directives(stale_if_error_s=0.0))
    with pytest.raises(UpstreamError):
        world.ask(directives=Directives(stale_if_error_s=399.0))
    longer = Directives(stale_if_error_s=1e9)
    assert world.ask(directives=longer)[1]["x-semcache-status"] == "STALE"
    outage(world, later_s=90_000.0)
    with pytest.raises(UpstreamError):
        world.ask(directives=longer)


def test_what_changes_with_time_does_not_stand_in(world: World) -> None:
    world.ask("What is the weather in Paris now?")
    world.ask("Who won the latest match of the season?")
    outage(world)
    for question in (
        "What is the weather in Paris now?",
        "Who won the latest match of the season?",
    ):
        with pytest.raises(UpstreamError):
            world.ask(question)


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    world = World(tmp_path, stale_if_error_s=0.0)
    world.ask()
    outage(world)
    with pytest.raises(UpstreamError):
        world.ask()
    asyncio.run(world.cache.aclose())
