"""Several servers for one name, each a real one on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from semcache.caller import Caller
from semcache.completion import collect
from semcache.errors import UpstreamDown, UpstreamError
from semcache.failover import Alternative, Failover, Persistence
from semcache.upstream import Upstream, UpstreamSettings
from tests.loopback import Drop, Events, Json, Loopback, Raw, Reply, Silence, sse
from tests.relaying import HELLO, chat


class Clock:
    """Time that moves when it is told to, or when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now


def says(text: str) -> Json:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
    }
    return Json({"id": "c", "object": "chat.completion", "created": 1, "choices": [choice]})


DOWN = Json({"error": {"message": "overloaded"}}, status=503)


@pytest.fixture
def stage() -> Iterator[Callable[..., list[Loopback]]]:
    with ExitStack() as stack:
        yield lambda *scripts: [stack.enter_context(Loopback(list(one))) for one in scripts]


def run(
    servers: list[Loopback],
    work: Callable[[Failover], Any],
    clock: Clock | None = None,
    persistence: Persistence | None = None,
) -> Any:
    clock = clock or Clock()

    async def sleep(wait_s: float) -> None:
        clock.waits.append(wait_s)
        clock.now += wait_s

    async def all_of_it() -> Any:
        upstreams = [
            Upstream(UpstreamSettings(base_url=server.base_url, timeout_s=5)) for server in servers
        ]
        models = [None, "other-name", None]
        failover = Failover(
            [Alternative(one, model) for one, model in zip(upstreams, models, strict=False)],
            clock,
            persistence or Persistence(),
            chance=lambda: 0.5,
            sleep=sleep,
        )
        try:
            return await work(failover)
        finally:
            await failover.aclose()

    return asyncio.run(all_of_it())


async def ask(failover: Failover, **fields: Any) -> str:
    return collect([chunk async for chunk in failover.answer(chat(**fields))]).text


@pytest.mark.parametrize("broken", [DOWN, Raw(), Json("no JSON"), Json({}, status=429)])
def test_the_next_one_answers_in_its_own_words(stage: Any, broken: Reply) -> None:
    servers = stage([broken], [says("second")])
    assert run(servers, ask) == "second"
    assert servers[1].requests[0].json()["model"] == "other-name"
    assert servers[0].requests[0].json()["model"] == "gpt-x"


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_refusal_of_the_request_is_final(stage: Any, status: int) -> None:
    servers = stage([Json({"error": {"message": "no"}}, status=status)], [says("second")])
    with pytest.raises(UpstreamError) as told:
        run(servers, ask)
    assert told.value.status == status
    assert not servers[1].requests


def test_where_all_are_down_the_last_one_says_why(stage: Any) -> None:
    last = Json({"error": {"message": "gone"}}, status=500)
    with pytest.raises(UpstreamError) as told:
        run(stage([DOWN], [last]), ask)
    assert told.value.status == 500


def test_a_stream_that_has_begun_is_not_begun_again(stage: Any) -> None:
    servers = stage([Events([*sse(HELLO[0], done=False), Drop()])], [says("second")])
    with pytest.raises(UpstreamError):
        run(servers, lambda failover: ask(failover, stream=True))
    assert not servers[1].requests


def test_who_failed_is_passed_over_for_a_while(stage: Any) -> None:
    servers = stage([DOWN, says("first again")], [says("second")])
    clock = Clock()

    async def thrice(failover: Failover) -> list[str]:
        told = [await ask(failover), await ask(failover)]
        clock.now += 10.0
        return [*told, await ask(failover)]

    assert run(servers, thrice, clock) == ["second", "second", "first again"]
    assert [len(server.requests) for server in servers] == [2, 2]


def test_all_are_asked_again_where_all_have_failed(stage: Any) -> None:
    servers = stage([DOWN, says("first again")], [DOWN])

    async def twice(failover: Failover) -> str:
        with pytest.raises(UpstreamError):
            await ask(failover)
        return await ask(failover)

    assert run(servers, twice) == "first again"


def test_it_speaks_in_the_name_of_the_first(stage: Any) -> None:
    servers = stage([Json({"data": []})], [Json({"data": [{"id": "m2"}]})])

    async def said(failover: Failover) -> tuple[str, str, list[dict[str, Any]]]:
        source = failover.source(chat())
        return failover.name, source.model, await failover.fetch_models()

    name, model, listed = run(servers, said)
    assert (name, model, listed) == ("upstream", servers[0].base_url, [{"id": "m2"}])


def busy(retry_after: str, status: int = 429) -> Json:
    told = {"error": {"message": "slow down"}}
    return Json(told, status=status, headers={"retry-after": retry_after})


def test_what_fails_in_passing_is_sent_again_later_each_time(stage: Any) -> None:
    servers, clock = stage([DOWN, Raw(), says("third time")]), Clock()
    assert run(servers, ask, clock, Persistence(retries=2)) == "third time"
    assert clock.waits == [0.375, 0.75]
    assert len(servers[0].requests) == 3


def test_a_server_says_when_to_come_again(stage: Any) -> None:
    servers, clock = stage([busy("3", 503), says("second time")]), Clock()
    assert run(servers, ask, clock, Persistence(retries=2)) == "second time"
    assert clock.waits == [3.0]
    refusing = Json({}, status=503, headers={"x-should-retry": "false"})
    for final in (busy("9", 503), refusing, Json({}, status=400)):
        servers, clock = stage([final]), Clock()
        with pytest.raises(UpstreamError):
            run(servers, ask, clock, Persistence(retries=2))
        assert (clock.waits, len(servers[0].requests)) == ([], 1)


def test_an_answer_that_has_begun_is_not_sent_for_again(stage: Any) -> None:
    servers = stage([Events([*sse(HELLO[0], done=False), Drop()]), says("second")])
    with pytest.raises(UpstreamError):
        run(servers, lambda failover: ask(failover, stream=True), None, Persistence(retries=3))
    assert len(servers[0].requests) == 1


def test_who_keeps_failing_is_left_alone_until_one_request_finds_it_well(stage: Any) -> None:
    servers, clock = stage([DOWN, DOWN, DOWN, says("well again"), says("for all")]), Clock()

    async def outage(failover: Failover) -> list[str]:
        for failing in (2, 1):  # the second time, the one that tries fails
            for _ in range(failing):
                with pytest.raises(UpstreamError, match="503"):
                    await ask(failover)
            with pytest.raises(UpstreamDown) as told:
                await ask(failover)
            assert (told.value.status, told.value.retry_after_s) == (503, 7)
            clock.now += 7.0
        return [await ask(failover), await ask(failover)]

    persistence = Persistence(failures=2, rest_s=7.0)
    assert run(servers, outage, clock, persistence) == ["well again", "for all"]


def test_only_one_tries_and_who_leaves_makes_room(stage: Any) -> None:
    servers, clock = stage([DOWN, Silence(), says("found well")]), Clock()

    async def outage(failover: Failover) -> str:
        with pytest.raises(UpstreamError):
            await ask(failover)
        clock.now += 7.0
        first = asyncio.ensure_future(ask(failover))
        while len(servers[0].requests) < 2:
            await asyncio.sleep(0.01)
        with pytest.raises(UpstreamDown):
            await ask(failover)
        first.cancel()
        await asyncio.wait([first])
        return await ask(failover)

    assert run(servers, outage, clock, Persistence(failures=1, rest_s=7.0)) == "found well"


def test_too_many_requests_hold_for_the_key_and_model_that_made_them(stage: Any) -> None:
    script = [busy("3600"), says("another model"), says("own key"), says("again")]
    servers, clock = stage(script), Clock()

    async def limited(failover: Failover) -> list[str]:
        with pytest.raises(UpstreamError) as told:
            await ask(failover)
        assert told.value.status == 429
        with pytest.raises(UpstreamDown) as down:
            await ask(failover)
        assert down.value.retry_after_s == 60
        said = [await ask(failover, model="gpt-y")]
        own = replace(chat(), caller=Caller("another", key="sk-own"))
        said.append(collect([chunk async for chunk in failover.answer(own)]).text)
        clock.now += 60.0
        return [*said, await ask(failover)]

    told = run(servers, limited, clock, Persistence(failures=1))
    assert told == ["another model", "own key", "again"]


def test_a_request_that_breaks_the_server_does_not_keep_others_from_it(stage: Any) -> None:
    broken = Json({"error": {"message": "assertion failed"}}, status=500)
    servers = stage([broken, broken, broken, says("to another")])

    async def poison(failover: Failover) -> str:
        for _ in range(3):
            with pytest.raises(UpstreamError, match="500"):
                await ask(failover)
        return await ask(failover)

    assert run(servers, poison, None, Persistence(failures=2)) == "to another"
