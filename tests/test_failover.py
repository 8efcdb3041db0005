"""Several servers for one name, each a real one on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from semcache.completion import collect
from semcache.errors import UpstreamError
from semcache.failover import Alternative, Failover
from semcache.upstream import Upstream, UpstreamSettings
from tests.loopback import Drop, Events, Json, Loopback, Raw, Reply, sse
from tests.relaying import HELLO, chat


class Clock:
    now = 100.0

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
    servers: list[Loopback], work: Callable[[Failover], Any], clock: Clock | None = None
) -> Any:
    async def all_of_it() -> Any:
        upstreams = [
            Upstream(UpstreamSettings(base_url=server.base_url, timeout_s=5)) for server in servers
        ]
        models = [None, "other-name", None]
        failover = Failover(
            [Alternative(one, model) for one, model in zip(upstreams, models, strict=False)],
            clock or Clock(),
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
