"""The relay against a real server on loopback, with the official client as the oracle."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import threading
from typing import Any

import openai
import pytest

from semcache.chat import ChatRequest
from semcache.completion import Chunk, Completion, collect
from semcache.errors import RequestError, UpstreamError
from semcache.upstream import Upstream, UpstreamSettings
from tests.loopback import Drop, Events, Json, Loopback, Raw, Reply, Seen, sse
from tests.relaying import HELLO, KEY, WHOLE, ask, chat, chunks_of, piece, refusal, use

# ------------------------------------------------------------------------------- plain answers


def test_a_plain_answer_and_its_request_pass_verbatim() -> None:
    fields: dict[str, Any] = {
        "n": 2,
        "logprobs": True,
        "temperature": 0.0,
        "vendor_option": {"k": ["v", None]},
    }
    with Loopback([Json(WHOLE)]) as server:
        answer = collect(ask(server, chat(**fields)))
        (seen,) = server.requests
    assert answer == Completion(WHOLE)
    assert (seen.method, seen.path) == ("POST", "/v1/chat/completions")
    assert seen.json() == {
        "model": "gpt-x",
        "messages": [{"role": "user", "content": "hi"}],
        **fields,
    }
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["content-type"] == "application/json"


def test_a_legacy_completion_goes_to_its_own_path() -> None:
    choices = [
        {"text": f" is {n}", "index": n, "logprobs": None, "finish_reason": "length"}
        for n in (0, 1)
    ]
    whole = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m"}
    body = {"model": "m", "prompt": "The answer", "n": 2}
    request = ChatRequest.from_wire(body, tenant="t", kind="completion")
    with Loopback([Json({**whole, "choices": choices, "usage": {"total_tokens": 9}})]) as server:
        answer = collect(ask(server, request))
        (seen,) = server.requests
    assert answer.wire == {**whole, "choices": choices, "usage": {"total_tokens": 9}}
    assert seen.path == "/v1/completions"
    assert seen.json() == body


def test_a_compressed_answer_is_read() -> None:
    body = gzip.compress(json.dumps(WHOLE).encode())
    with Loopback([Json(body, headers={"content-encoding": "gzip"})]) as server:
        assert collect(ask(server, chat())) == Completion(WHOLE)


def test_without_a_key_no_authorization_is_sent_and_own_headers_win() -> None:
    with Loopback([Json(WHOLE)]) as server:
        ask(server, chat(), api_key=None, headers={"api-key": "k", "User-Agent": "mine"})
        (seen,) = server.requests
    assert "authorization" not in seen.headers
    assert (seen.headers["api-key"], seen.headers["user-agent"]) == ("k", "mine")


def test_a_request_that_json_cannot_hold_is_the_callers_error() -> None:
    with Loopback([Json(WHOLE)]) as server, pytest.raises(RequestError, match="written as JSON"):
        ask(server, chat(metadata={"big": 2**80}))
    assert server.requests == []


# ------------------------------------------------------------------------------------- streams


def called(index: int, function: dict[str, Any], **more: Any) -> dict[str, Any]:
    return piece({"tool_calls": [{"index": index, **more, "function": function}]})


USAGE = {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12}
USAGE_CHUNK = {**HELLO[0], "choices": [], "usage": USAGE}
TOOLS = [
    piece({"role": "assistant", "content": None}),
    called(0, {"name": "find", "arguments": ""}, id="call_1", type="function"),
    called(0, {"arguments": '{"city": "Kö'}),
    called(1, {"name": "add", "arguments": ""}, id="call_2", type="function"),
    called(0, {"arguments": 'ln"}'}),
    called(1, {"arguments": "{}"}),
    {**piece({}, "tool_calls"), "vendor": {"deep": [1, {"er": None}]}},
    USAGE_CHUNK,
]


def test_a_stream_passes_chunk_by_chunk_and_merges() -> None:
    with Loopback([Events([b": keep-alive\n\n", *sse(*TOOLS)])]) as server:
        chunks = ask(server, chat(stream=True))
        (seen,) = server.requests
    assert [chunk.wire for chunk in chunks] == TOOLS
    whole = collect(chunks)
    calls = whole.choices[0]["message"]["tool_calls"]
    assert [(call["id"], call["function"]) for call in calls] == [
        ("call_1", {"name": "find", "arguments": '{"city": "Köln"}'}),
        ("call_2", {"name": "add", "arguments": "{}"}),
    ]
    assert whole.wire["usage"] == USAGE
    assert seen.json()["stream"] is True
    assert seen.json()["stream_options"] == {"include_usage": True}


def test_the_official_client_sees_the_same_chunks() -> None:
    async def official(base_url: str) -> list[Any]:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="k", max_retries=0) as client:
            stream = await client.chat.completions.create(
                model="gpt-x", messages=[{"role": "user", "content": "hi"}], stream=True
            )
            return [chunk.to_dict() async for chunk in stream]

    interleaved = [
        piece({"content": f"{n}{index}"}, index=index) for n in range(3) for index in (0, 1)
    ]
    events = sse(*HELLO, *interleaved, USAGE_CHUNK)
    with Loopback([Events([raw.replace(b"\n", b"\r\n") for raw in events])]) as server:
        chunks = ask(server, chat(stream=True, n=2))
        expected = asyncio.run(official(server.base_url))
    assert [chunk.wire for chunk in chunks] == expected


def test_a_stream_cut_at_every_byte_is_the_same_stream() -> None:
    raw = b"".join(sse(*HELLO))
    with Loopback([Events([bytes([byte]) for byte in raw])]) as server:
        assert [chunk.wire for chunk in ask(server, chat(stream=True))] == HELLO


def test_chunks_pass_as_they_come_not_at_the_end() -> None:
    gate = threading.Event()

    async def first_then_rest(relay: Upstream) -> list[Chunk]:
        answer = relay.answer(chat(stream=True))
        first = await anext(answer)  # arrives although the server holds back the rest
        gate.set()
        return [first, *[chunk async for chunk in answer]]

    events = sse(*HELLO)
    with Loopback([Events([events[0], gate, *events[1:]])]) as server:
        chunks = asyncio.run(use(server, first_then_rest))
    assert [chunk.wire for chunk in chunks] == HELLO


@pytest.mark.parametrize("stream", [True, False])
def test_the_upstream_says_what_form_it_sends(stream: bool) -> None:
    other: Reply = Json(WHOLE) if stream else Events(sse(*HELLO))
    with Loopback([other]) as server:
        answer = collect(ask(server, chat(stream=stream)))
    expected = Completion(WHOLE) if stream else collect(map(Chunk, HELLO))
    assert answer == expected


def test_the_answer_is_over_at_done_even_if_the_connection_is_not() -> None:
    for end in (Drop(), threading.Event()):
        with Loopback([Events([*sse(*HELLO), end])]) as server:
            assert [chunk.wire for chunk in ask(server, chat(stream=True))] == HELLO


# ------------------------------------------------------------------------------ usage in streams


def _refuses_options(seen: Seen) -> Reply:
    if "stream_options" in seen.json():
        message = "Unrecognized request argument supplied: stream_options"
        return Json({"error": {"message": message, "code": None}}, status=400)
    return Events(sse(*HELLO))


def test_refused_stream_options_are_dropped_and_that_is_remembered() -> None:
    async def twice(relay: Upstream) -> None:
        for _ in range(2):
            assert [c.wire for c in await chunks_of(relay, chat(stream=True))] == HELLO

    with Loopback(_refuses_options) as server:
        asyncio.run(use(server, twice))
        asked = ["stream_options" in seen.json() for seen in server.requests]
    assert asked == [True, False, False]


def test_a_refusal_of_something_else_is_relayed_and_not_remembered() -> None:
    echo = {"error": {"message": "bad temperature in {... 'stream_options': ...}"}}
    replies: list[Reply] = [Json(echo, status=422), Json(echo, status=422), Events(sse(*HELLO))]

    async def twice(relay: Upstream) -> UpstreamError:
        with pytest.raises(UpstreamError) as refused:
            await chunks_of(relay, chat(stream=True))
        await chunks_of(relay, chat(stream=True))
        return refused.value

    with Loopback(replies) as server:
        error = asyncio.run(use(server, twice))
        asked = ["stream_options" in seen.json() for seen in server.requests]
    assert json.loads(error.body or b"") == echo
    assert asked == [True, False, True]


def test_a_failure_that_names_stream_options_is_no_refusal_of_them() -> None:
    failed = {"error": {"message": "worker died on stream_options"}}
    with Loopback([Json(failed, status=500), Events(sse(*HELLO))]) as server:
        assert refusal(server, chat(stream=True)).status == 500
        assert len(server.requests) == 1


def test_the_callers_own_stream_options_go_as_they_are() -> None:
    own = {"include_usage": True, "include_obfuscation": False}
    with Loopback(_refuses_options) as server:
        error = refusal(server, chat(stream=True, stream_options=own))
        (seen,) = server.requests
    assert (error.status, seen.json()["stream_options"]) == (400, own)


def test_usage_is_added_to_the_callers_options_or_not_asked_at_all() -> None:
    request = chat(stream=True, stream_options={"include_obfuscation": False})
    with Loopback([Events(sse(*HELLO))]) as server:
        ask(server, request)
        ask(server, request, usage_in_streams=False)
        ask(server, chat(stream=True), usage_in_streams=False)
        sent = [seen.json().get("stream_options") for seen in server.requests]
    assert sent == [
        {"include_obfuscation": False, "include_usage": True},
        {"include_obfuscation": False},
        None,
    ]


# ------------------------------------------------------------------------- what it is, and models


def test_models_are_accepted_by_pattern_and_listed_by_name() -> None:
    patterns = ("gpt-4*", "Qwen/Qwen3-?B", "o3", "m[12]")
    relay = Upstream(UpstreamSettings(base_url="http://h/v1", models=patterns))
    names = ["gpt-4", "gpt-4o-mini", "Qwen/Qwen3-8B", "o3", "m2"]
    others = ["GPT-4", "gpt-3", "Qwen/Qwen3-32B", "o3-mini", "m3", "x-gpt-4"]
    assert [relay.accepts(chat(model=name)) for name in names] == [True] * len(names)
    assert [relay.accepts(chat(model=name)) for name in others] == [False] * len(others)
    assert relay.models() == ["o3"]
    asyncio.run(relay.aclose())


def test_the_source_is_the_server_not_the_spelling_of_its_address() -> None:
    urls = ["http://host/v1", "http://HOST:80/v1/", "http://host/v2", "https://host/v1"]
    relays = [Upstream(UpstreamSettings(base_url=url)) for url in urls]
    one, same, *others = [relay.source(chat()) for relay in relays]
    assert one == same
    assert len({one, *others}) == 3
    assert (one.answerer, one.model, one.knowledge) == ("upstream", "http://host/v1", "")
    for relay in relays:
        asyncio.run(relay.aclose())


def test_the_upstreams_models_as_far_as_they_are_accepted() -> None:
    a, b = {"id": "gpt-a", "object": "model", "vendor": 1}, {"id": "other", "object": "model"}
    with Loopback([Json({"object": "list", "data": [a, b]})]) as server:
        listed = asyncio.run(use(server, lambda relay: relay.fetch_models(), models=("gpt-*",)))
        (seen,) = server.requests
    assert listed == [a]
    assert (seen.method, seen.path) == ("GET", "/v1/models")
    assert seen.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "reply",
    [Json({"error": KEY}, status=500), Json(b"<html>"), Json([]), Json({"data": [1]}), Raw(b"")],
)
def test_no_list_of_models_is_logged_and_empty(
    reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    with Loopback([reply]) as server, caplog.at_level(logging.WARNING, logger="semcache"):
        assert asyncio.run(use(server, lambda relay: relay.fetch_models())) == []
    assert "upstream: no list of models" in caplog.text


def test_neither_key_nor_prompt_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    request = chat(stream=True, messages=[{"role": "user", "content": "my secret question"}])
    with Loopback(_refuses_options) as server, caplog.at_level(logging.DEBUG):
        ask(server, request)
    assert "refuses stream_options" in caplog.text
    assert KEY not in caplog.text
    assert "secret question" not in caplog.text
