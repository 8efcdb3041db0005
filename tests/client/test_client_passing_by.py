"""What is not the cache's business goes by untouched."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import openai
import orjson
import pytest

from semcache.cache import SemCache
from semcache.client.question import read_question
from semcache.interfaces import Entry
from semcache.store import LocalStore
from tests.client.talking import (
    asynchronous,
    bare,
    blocking,
    body_of,
    raised,
    using,
)
from tests.loopback import Json, Loopback, Reply, Seen

_VOLATILE = {"host", "x-stainless-retry-count", "connection"}
OTHERS: dict[str, Callable[[openai.OpenAI], Any]] = {
    "models": lambda c: c.models.list(),
    "files": lambda c: c.files.create(file=("a.txt", io.BytesIO(b"abc")), purpose="batch"),
    "stored": lambda c: c.chat.completions.list(),
    "update": lambda c: c.chat.completions.update("chatcmpl-1", metadata={"a": "b"}),
    "delete": lambda c: c.delete("/chat/completions", cast_to=object),
    "moderations": lambda c: c.moderations.create(input="x"),
}
ODD: dict[str, dict[str, Any]] = {
    "no messages": {"model": "m"},
    "messages of another kind": {"model": "m", "messages": "hi"},
    "a model that is no text": {"model": 5, "messages": [{"role": "user", "content": "x"}]},
    "a field out of range": body_of(temperature=7),
    "not an object": {},
}


def everything(seen: Seen) -> Reply:
    if seen.path.startswith("/v1/files"):
        return Json({"id": "f", "object": "file", "bytes": len(seen.body)})
    return Json({"object": "list", "data": [], "output": [], "results": [], "id": "x"})


def arrived(seen: Seen) -> dict[str, Any]:
    headers = {k: v for k, v in seen.headers.items() if k not in _VOLATILE}
    body = seen.body
    if headers.get("content-type", "").startswith("multipart/"):
        boundary = headers["content-type"].partition("boundary=")[2]
        headers["content-type"] = "multipart"
        body = body.replace(boundary.encode(), b"BOUNDARY")
    return {"method": seen.method, "path": seen.path, "headers": headers, "body": body}


@pytest.mark.parametrize("call", OTHERS.values(), ids=OTHERS)
def test_other_endpoints_are_untouched(
    cache: SemCache, call: Callable[[openai.OpenAI], Any]
) -> None:
    with (
        Loopback(everything) as server,
        bare(server) as official,
        blocking(server, cache) as client,
    ):
        expected = call(official)
        for _ in range(2):
            assert repr(call(client)) == repr(expected).replace(str(official), str(client))
    first, *others = map(arrived, server.requests)
    assert len(others) == 2
    assert all(other == first for other in others)
    assert sum(cache.tally.counts().values()) == 0


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_requests_that_make_no_sense_are_the_servers_to_judge(
    cache: SemCache, body: dict[str, Any]
) -> None:
    refusal = Json({"error": {"message": "You must.", "code": "c"}}, 400)
    with (
        Loopback([refusal]) as server,
        bare(server) as official,
        blocking(server, cache) as client,
    ):
        errors = [
            raised(lambda c=c: c.post("/chat/completions", body=body, cast_to=object))  # type: ignore[misc]
            for c in (official, client)
        ]
        assert [type(error) for error in errors] == [openai.BadRequestError] * 2
        assert str(errors[0]) == str(errors[1])
        assert arrived(server.requests[0]) == arrived(server.requests[1])


def test_a_miss_is_the_callers_request_to_the_byte(server: Loopback, cache: SemCache) -> None:
    options: dict[str, Any] = {
        "default_headers": {"x-mine": "1"},
        "organization": "org",
        "project": "proj",
    }
    fields: dict[str, Any] = {
        "extra_headers": {"x-once": "2"},
        "extra_query": {"q": "3"},
        "extra_body": {"z": 4},
    }
    with bare(server, **options) as official, blocking(server, cache, **options) as client:
        official.chat.completions.create(**body_of(), **fields)
        client.chat.completions.create(**body_of(), **fields)
    first, second = map(arrived, server.requests)
    assert first == second
    assert second["headers"]["x-once"] == "2"


def test_a_high_temperature_goes_by(server: Loopback, cache: SemCache) -> None:
    with blocking(server, cache) as client:
        create = client.chat.completions.with_raw_response.create
        answers = [create(**body_of(temperature=0.9)) for _ in range(2)]
        client.chat.completions.create(**body_of(temperature=0.9, seed=1))
        client.chat.completions.create(**body_of(temperature=0.9, seed=1))
    assert len(server.requests) == 3
    status = answers[1].headers["cache-status"]
    assert status == 'semcache; fwd=bypass; detail="temperature"'
    assert answers[1].request_id == "req-Why?"
    assert cache.tally.counts()["bypass: temperature"] == 2


def test_no_cache_asks_again_and_stores(server: Loopback, cache: SemCache) -> None:
    def ask(wish: str) -> str:
        answer = client.chat.completions.with_raw_response.create(
            **body_of(), extra_headers={"cache-control": wish}
        )
        status: str = answer.headers["x-semcache-status"]
        return status

    with blocking(server, cache) as client:
        statuses = [ask(w) for w in ("no-store", "max-age=60", "no-cache", "max-age=60", "x")]
        both = ask("no-cache, no-store")
    assert statuses == ["MISS", "MISS", "BYPASS", "HIT", "HIT"]
    assert both == "BYPASS"
    assert len(server.requests) == 4


# ------------------------------------------------------------------------------- broken caches


class _BrokenStore(LocalStore):
    """Every look and every write fails, as on a full or vanished disk."""

    def get(self, key: str) -> Entry | None:
        raise OSError("no disk")

    def put(self, entry: Entry, vector: Any = None, sketch: Any = None) -> Entry:
        raise OSError("no disk")


def test_a_broken_store_breaks_no_call(
    server: Loopback, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = SemCache(store=_BrokenStore(tmp_path / "store"))

    async def talk(client: openai.AsyncOpenAI) -> Any:
        return await client.chat.completions.create(**body_of())

    with blocking(server, broken) as client:
        for stream in (False, True):
            answer = client.chat.completions.create(**body_of(), stream=stream)
            if stream:
                assert len(list(answer)) > 2
    assert using(asynchronous(server, broken), talk).model == "gpt-x-2031"
    asyncio.run(broken.aclose())
    assert len(server.requests) == 3
    assert "no disk" in caplog.text


@pytest.mark.parametrize("part", ["plan", "peek", "fly"])
def test_a_bug_in_the_cache_breaks_no_call(
    server: Loopback,
    cache: SemCache,
    part: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError

    async def talk(client: openai.AsyncOpenAI) -> Any:
        return await client.chat.completions.create(**body_of("Other?"))

    monkeypatch.setattr(cache, part, broken)
    caplog.set_level(logging.ERROR, "semcache")
    with blocking(server, cache) as client:
        for _ in range(3):
            assert client.chat.completions.create(**body_of()).model == "gpt-x-2031"
        assert using(asynchronous(server, cache), talk).model == "gpt-x-2031"
    assert len(caplog.records) == 1
    assert "ZeroDivisionError" in caplog.text


# ----------------------------------------------------------------------------------- questions


def post(url: str, content: Any = b"{}", **headers: str) -> httpx2.Request:
    return httpx2.Request("POST", url, content=content, headers=headers)


URL = "http://h:1/v1/chat/completions"


def test_where_a_question_was_asked() -> None:
    seen = {
        url: (q.kind, q.server)
        for url in (
            URL,
            "https://h/v1/completions",
            "https://h/openai/deployments/m/chat/completions",
            "https://user:pw@h/chat/completions",
        )
        if (q := read_question(post(url))) is not None
    }
    assert list(seen.values()) == [
        ("chat", "http://h:1/v1"),
        ("completion", "https://h/v1"),
        ("chat", "https://h/openai/deployments/m"),
        ("chat", "https://h"),
    ]


def test_a_key_in_the_query_is_in_no_text() -> None:
    one = read_question(post(f"{URL}?key=sk-secret"))
    two = read_question(post(f"{URL}?key=sk-other"))
    assert one is not None
    assert two is not None
    assert one.server != two.server
    assert "sk-" not in one.server + two.server


NOT_QUESTIONS = {
    "another method": httpx2.Request("GET", URL),
    "another path": post("http://h/v1/chat/completions/1"),
    "another name": post("http://h/v1/mycompletions"),
    "no JSON": post(URL, b"{"),
    "no UTF-8": post(URL, b'"\xff"'),
    "compressed": post(URL, b"{}", **{"content-encoding": "gzip"}),
    "read once": post(URL, iter([b"{}"])),
    "signed": post(URL, authorization="AWS4-HMAC-SHA256 Credential=a/b, Signature=c"),
}


@pytest.mark.parametrize("request_", NOT_QUESTIONS.values(), ids=NOT_QUESTIONS)
def test_what_is_no_question(request_: httpx2.Request) -> None:
    assert read_question(request_) is None


def test_a_bearers_key_is_the_credential() -> None:
    credentials = [
        q.credential
        for headers in (
            {"authorization": "Bearer sk-1"},
            {"authorization": "bearer  sk-1 "},
            {"authorization": "sk-1"},
            {},
            {"authorization": "Basic sk-1"},
            {"authorization": "Bearer sk-1", "api-key": "k"},
            {"user-agent": "me", "idempotency-key": "1", "accept": "x"},
        )
        if (q := read_question(post(URL, **headers))) is not None
    ]
    assert credentials == ["sk-1", "sk-1", "sk-1", "", "\nbasic: sk-1", "sk-1\napi-key: k", ""]


def test_what_a_miss_asks_for_is_one_field_more(server: Loopback, cache: SemCache) -> None:
    with bare(server) as official, blocking(server, cache) as client:
        list(official.chat.completions.create(**body_of(user="u"), stream=True))
        list(client.chat.completions.create(**body_of(user="u"), stream=True))
    first, second = (orjson.loads(seen.body) for seen in server.requests)
    assert second == {**first, "stream_options": {"include_usage": True}}
    one, two = (arrived(seen)["headers"] for seen in server.requests)
    lengths = [headers.pop("content-length") for headers in (one, two)]
    assert one == two
    assert lengths[1] == str(len(server.requests[1].body))
