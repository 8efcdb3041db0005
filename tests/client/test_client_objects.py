"""The objects that a caller gets are the official client's, from the server or from the cache."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from semcache.cache import SemCache
from tests.client.talking import (
    TOOL_CALL,
    asynchronous,
    bare,
    bare_asynchronous,
    blocking,
    body_of,
    using,
)
from tests.loopback import Loopback

ASKED: dict[str, dict[str, Any]] = {
    "text": body_of(),
    "usage in the stream": body_of(stream_options={"include_usage": True}),
    "tools": body_of(tools=[{"type": "function", "function": {"name": "weather"}}]),
    "json": body_of(response_format={"type": "json_object"}),
}


class Party(BaseModel):
    name: str
    guests: list[str]


def plain(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "stream_options"}


def dumped(answer: Any) -> dict[str, Any]:
    """What is equal between two answers to one question."""
    shown: dict[str, Any] = answer.model_dump(exclude={"id", "created"})
    return shown


def merged(chunks: list[Any]) -> dict[str, Any]:
    """What a stream says, however it was cut."""
    text = "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices)
    arguments = "".join(
        call.function.arguments or ""
        for chunk in chunks
        for choice in chunk.choices
        for call in choice.delta.tool_calls or ()
    )
    finish = [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason]
    usage = [chunk.usage.model_dump() for chunk in chunks if chunk.usage is not None]
    roles = [c.delta.role for chunk in chunks for c in chunk.choices if c.delta.role]
    return {
        "text": text,
        "arguments": arguments,
        "finish": finish,
        "usage": usage,
        "roles": roles,
        "models": {chunk.model for chunk in chunks},
        "classes": {type(chunk) for chunk in chunks},
        "ids": len({chunk.id for chunk in chunks}),
    }


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_a_plain_answer(server: Loopback, cache: SemCache, asked: dict[str, Any]) -> None:
    with bare(server) as official, blocking(server, cache) as client:
        expected = official.chat.completions.create(**plain(asked))
        miss = client.chat.completions.create(**plain(asked))
        hit = client.chat.completions.create(**plain(asked))
    assert type(miss) is type(hit) is ChatCompletion
    assert dumped(miss) == dumped(hit) == dumped(expected)
    assert len({expected.id, miss.id, hit.id}) == 3
    assert len(server.requests) == 2
    assert server.requests[0].body == server.requests[1].body


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_a_stream(server: Loopback, cache: SemCache, asked: dict[str, Any]) -> None:
    with bare(server) as official, blocking(server, cache) as client:
        expected = list(official.chat.completions.create(**asked, stream=True))
        miss = list(client.chat.completions.create(**asked, stream=True))
        hit = list(client.chat.completions.create(**asked, stream=True))
    assert [dumped(chunk) for chunk in miss] == [dumped(chunk) for chunk in expected]
    assert merged(hit) == merged(expected)
    assert len(server.requests) == 2


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_async_plain_and_stream(server: Loopback, cache: SemCache, asked: dict[str, Any]) -> None:
    async def talk(client: openai.AsyncOpenAI) -> list[Any]:
        answers: list[Any] = []
        for _ in range(2):
            answers.append(dumped(await client.chat.completions.create(**plain(asked))))
        for _ in range(2):
            stream = await client.chat.completions.create(**asked, stream=True)
            answers.append(merged([chunk async for chunk in stream]))
        return answers

    expected = using(bare_asynchronous(server), talk)
    official = len(server.requests)
    assert using(asynchronous(server, cache), talk) == expected
    assert len(server.requests) == official + 1  # a stream and a plain request share an entry


def test_a_stream_that_missed_is_the_servers_chunk_by_chunk_when_async(
    server: Loopback, cache: SemCache
) -> None:
    async def talk(client: openai.AsyncOpenAI) -> list[Any]:
        stream = await client.chat.completions.create(**body_of(), stream=True)
        return [dumped(chunk) async for chunk in stream]

    expected = using(bare_asynchronous(server), talk)
    assert using(asynchronous(server, cache), talk) == expected


def test_tool_calls_come_back_from_the_cache(server: Loopback, cache: SemCache) -> None:
    with blocking(server, cache) as client:
        for _ in range(2):
            answer = client.chat.completions.create(**ASKED["tools"])
            calls = answer.choices[0].message.tool_calls or []
            assert [call.model_dump() for call in calls] == [TOOL_CALL]
    assert len(server.requests) == 1


def test_parse_gives_the_callers_model(server: Loopback, cache: SemCache) -> None:
    with blocking(server, cache) as client:
        for _ in range(2):
            answer = client.chat.completions.parse(**body_of(), response_format=Party)
            assert answer.choices[0].message.parsed == Party(name="fête", guests=["Ana", "Bo"])
    assert len(server.requests) == 1


def test_the_stream_helper_gives_events_and_the_whole(server: Loopback, cache: SemCache) -> None:
    with blocking(server, cache) as client:
        for _ in range(2):
            with client.chat.completions.stream(**body_of()) as stream:
                text = "".join(e.delta for e in stream if e.type == "content.delta")
                final = stream.get_final_completion()
            assert text == final.choices[0].message.content == "You asked: Why? – 你好 🦊"
    assert len(server.requests) == 1


def test_legacy_completions(server: Loopback, cache: SemCache) -> None:
    with bare(server) as official, blocking(server, cache) as client:
        asked: dict[str, Any] = {"model": "gpt-x", "prompt": "Once"}
        expected = official.completions.create(**asked)
        for _ in range(2):
            assert dumped(client.completions.create(**asked)) == dumped(expected)
        streamed = "".join(
            chunk.choices[0].text for chunk in client.completions.create(**asked, stream=True)
        )
    assert streamed == expected.choices[0].text
    assert len(server.requests) == 2


def test_a_raw_response_says_what_the_server_said(server: Loopback, cache: SemCache) -> None:
    with bare(server) as official, blocking(server, cache) as client:
        expected = official.chat.completions.with_raw_response.create(**body_of())
        miss = client.chat.completions.with_raw_response.create(**body_of())
        hit = client.chat.completions.with_raw_response.create(**body_of())
    assert type(miss) is type(hit) is type(expected)
    told = dict(expected.headers)
    assert {name: miss.headers[name] for name in told if name != "content-length"} == {
        name: value for name, value in told.items() if name != "content-length"
    }
    assert miss.request_id == "req-Why?"
    assert miss.headers["cache-status"].startswith("semcache; fwd=miss; stored;")
    assert hit.headers["cache-status"].startswith("semcache; hit;")
    assert (hit.headers["age"], hit.headers["x-semcache-status"]) == ("0", "HIT")
    assert hit.http_version == expected.http_version
    assert all(r.elapsed.total_seconds() > 0 for r in (expected, miss, hit))
    assert dumped(miss.parse()) == dumped(hit.parse()) == dumped(expected.parse())


def test_a_miss_is_the_servers_body_to_the_byte(server: Loopback, cache: SemCache) -> None:
    with blocking(server, cache) as client:
        answer = client.chat.completions.with_raw_response.create(**body_of())
        identified = client.chat.completions.create(**body_of("Another?"))
    assert '"content": "You asked: Why? – 你好 🦊"' in answer.text  # with the server's blanks
    assert identified._request_id == "req-Another?"


@pytest.mark.parametrize("stream", [False, True])
def test_a_streaming_response(server: Loopback, cache: SemCache, stream: bool) -> None:
    seen = []
    with blocking(server, cache) as client:
        ask = client.chat.completions.with_streaming_response.create
        for _ in range(2):
            with ask(**body_of(), stream=stream) as response:
                assert response.status_code == 200
                seen.append("".join(response.iter_text()))
            assert response.elapsed.total_seconds() > 0
        with ask(**body_of(), stream=stream) as response:
            lines = list(response.iter_lines())
    assert ("data: [DONE]" in lines) is stream
    assert all(("data: [DONE]" in text) is stream for text in seen)
    assert len(server.requests) == 1


def test_async_raw_and_streaming_responses(server: Loopback, cache: SemCache) -> None:
    async def talk(client: openai.AsyncOpenAI) -> None:
        create = client.chat.completions.with_raw_response.create
        raw = [await create(**body_of()) for _ in range(2)]
        assert [r.headers["x-semcache-status"] for r in raw] == ["MISS", "HIT"]
        assert all(r.elapsed.total_seconds() > 0 for r in raw)
        assert raw[0].request_id == "req-Why?"
        streaming = client.chat.completions.with_streaming_response.create
        for _ in range(2):
            async with streaming(**body_of("Two?"), stream=True) as response:
                text = "".join([part async for part in response.iter_text()])
            assert text.endswith("data: [DONE]\n\n")

    using(asynchronous(server, cache), talk)
    assert len(server.requests) == 2


def test_a_stream_that_did_not_ask_for_usage_gets_none(server: Loopback, cache: SemCache) -> None:
    with blocking(server, cache) as client:
        without = list(client.chat.completions.create(**body_of(), stream=True))
        wanted = body_of(stream_options={"include_usage": True})
        given = list(client.chat.completions.create(**wanted, stream=True))
        whole = client.chat.completions.create(**body_of())
    assert merged(without)["usage"] == []
    assert merged(given)["usage"] == [dict(whole.usage or {})]
    assert len(server.requests) == 1
    assert server.requests[0].json()["stream_options"] == {"include_usage": True}
