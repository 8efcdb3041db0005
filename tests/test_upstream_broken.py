"""Answers that break, stall, lie or are left: none of them may ever look finished."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest

from semcache import endpoint, upstream
from semcache.completion import Chunk
from semcache.errors import UpstreamError
from semcache.upstream import Upstream, UpstreamSettings
from tests.loopback import Drop, Events, Json, Loopback, Raw, Reply, Silence, sse
from tests.relaying import HELLO, KEY, WAIT_S, chat, chunks_of, endless, piece, refusal, use


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"message": "too long", "code": 400}, 400),
        ({"message": "overloaded", "code": 503}, 503),
        ({"message": "no", "code": "server_error"}, 502),
        ({"message": "no", "code": 200}, 502),
        ("plain text", 502),
    ],
)
def test_an_error_inside_a_good_response_is_an_error(error: Any, status: int) -> None:
    for reply in (Events(sse(HELLO[0], {"error": error})), Json({"error": error})):
        with Loopback([reply]) as server:
            raised = refusal(server, chat(stream=isinstance(reply, Events)))
        assert raised.status == status
        assert json.loads(raised.body or b"") == {"error": error}


def test_an_error_beside_a_choice_is_an_error_too() -> None:
    failed = {**piece({"content": ""}, "error"), "error": {"code": 502, "message": "provider"}}
    with Loopback([Events(sse(HELLO[0], failed))]) as server:
        assert refusal(server, chat(stream=True)).status == 502


def _broken_streams() -> Iterator[Any]:
    events = sse(*HELLO)
    yield pytest.param(Events(events[:-1]), "without \\[DONE\\]", id="no done")
    yield pytest.param(Events([]), "without \\[DONE\\]", id="nothing")
    yield pytest.param(Events([*events[:-1], Drop()]), "broke off", id="dropped")
    yield pytest.param(Events([*events[:-1], b"data: [DONE]\n"]), "without", id="done cut off")
    yield pytest.param(Events([events[0], b"data: {'x'}\n\n"]), "invalid JSON", id="not JSON")
    for wire in ('["x"]', '"x"', "null", '{"choices": 1}', '{"choices": ["x"]}'):
        yield pytest.param(Events([f"data: {wire}\n\n".encode()]), "no answer", id=wire)
    for choice in ('{"index": "0"}', '{"delta": "x"}', '{"delta": {"tool_calls": ["x"]}}'):
        wire = f'{{"choices": [{choice}]}}'
        yield pytest.param(Events([f"data: {wire}\n\n".encode()]), "no answer", id=choice)
    yield pytest.param(Json(b'{"choices": '), "invalid JSON", id="half a body")
    yield pytest.param(Json({"object": "list"}), "no answer", id="no choices")
    yield pytest.param(Raw(b""), "broke off", id="closed at once")
    yield pytest.param(Raw(b"SSH-2.0\r\n"), "broke off", id="another protocol")
    short = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"
    yield pytest.param(Raw(short), "broke off", id="body too short")
    bad_gzip = Json(b"not gzip", headers={"content-encoding": "gzip"})
    yield pytest.param(bad_gzip, "broke off", id="bad gzip")


@pytest.mark.parametrize(("reply", "says"), list(_broken_streams()))
def test_a_broken_answer_never_looks_finished(reply: Reply, says: str) -> None:
    with Loopback([reply]) as server:
        error = refusal(server, chat(stream=True))
        assert len(server.requests) == 1
    assert error.status == 502
    assert error.body is None
    assert re.search(says, str(error))


def test_what_came_before_the_break_was_passed_on() -> None:
    async def seen_before(relay: Upstream) -> list[Any]:
        answer = relay.answer(chat(stream=True))
        wires = [(await anext(answer)).wire for _ in HELLO]
        with pytest.raises(UpstreamError, match="broke off"):
            await anext(answer)
        return wires

    with Loopback([Events([*sse(*HELLO, done=False), 0.01, Drop()])]) as server:
        assert asyncio.run(use(server, seen_before)) == HELLO


@pytest.mark.parametrize("reply", [Silence(), Events([*sse(HELLO[0], done=False), 600.0])])
def test_silence_ends_with_504(reply: Reply) -> None:
    with Loopback([reply]) as server:
        error = refusal(server, chat(stream=True), timeout_s=0.2)
        assert server.requests[0].gone.wait(WAIT_S)
    assert error.status == 504
    assert "timeout_s" in str(error)


def test_nobody_listening_is_502() -> None:
    with Loopback([Silence()]) as server:
        base_url = server.base_url
    gone = UpstreamSettings(base_url=base_url, api_key=KEY, name="far")

    async def try_it() -> UpstreamError:
        relay = Upstream(gone)
        with pytest.raises(UpstreamError) as refused:
            await chunks_of(relay, chat())
        assert await relay.fetch_models() == []
        await relay.aclose()
        return refused.value

    error = asyncio.run(try_it())
    assert error.status == 502
    assert "'far' could not be reached" in str(error)
    assert KEY not in json.dumps(error.to_wire())


def test_an_address_that_takes_no_connection_is_504() -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for queued in (first, second):  # fill the backlog: the kernel drops what comes next
            queued.setblocking(False)
            queued.connect_ex(full.getsockname())
        address = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        settings = UpstreamSettings(address, connect_timeout_s=0.2)

        async def try_it() -> UpstreamError:
            relay = Upstream(settings)
            with pytest.raises(UpstreamError) as refused:
                await chunks_of(relay, chat())
            await relay.aclose()
            return refused.value

        error = asyncio.run(try_it())
    assert error.status == 504
    assert "could not be reached in time" in str(error)


def test_no_free_connection_is_503() -> None:
    async def two(relay: Upstream) -> int:
        first = relay.answer(chat(stream=True))
        await anext(first)
        with pytest.raises(UpstreamError, match="max_connections") as refused:
            await chunks_of(relay, chat(stream=True))
        await first.aclose()
        return refused.value.status

    with Loopback([Events([*sse(HELLO[0], done=False), threading.Event()])]) as server:
        assert asyncio.run(use(server, two, max_connections=1, timeout_s=1.5)) == 503


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_beyond_the_limit_is_given_up(
    monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    monkeypatch.setattr(endpoint, "MAX_ANSWER_BYTES", 10_000)
    monkeypatch.setattr(upstream, "MAX_ANSWER_BYTES", 10_000)
    endless: Reply = Events(sse(HELLO[0], done=False) * 100) if stream else Json(b" " * 10_001)
    with Loopback([endless]) as server:
        error = refusal(server, chat(stream=stream))
    assert "more than 10000 bytes" in str(error)


# ---------------------------------------------------------------------- leaving, and connections


def test_closing_early_leaves_the_upstream() -> None:
    async def leave(relay: Upstream) -> None:
        answer: AsyncGenerator[Chunk, None] = relay.answer(chat(stream=True))
        await anext(answer)
        await answer.aclose()
        assert await asyncio.to_thread(server.requests[0].gone.wait, WAIT_S)

    with Loopback([Events(endless())]) as server:
        asyncio.run(use(server, leave))


@pytest.mark.parametrize("reply", [Silence(), Events(endless())], ids=["waiting", "streaming"])
def test_cancelling_leaves_the_upstream(reply: Reply) -> None:
    async def cancel(relay: Upstream) -> None:
        task = asyncio.create_task(chunks_of(relay, chat(stream=True)))
        while not server.requests:
            await asyncio.sleep(0.002)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.requests[0].gone.wait, WAIT_S)

    with Loopback([reply]) as server:
        asyncio.run(use(server, cancel))
