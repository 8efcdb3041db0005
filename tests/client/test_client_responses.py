"""`client.responses` and `client.embeddings` with a cache in the process, on a miss and a hit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from semcache.cache import SemCache
from tests.client.talking import asynchronous, bare, blocking, using
from tests.loopback import Loopback
from tests.upstream_double import openai_like


class Party(BaseModel):
    name: str
    guests: list[str]


ASK: dict[str, Any] = {"model": "gpt-x", "input": "Why?"}
TOOLS: dict[str, Any] = {**ASK, "tools": [{"type": "function", "name": "weather"}]}


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback(openai_like) as running:
        yield running


def dumped(response: Any) -> dict[str, Any]:
    shown: dict[str, Any] = response.model_dump(exclude={"id", "created_at"})
    return shown


async def _async_calls(client: openai.AsyncOpenAI) -> list[Any]:
    found: list[Any] = []
    for _ in range(2):
        found.append(await client.responses.create(**ASK))
        found.append(await client.responses.create(**TOOLS))
        found.append(await client.responses.parse(**ASK, text_format=Party))
        async with client.responses.stream(**ASK) as stream:
            found.append(await stream.get_final_response())
    return found


def _calls(client: openai.OpenAI) -> list[Any]:
    found: list[Any] = []
    for _ in range(2):
        found.append(client.responses.create(**ASK))
        found.append(client.responses.create(**TOOLS))
        found.append(client.responses.parse(**ASK, text_format=Party))
        with client.responses.stream(**ASK) as stream:
            found.append(stream.get_final_response())
    return found


@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "async"])
def test_the_same_objects(server: Loopback, cache: SemCache, is_async: bool) -> None:
    with bare(server) as official:
        expected = _calls(official)[:4]
    asked = len(server.requests)
    if is_async:
        found = using(asynchronous(server, cache), _async_calls)
    else:
        with blocking(server, cache) as client:
            found = _calls(client)
    for wanted, miss, hit in zip(expected, found[:4], found[4:], strict=True):
        assert type(wanted) is type(miss) is type(hit)
        assert dumped(wanted) == dumped(miss) == dumped(hit)
    assert found[6].output_parsed == Party(name="fête", guests=["Ana", "Bo"])
    assert len(server.requests) == asked + 3


def test_a_stream_is_relayed_as_it_came_and_stored(server: Loopback, cache: SemCache) -> None:
    with bare(server) as official, blocking(server, cache) as client:
        expected = [e.to_dict() for e in official.responses.create(**ASK, stream=True)]
        miss = [e.to_dict() for e in client.responses.create(**ASK, stream=True)]
        raw = client.responses.with_raw_response.create(**ASK)

    def shape(events: list[Any]) -> list[tuple[str, int]]:
        return [(event["type"], event["sequence_number"]) for event in events]

    assert shape(miss) == shape(expected)
    assert miss[6] == expected[6]
    assert raw.headers["x-semcache-status"] == "HIT"


def test_embeddings_by_the_whole_request(server: Loopback, cache: SemCache) -> None:
    asks: list[dict[str, Any]] = [
        {"model": "e", "input": "one"},
        {"model": "e", "input": ["one"]},
        {"model": "e", "input": [[1, 2], [3]], "encoding_format": "base64"},
    ]
    with bare(server) as official, blocking(server, cache) as client:
        for ask in asks:
            expected = official.embeddings.create(**ask).model_dump(warnings=False)
            asked = len(server.requests)
            found = [client.embeddings.with_raw_response.create(**ask) for _ in range(2)]
            assert len(server.requests) == asked + 1
            assert [one.headers["x-semcache-status"] for one in found] == ["MISS", "HIT"]
            for one in found:
                assert one.parse().model_dump(warnings=False) == expected
