"""Settings, connections, and errors that reach the caller as they are."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import httpx2
import pytest

from semcache import endpoint, upstream
from semcache.completion import Chunk, collect
from semcache.errors import ConfigError, UpstreamError
from semcache.upstream import Upstream, UpstreamSettings
from tests.loopback import Drop, Events, Json, Loopback, Reply, Seen, sse
from tests.relaying import HELLO, KEY, WAIT_S, WHOLE, chat, chunks_of, endless, piece, refusal, use


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "host:8000/v1",
        "ftp://host/v1",
        "http://",
        "http://user:pw@host/v1",
        "http://host/v1?key=1",
        "http://host/v1?",
        "http://host/v1#a",
        "http://host:99999/v1",
        "http://ho\nst/v1",
        None,
    ],
)
def test_an_address_that_cannot_be_one_is_refused_at_start(base_url: Any) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        UpstreamSettings(base_url=base_url)


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": "sk-1\nX-Evil: 1"},
        {"api_key": "schlüssel"},
        {"headers": {"x": "1\r\n"}},
        {"models": ()},
        {"timeout_s": 0},
        {"connect_timeout_s": -1.0},
        {"max_connections": 0},
    ],
)
def test_settings_that_cannot_work_are_refused_at_start(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="'upstream'") as refused:
        UpstreamSettings(base_url="http://host/v1", **settings)
    assert "sk-1" not in str(refused.value)


def test_the_settings_do_not_show_the_key() -> None:
    settings = UpstreamSettings("http://host/v1", api_key=KEY, headers={"api-key": KEY})
    assert KEY not in repr(settings)


# -------------------------------------------------------------------------------------- errors


def test_an_error_reaches_the_caller_as_it_is() -> None:
    body = b'{ "error": {"message": "Rate limit", "code": "rate_limit_exceeded"},\n "x": 1.50 }'
    headers = {
        "Retry-After": "7",
        "X-Request-Id": "req_1",
        "x-ratelimit-remaining-tokens": "0",
        "content-type": "application/json; charset=utf-8",
        "set-cookie": "a=b",
        "server": "secret/1.0",
    }
    for stream in (False, True):
        with Loopback([Json(body, status=429, headers=headers)]) as server:
            error = refusal(server, chat(stream=stream))
        assert (error.status, error.body) == (429, body)
        assert error.headers == {
            "retry-after": "7",
            "x-request-id": "req_1",
            "x-ratelimit-remaining-tokens": "0",
            "content-type": "application/json; charset=utf-8",
        }


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
def test_an_error_page_or_an_empty_error_keeps_its_status(status: int) -> None:
    with Loopback([Json("<html>no", status=status), Json(b"", status=status)]) as server:
        assert refusal(server, chat()).body == b"<html>no"
        empty = refusal(server, chat())
    assert (empty.status, empty.body) == (status, None)


def test_an_error_body_that_breaks_off_or_has_no_end_keeps_its_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint, "MAX_ERROR_BYTES", 100)
    replies: list[Reply] = [Events([b"{", Drop()], status=500), Json(b"x" * 101, status=507)]
    with Loopback([*replies, Json(b"x" * 100, status=507)]) as server:
        got = [refusal(server, chat()) for _ in range(3)]
    assert [(error.status, error.body) for error in got] == [
        (500, None),
        (507, None),
        (507, b"x" * 100),
    ]


def test_a_server_that_repeats_the_operators_key_does_not_show_it_to_the_caller() -> None:
    wrong = {"error": {"message": f"Incorrect API key provided: {KEY}."}}
    with Loopback([Json(wrong, status=401), Events(sse(wrong))]) as server:
        bodies = [refusal(server, chat(stream=True)).body or b"" for _ in range(2)]
    for body in bodies:
        assert json.loads(body) == {"error": {"message": "Incorrect API key provided: ***."}}


def test_a_redirect_is_not_followed() -> None:
    with Loopback([Json(b"", status=307, headers={"location": "/elsewhere"})]) as server:
        error = refusal(server, chat())
        assert len(server.requests) == 1
    assert (error.status, error.body) == (502, None)
    assert "base_url" in str(error)


def test_one_connection_serves_one_request_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "_TAIL_S", WAIT_S)  # a slow machine's tail is late
    replies: list[Reply] = [Events(sse(*HELLO)), Json(WHOLE), Json({"error": {}}, status=500)]

    async def six(relay: Upstream) -> None:
        for _ in range(2):
            await chunks_of(relay, chat(stream=True))
            await chunks_of(relay, chat())
            with pytest.raises(UpstreamError):
                await chunks_of(relay, chat())

    with Loopback([*replies, *replies]) as server:
        asyncio.run(use(server, six))
        assert {seen.connection for seen in server.requests} == {1}
        assert len(server.requests) == 6


def test_a_connection_left_in_the_middle_serves_nobody_else() -> None:
    async def leave_and_ask(relay: Upstream) -> list[Chunk]:
        answer = relay.answer(chat(stream=True))
        await anext(answer)
        await answer.aclose()
        return await chunks_of(relay, chat(stream=True))

    with Loopback([Events(endless()), Events(sse(*HELLO))]) as server:
        chunks = asyncio.run(use(server, leave_and_ask))
        assert [seen.connection for seen in server.requests] == [1, 2]
    assert [chunk.wire for chunk in chunks] == HELLO


def test_a_cookie_of_one_request_is_not_sent_with_the_next() -> None:
    async def two(relay: Upstream) -> None:
        await chunks_of(relay, chat())
        await chunks_of(relay, chat())

    with Loopback([Json(WHOLE, headers={"set-cookie": "session=tenant-a; Path=/"})]) as server:
        asyncio.run(use(server, two))
        assert ["cookie" in seen.headers for seen in server.requests] == [False, False]


def test_many_streams_at_once_keep_their_own_words() -> None:
    count = 100
    everyone_is_here = threading.Event()

    def echo(seen: Seen) -> Reply:
        if len(server.requests) == count:
            everyone_is_here.set()
        text = seen.json()["messages"][0]["content"]
        first, *rest = sse(*(piece({"content": f"{text}-{n} "}) for n in range(20)))
        return Events([first, everyone_is_here, *rest])

    async def all_at_once(relay: Upstream) -> list[list[Chunk]]:
        requests = [
            chat(stream=True, messages=[{"role": "user", "content": f"q{n}"}]) for n in range(count)
        ]
        return await asyncio.gather(*(chunks_of(relay, request) for request in requests))

    with Loopback(echo) as server:
        answers = asyncio.run(use(server, all_at_once))
    for at, chunks in enumerate(answers):
        assert collect(chunks).text == "".join(f"q{at}-{n} " for n in range(20))


def test_after_closing_nothing_is_asked() -> None:
    async def late(relay: Upstream) -> int:
        await relay.aclose()
        with pytest.raises(UpstreamError, match="shut down") as refused:
            await chunks_of(relay, chat())
        return refused.value.status

    with Loopback([Json(WHOLE)]) as server:
        assert asyncio.run(use(server, late)) == 503
        assert server.requests == []


def test_a_client_that_was_handed_in_is_used_and_left_open() -> None:
    async def through(base_url: str) -> None:
        async with httpx2.AsyncClient(headers={"x-mine": "1"}) as http:
            relay = Upstream(UpstreamSettings(base_url=base_url), http=http)
            await chunks_of(relay, chat())
            await relay.aclose()
            await chunks_of(relay, chat())

    with Loopback([Json(WHOLE)]) as server:
        asyncio.run(through(server.base_url))
        assert [seen.headers["x-mine"] for seen in server.requests] == ["1", "1"]
