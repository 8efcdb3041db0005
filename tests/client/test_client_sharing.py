"""Who shares an answer with whom, and what becomes of it when somebody leaves."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import openai
import pytest

import semcache
from semcache.cache import SemCache
from semcache.completion import Completion, text_completion_of
from semcache.errors import EngineBusy
from tests.client.talking import (
    WAIT_S,
    answer_to,
    answering,
    asynchronous,
    blocking,
    body_of,
    raised,
    using,
)
from tests.loopback import Events, Json, Loopback, Reply, Seen, Silence, sse
from tests.relaying import HELLO, endless
from tests.scripted import ScriptedAnswerer


def text_of(answer: Any) -> str:
    text: str = answer.choices[0].message.content
    return text


def streamed(client: openai.OpenAI, **fields: Any) -> str:
    chunks = client.chat.completions.create(**body_of(**fields), stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def collapsed(cache: SemCache, count: int) -> None:
    """Wait until `count` callers wait for answers that are on their way."""
    done = threading.Event()
    for _ in range(int(WAIT_S / 0.005)):
        flights = [flight for loop in list(cache._flights.values()) for flight in loop.values()]
        if sum(flight._readers for flight in flights) >= count:
            return
        done.wait(0.005)
    raise AssertionError("they did not come together")


def test_many_threads_one_question_one_request(cache: SemCache) -> None:
    gate = threading.Event()

    def held(seen: Seen) -> Reply:
        return Events([*sse(HELLO[0], HELLO[1], done=False), gate, *sse(HELLO[2])])

    with (
        Loopback(held) as server,
        blocking(server, cache) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        leader = threads.submit(streamed, client)
        collapsed(cache, 1)
        streams = [threads.submit(streamed, client) for _ in range(3)]
        plain = [
            threads.submit(lambda: text_of(client.chat.completions.create(**body_of())))
            for _ in range(4)
        ]
        collapsed(cache, 8)
        gate.set()
        texts = {work.result(WAIT_S) for work in [leader, *streams, *plain]}
        assert len(server.requests) == 1
    assert texts == {"你好 🦊"}


def test_many_threads_many_questions(server: Loopback, cache: SemCache) -> None:
    questions = [f"Question {n % 20}?" for n in range(200)]

    def ask(at: int) -> str:
        if at % 3:
            return text_of(client.chat.completions.create(**body_of(questions[at])))
        return streamed(client, question=questions[at])

    with blocking(server, cache) as client, ThreadPoolExecutor(8) as threads:
        texts = list(threads.map(ask, range(200)))
    assert texts == [f"You asked: {question} – 你好 🦊" for question in questions]
    assert len(server.requests) == 20


def test_async_tasks_share_one_request(cache: SemCache) -> None:
    async def talk(client: openai.AsyncOpenAI) -> set[str]:
        asked = (client.chat.completions.create(**body_of()) for _ in range(10))
        return {text_of(answer) for answer in await asyncio.gather(*asked)}

    with Loopback(answering) as server:
        assert using(asynchronous(server, cache), talk) == {"You asked: Why? – 你好 🦊"}
        assert len(server.requests) == 1


def test_two_keys_never_share(server: Loopback, cache: SemCache) -> None:
    with (
        blocking(server, cache, api_key="sk-a") as a,
        blocking(server, cache, api_key="sk-b") as b,
    ):
        for client in (a, b, a, b, a.with_options(api_key="sk-c")):
            client.chat.completions.create(**body_of())
    keys = [seen.headers["authorization"] for seen in server.requests]
    assert keys == ["Bearer sk-a", "Bearer sk-b", "Bearer sk-c"]


@pytest.mark.parametrize("name", ["api-key", "X-Api-Key", "Cookie", "x-portkey-api-key", "X-User"])
def test_another_header_that_says_who_asks_divides_too(
    server: Loopback, cache: SemCache, name: str
) -> None:
    with blocking(server, cache) as client:
        for who in ("one", "two", "one"):
            client.chat.completions.create(**body_of(), extra_headers={name: who})
    assert [seen.headers[name.lower()] for seen in server.requests] == ["one", "two"]


def test_a_cookie_that_the_server_set_divides_nobody(cache: SemCache) -> None:
    turns = iter(range(9))

    def baking(seen: Seen) -> Reply:
        return Json(answer_to(seen), headers={"set-cookie": f"__cf_bm={next(turns)}; path=/"})

    with Loopback(baking) as server, blocking(server, cache) as client:
        for question in ("One?", "Two?", "One?", "Two?"):
            client.chat.completions.create(**body_of(question))
        assert [seen.headers.get("cookie") for seen in server.requests] == [None, "__cf_bm=0"]


def test_a_cookie_that_the_caller_set_divides(server: Loopback, cache: SemCache) -> None:
    for user in ("ana", "bo", "ana"):
        http = httpx2.Client(cookies={"session": user})
        with blocking(server, cache, http_client=http) as client:
            client.chat.completions.create(**body_of())
    cookies = [seen.headers["cookie"] for seen in server.requests]
    assert cookies == ["session=ana", "session=bo"]


def test_two_servers_never_share(cache: SemCache) -> None:
    with Loopback(answering) as one, Loopback(answering) as two:
        for server in (one, two, one, two):
            with blocking(server, cache) as client:
                client.chat.completions.create(**body_of())
        with blocking(two, cache, default_query={"version": "2"}) as client:
            client.chat.completions.create(**body_of())
        assert (len(one.requests), len(two.requests)) == (1, 2)


def test_a_client_whose_http_client_authenticates_shares_with_nobody(
    server: Loopback, cache: SemCache
) -> None:
    def client(user: str) -> semcache.OpenAI:
        http = httpx2.Client(auth=(user, "pw"))
        return blocking(server, cache, http_client=http, default_headers={"authorization": ""})

    with client("ana") as ana, client("bo") as bo:
        for asking in (ana, bo, ana, bo):
            asking.chat.completions.create(**body_of())
    assert len({seen.headers["authorization"] for seen in server.requests}) == 2
    assert len(server.requests) == 2


# --------------------------------------------------------------------------------- who leaves


def test_an_early_close_leaves_the_server(cache: SemCache) -> None:
    with Loopback([Events(endless())]) as server, blocking(server, cache) as client:
        stream = client.chat.completions.create(**body_of(), stream=True)
        next(stream)
        stream.close()
        assert server.requests[0].gone.wait(WAIT_S)
    assert cache.layers.store.stats().entries == 0


def test_an_early_close_leaves_the_server_when_async(cache: SemCache) -> None:
    async def talk(client: openai.AsyncOpenAI) -> None:
        stream = await client.chat.completions.create(**body_of(), stream=True)
        await anext(stream)
        await stream.close()
        unread = await client.chat.completions.create(**body_of("Other?"), stream=True)
        await unread.close()
        for seen in server.requests:
            assert await asyncio.to_thread(seen.gone.wait, WAIT_S)

    with Loopback([Events(endless())]) as server:
        using(asynchronous(server, cache), talk)


def test_a_cancelled_caller_leaves_the_server(cache: SemCache) -> None:
    async def talk(client: openai.AsyncOpenAI) -> None:
        asking = asyncio.ensure_future(client.chat.completions.create(**body_of()))
        while not server.requests:
            await asyncio.sleep(0.001)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await asyncio.to_thread(server.requests[0].gone.wait, WAIT_S)

    with Loopback([Silence()]) as server:
        using(asynchronous(server, cache), talk)


def test_whoever_stays_gets_the_whole_answer(cache: SemCache) -> None:
    gate = threading.Event()

    def held(seen: Seen) -> Reply:
        return Events([*sse(HELLO[0], HELLO[1], done=False), gate, *sse(HELLO[2])])

    with (
        Loopback(held) as server,
        blocking(server, cache) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        leader = client.chat.completions.create(**body_of(), stream=True)
        next(leader)
        staying = threads.submit(streamed, client)
        collapsed(cache, 2)
        leader.close()
        gate.set()
        assert staying.result(WAIT_S) == "你好 🦊"
        assert streamed(client) == "你好 🦊"
        assert len(server.requests) == 1


def test_who_shares_a_failure_asks_for_itself(cache: SemCache) -> None:
    gate = threading.Event()
    first = threading.Event()

    def first_fails(seen: Seen) -> Reply:
        if first.is_set():
            return Json(answer_to(seen))
        first.set()
        gate.wait(WAIT_S)
        return Json({"error": {"message": "no"}}, 500)

    with (
        Loopback(first_fails) as server,
        blocking(server, cache) as client,
        ThreadPoolExecutor(2) as threads,
    ):
        leader = threads.submit(lambda: raised(lambda: streamed(client)))
        assert first.wait(WAIT_S)
        joiner = threads.submit(lambda: text_of(client.chat.completions.create(**body_of())))
        collapsed(cache, 2)
        gate.set()
        assert isinstance(leader.result(WAIT_S), openai.InternalServerError)
        assert joiner.result(WAIT_S) == "You asked: Why? – 你好 🦊"
        assert len(server.requests) == 2


def test_who_shares_an_answer_waits_no_longer_than_it_said(cache: SemCache) -> None:
    with (
        Loopback([Silence()]) as server,
        blocking(server, cache) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        patient = threads.submit(lambda: raised(lambda: streamed(client)))
        collapsed(cache, 1)
        error = raised(lambda: streamed(client.with_options(timeout=0.1)))
        assert isinstance(error, openai.APITimeoutError)
        assert not patient.done()
        assert len(server.requests) == 1
        client.close()
        assert isinstance(patient.result(WAIT_S), openai.APIConnectionError)


# ------------------------------------------------------------------------- engines of the cache


def engine(**options: Any) -> ScriptedAnswerer:
    return ScriptedAnswerer(name="engine", models=("local",), **options)


def with_engine(cache: SemCache, answerer: ScriptedAnswerer) -> SemCache:
    cache.answerers = (answerer,)
    return cache


def test_an_engine_answers_the_models_it_accepts(server: Loopback, cache: SemCache) -> None:
    local = engine()
    with blocking(server, with_engine(cache, local)) as client:
        for stream in (False, True):
            asked = {**body_of("Here?"), "model": "local"}
            answer = client.chat.completions.with_raw_response.create(**asked, stream=stream)
            assert answer.status_code == 200
            answer.http_response.read()
        assert server.requests == []
        client.chat.completions.create(**body_of())
    assert len(local.calls) == 1
    assert len(server.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_slow_engine_times_out_as_a_slow_server_does(
    server: Loopback, cache: SemCache, stream: bool
) -> None:
    local = engine()

    async def talk(client: openai.AsyncOpenAI) -> None:
        local.gate = asyncio.Event()
        asked = {**body_of(), "model": "local"}
        answer: Any = await client.chat.completions.create(**asked, stream=stream)
        async for _ in answer:
            pass

    client = asynchronous(server, with_engine(cache, local), timeout=0.1)
    assert isinstance(raised(lambda: using(client, talk)), openai.APITimeoutError)
    assert local.cancelled == 1


def test_an_engines_error_is_an_official_error(server: Loopback, cache: SemCache) -> None:
    busy = engine(error=EngineBusy("Full: ask again.", retry_after_s=3))
    with blocking(server, with_engine(cache, busy)) as client:
        asked = {**body_of(), "model": "local"}
        error = raised(lambda: client.chat.completions.create(**asked))
        assert isinstance(error, openai.InternalServerError)
        assert (error.status_code, error.code) == (503, "engine_busy")
        assert error.response.headers["retry-after"] == "3"
        midway = with_engine(cache, engine(error=EngineBusy("Full."), fail_after=2))
        assert midway is cache
        broken = raised(lambda: list(client.chat.completions.create(**asked, stream=True)))
        assert type(broken) is openai.APIError
        assert broken.code == "engine_busy"
    assert server.requests == []


def test_a_bug_in_an_engine_sends_nothing_elsewhere(
    server: Loopback, cache: SemCache, caplog: pytest.LogCaptureFixture
) -> None:
    with blocking(server, with_engine(cache, engine(error=ZeroDivisionError()))) as client:
        asked = {**body_of(), "model": "local"}
        error = raised(lambda: client.chat.completions.create(**asked))
        assert isinstance(error, openai.InternalServerError)
        late = with_engine(cache, engine(error=ZeroDivisionError(), fail_after=2))
        assert late is cache
        broken = raised(lambda: list(client.chat.completions.create(**asked, stream=True)))
        assert type(broken) is openai.APIError
    assert server.requests == []
    assert "ZeroDivisionError" in caplog.text
    assert "Why?" not in caplog.text


def test_an_answer_stored_by_hand_is_found(server: Loopback, cache: SemCache) -> None:
    with blocking(server, cache) as client:
        client.chat.completions.create(**body_of())
        [entry] = cache.layers.store.scan()
        said: Completion = text_completion_of("By hand.", id="x-1", created=1, model="gpt-x")
        cache.layers.memory.clear()
        store = cache.layers.store
        store.put(type(entry)(entry.key, entry.scope, entry.question, said, entry.created_at))
        assert text_of(client.chat.completions.create(**body_of())) == "By hand."
    assert len(server.requests) == 1
