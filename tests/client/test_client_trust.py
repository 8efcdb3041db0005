"""`client.cache` of the drop-in clients: the cache in the process takes the calls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

import semcache
from semcache import cache_of
from semcache.cache import SemCache
from semcache.embedding import SentenceEncoder
from semcache.store import LocalStore
from tests.client.talking import answering, asynchronous, bare, blocking
from tests.loopback import Json, Loopback, Reply, Seen

HEIGHT = "How tall is the Eiffel Tower?"
HEIGHT_TOO = "What is the height of the Eiffel Tower?"


@pytest.fixture
def alike(tmp_path: Path) -> Iterator[SemCache]:
    """A cache that matches other words too."""
    encoder = SentenceEncoder.open()
    store = LocalStore(tmp_path / "alike", dim=encoder.dim, embedder=encoder.fingerprint)
    made = SemCache(store=store, embedder=encoder)
    yield made
    asyncio.run(made.aclose())


def messages(text: str) -> Any:
    return [{"role": "user", "content": text}]


def ask(client: openai.OpenAI, text: str, **options: Any) -> Any:
    return client.chat.completions.create(model="gpt-x", messages=messages(text), **options)


def test_a_wrong_answer_is_asked_anew(server: Loopback, alike: SemCache) -> None:
    with blocking(server, alike) as client:
        ask(client, HEIGHT)
        wrong = ask(client, HEIGHT_TOO)
        assert len(server.requests) == 1
        done = client.cache.feedback(wrong, "wrong", comment="no")
        assert (done["quarantined"], done["pair"]) == (True, True)
        ask(client, HEIGHT_TOO)
        assert len(server.requests) == 2


def test_a_streamed_answer_has_a_name_too(server: Loopback, alike: SemCache) -> None:
    with blocking(server, alike) as client:
        ask(client, HEIGHT)
        chunks = list(ask(client, HEIGHT_TOO, stream=True))
        assert client.cache.feedback(chunks[0], "right")["alias"] is True


def test_explain_knows_the_clients_server_and_sends_nothing(
    server: Loopback, alike: SemCache
) -> None:
    with blocking(server, alike) as client:
        ask(client, HEIGHT)
        told = client.cache.explain(HEIGHT_TOO, model="gpt-x")
        assert told["decision"]["outcome"] == "hit"
        other = client.cache.explain(HEIGHT_TOO, model="gpt-y")
        assert other["decision"]["outcome"] == "miss"
        assert other["elsewhere"][0]["differs"] == ["model"]
        assert len(server.requests) == 1


def test_another_key_is_another_tenant(alike: SemCache) -> None:
    def refusing(seen: Seen) -> Reply:
        if seen.path.endswith("/cache/feedback"):
            return Json({"error": {"message": "no such route"}}, status=404)
        return answering(seen)

    with Loopback(refusing) as server:
        with blocking(server, alike) as client:
            ask(client, HEIGHT)
            hit = ask(client, HEIGHT_TOO)
        with (
            blocking(server, alike, api_key="sk-2") as other,
            pytest.raises(openai.NotFoundError),
        ):
            other.cache.feedback(hit, "wrong")
        with blocking(server, alike) as client:
            ask(client, HEIGHT_TOO)
        assert [seen.path[-9:] for seen in server.requests] == ["mpletions", "/feedback"]


def test_bad_feedback_is_a_bad_request(server: Loopback, alike: SemCache) -> None:
    with blocking(server, alike) as client, pytest.raises(openai.BadRequestError, match="verdict"):
        client.cache.feedback("x", "dreadful")
    assert server.requests == []


def test_a_wrapped_client(server: Loopback, alike: SemCache) -> None:
    with bare(server) as own:
        client = semcache.wrap(own, cache=alike)
        ask(client, HEIGHT)
        wrong = ask(client, HEIGHT_TOO)
        assert cache_of(client).feedback(wrong, "wrong")["quarantined"] is True
        client.close()


def test_an_async_client(server: Loopback, alike: SemCache) -> None:
    async def work() -> None:
        client = asynchronous(server, alike)
        create = client.chat.completions.create
        await create(model="gpt-x", messages=messages(HEIGHT))
        wrong = await create(model="gpt-x", messages=messages(HEIGHT_TOO))
        assert len(server.requests) == 1
        told = await client.cache.explain(HEIGHT_TOO, model="gpt-x")
        assert told["decision"]["outcome"] == "hit"
        assert (await client.cache.feedback(wrong, "wrong"))["quarantined"] is True
        await create(model="gpt-x", messages=messages(HEIGHT_TOO))
        assert len(server.requests) == 2
        await client.close()

    asyncio.run(work())
