"""What goes wrong goes wrong as it does under the bare official client."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx2
import openai
import pytest

from semcache.cache import SemCache
from tests.client.talking import (
    answering,
    asynchronous,
    bare,
    bare_asynchronous,
    blocking,
    body_of,
    raised,
    using,
)
from tests.loopback import Drop, Events, Json, Loopback, Raw, Reply, Seen, Silence, sse
from tests.relaying import HELLO, piece

NO_KEY = {"error": {"message": "Bad key.", "type": "invalid_request_error", "code": "no", "x": 1}}
BUSY = {"error": {"message": "Slow down.", "type": "requests", "param": None, "code": "rate"}}

REFUSALS: dict[str, Reply] = {
    "401": Json(NO_KEY, 401, {"x-request-id": "r-1"}),
    "404": Json(NO_KEY, 404),
    "409": Json(BUSY, 409),
    "413": Json(NO_KEY, 413),
    "422": Json("unprocessable, in plain text", 422, {"content-type": "text/plain"}),
    "429": Json(BUSY, 429, {"retry-after": "7", "x-ratelimit-limit-requests": "60"}),
    "500": Json("<html>oops</html>", 500, {"content-type": "text/html"}),
    "503": Json(b"", 503),
    "cut short": Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"),
    "no HTTP": Raw(b"\x00\x01"),
    "hangs up": Raw(),
}


def shown(error: BaseException) -> dict[str, Any]:
    """What a caller can see of an error of the official client."""
    told: dict[str, Any] = {
        "class": type(error),
        "text": str(error),
        "cause": type(error.__cause__),
    }
    if isinstance(error, openai.APIError):
        told |= {"body": error.body, "code": error.code, "url": str(error.request.url)}
    if isinstance(error, openai.APIStatusError):
        headers = {"x-request-id", "retry-after", "content-type", "x-ratelimit-limit-requests"}
        told |= {
            "status": error.status_code,
            "request_id": error.request_id,
            "headers": {k: v for k, v in error.response.headers.items() if k in headers},
            "content": error.response.content,
            "reason": error.response.reason_phrase,
        }
    return told


def ask(client: openai.OpenAI, **fields: Any) -> Callable[[], Any]:
    def work() -> Any:
        answer = client.chat.completions.create(**body_of(**fields))
        return list(answer) if isinstance(answer, openai.Stream) else answer

    return work


async def ask_async(client: openai.AsyncOpenAI, **fields: Any) -> Any:
    answer = await client.chat.completions.create(**body_of(**fields))
    return [c async for c in answer] if isinstance(answer, openai.AsyncStream) else answer


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_failure_is_the_official_one(cache: SemCache, refusal: Reply, stream: bool) -> None:
    with (
        Loopback([refusal]) as server,
        bare(server) as official,
        blocking(server, cache) as client,
    ):
        expected = shown(raised(ask(official, stream=stream)))
        assert shown(raised(ask(client, stream=stream))) == expected
        asking = partial(ask_async, stream=stream)
        seen = shown(raised(lambda: using(asynchronous(server, cache), asking)))
        told = shown(raised(lambda: using(bare_asynchronous(server), asking)))
    assert seen == told
    assert cache.layers.store.stats().entries == 0


def test_nobody_listens(cache: SemCache) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    base_url = f"http://127.0.0.1:{port}/v1"
    with (
        Loopback([Silence()]) as server,
        bare(server).with_options(base_url=base_url) as official,
        blocking(server, cache).with_options(base_url=base_url) as client,
    ):
        for stream in (False, True):
            expected = shown(raised(ask(official, stream=stream)))
            assert shown(raised(ask(client, stream=stream))) == expected
    assert expected["class"] is openai.APIConnectionError
    assert expected["cause"] is httpx2.ConnectError


@pytest.mark.parametrize("stream", [False, True])
def test_a_silent_server_times_out(cache: SemCache, stream: bool) -> None:
    with (
        Loopback([Silence()]) as server,
        bare(server, timeout=0.2) as official,
        blocking(server, cache, timeout=0.2) as client,
    ):
        expected = shown(raised(ask(official, stream=stream)))
        assert shown(raised(ask(client, stream=stream))) == expected
        asking = partial(ask_async, stream=stream)
        seen = raised(lambda: using(asynchronous(server, cache, timeout=0.2), asking))
    assert expected["class"] is type(seen) is openai.APITimeoutError
    assert expected["cause"] is type(seen.__cause__) is httpx2.ReadTimeout


def test_a_stream_that_falls_silent_times_out(cache: SemCache) -> None:
    never = threading.Event()
    with (
        Loopback([Events([*sse(HELLO[0], done=False), never])]) as server,
        blocking(server, cache, timeout=0.2) as client,
    ):
        stream = client.chat.completions.create(**body_of(), stream=True)
        assert next(stream).choices[0].delta.role == "assistant"
        error = raised(lambda: next(stream))
    assert isinstance(error, openai.APITimeoutError)


BROKEN: dict[str, list[Any]] = {
    "ends without [DONE]": sse(*HELLO, done=False),
    "is empty": [],
    "only [DONE]": [b"data: [DONE]\n\n"],
    "breaks off": [*sse(HELLO[0], done=False), Drop()],
    "error at once": sse(BUSY),
    "error midway": sse(HELLO[0], HELLO[1], BUSY),
    "no JSON": [*sse(HELLO[0], done=False), b"data: {oops\n\n"],
}


@pytest.mark.parametrize("parts", BROKEN.values(), ids=BROKEN)
def test_a_broken_stream_breaks_as_it_does_without_us(cache: SemCache, parts: list[Any]) -> None:
    def told(client: openai.OpenAI) -> list[Any]:
        got: list[Any] = []
        try:
            for chunk in client.chat.completions.create(**body_of(), stream=True):
                got.append(chunk.model_dump())
        except Exception as error:
            got.append(shown(error))
        return got

    async def told_async(client: openai.AsyncOpenAI) -> list[Any]:
        got: list[Any] = []
        try:
            async for chunk in await client.chat.completions.create(**body_of(), stream=True):
                got.append(chunk.model_dump())
        except Exception as error:
            got.append(shown(error))
        return got

    with Loopback([Events(parts)]) as server:
        with bare(server) as official, blocking(server, cache) as client:
            assert told(client) == told(official)
        expected = using(bare_asynchronous(server), told_async)
        assert using(asynchronous(server, cache), told_async) == expected
    assert cache.layers.store.stats().entries == 0


NO_ANSWERS: dict[str, Json] = {
    "an error with a good status": Json(BUSY),
    "HTML": Json("<html>hello</html>", headers={"content-type": "text/html"}),
    "other JSON": Json({"object": "nothing we know", "choices": None, "n": 1}),
    "not even JSON": Json("{", headers={"content-type": "application/json"}),
    "choices of another form": Json({"object": "chat.completion", "choices": "none"}),
}


@pytest.mark.parametrize("reply", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_what_is_no_answer_passes_as_it_came(cache: SemCache, reply: Json) -> None:
    with (
        Loopback([reply]) as server,
        bare(server) as official,
        blocking(server, cache) as client,
    ):
        expected = official.chat.completions.with_raw_response.create(**body_of())
        seen = client.chat.completions.with_raw_response.create(**body_of())
        assert len(server.requests) == 2
    assert (seen.status_code, seen.content) == (expected.status_code, expected.content)
    assert seen.headers["content-type"] == expected.headers["content-type"]
    assert cache.layers.store.stats().entries == 0


def test_retries_are_the_official_clients(cache: SemCache) -> None:
    busy = Json(BUSY, 429, {"retry-after-ms": "1"})

    def second_time_lucky(seen: Seen) -> Reply:
        return busy if seen.headers["x-stainless-retry-count"] == "0" else answering(seen)

    with Loopback(second_time_lucky) as server, blocking(server, cache, max_retries=2) as client:
        for _ in range(2):
            answer = client.chat.completions.create(**body_of())
            assert answer.choices[0].message.content == "You asked: Why? – 你好 🦊"
        counts = [seen.headers["x-stainless-retry-count"] for seen in server.requests]
    assert counts == ["0", "1"]


def test_a_server_may_forbid_a_retry(cache: SemCache) -> None:
    with (
        Loopback([Json(BUSY, 429, {"x-should-retry": "false"})]) as server,
        blocking(server, cache, max_retries=3) as client,
    ):
        assert isinstance(raised(ask(client)), openai.RateLimitError)
        assert len(server.requests) == 1


def test_a_server_that_refuses_stream_options_is_asked_as_the_caller_asked(
    cache: SemCache,
) -> None:
    def strict(seen: Seen) -> Reply:
        if "stream_options" in seen.json():
            return Json({"error": {"message": "Unknown field stream_options."}}, 400)
        return answering(seen)

    with Loopback(strict) as server, blocking(server, cache) as client:
        for question in ("One?", "Two?"):
            chunks = list(client.chat.completions.create(**body_of(question), stream=True))
            assert "".join(c.choices[0].delta.content or "" for c in chunks).endswith("🦊")
        asked = ["stream_options" in seen.json() for seen in server.requests]
    assert asked == [True, False, False]
    assert cache.layers.store.stats().entries == 2


def test_an_answer_that_was_cut_off_is_not_kept(cache: SemCache) -> None:
    cut = [piece({"role": "assistant", "content": "I"}), piece({}, "length")]
    with Loopback([Events(sse(*cut))]) as server, blocking(server, cache) as client:
        for _ in range(2):
            assert len(list(client.chat.completions.create(**body_of(), stream=True))) == 2
        assert len(server.requests) == 2


def test_only_if_cached_is_refused_with_a_504(cache: SemCache) -> None:
    wish: dict[str, Any] = {"extra_headers": {"cache-control": "only-if-cached"}}
    with Loopback(answering) as server, blocking(server, cache) as client:
        error = raised(lambda: client.chat.completions.create(**body_of(), **wish))
        assert isinstance(error, openai.APIStatusError)
        assert (error.status_code, error.code) == (504, "not_cached")
        hot = raised(lambda: client.chat.completions.create(**body_of(temperature=1), **wish))
        assert isinstance(hot, openai.APIStatusError)
        assert server.requests == []
        answer = client.chat.completions.create(**body_of())
        stored = client.chat.completions.create(**body_of(), **wish)
    assert stored.choices == answer.choices
    assert len(server.requests) == 1
    assert json.loads(error.response.content)["error"]["code"] == "not_cached"
