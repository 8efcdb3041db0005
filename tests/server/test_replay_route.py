"""Stored answers streamed at a pace, over HTTP and through the drop-in client."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from semcache.cache import SemCache
from semcache.policy import PolicySettings
from semcache.store import LocalStore
from tests.client.talking import answering, asynchronous, blocking
from tests.loopback import Loopback
from tests.scripted import ScriptedAnswerer
from tests.server.serving import serving

BODY = {"model": "m", "messages": [{"role": "user", "content": "Who?"}], "stream": True}
CHAT = "/v1/chat/completions"


def told(events: str) -> list[str]:
    """What the events say, without what each response has of its own."""
    return [event.partition('"object"')[2] for event in events.split("\n\n")]


def test_a_paced_stream_says_the_same_and_ends_with_its_caller(tmp_path: Path) -> None:
    with serving(tmp_path, ScriptedAnswerer()) as http:
        assert http.post(CHAT, json=BODY).headers["x-semcache-status"] == "MISS"
        http.post(CHAT, json={**BODY, "stream": False})  # waits until it is stored
        at_once = http.post(CHAT, json=BODY)
        assert "content-length" in at_once.headers
        for pace in ("recorded", "10000"):
            answer = http.post(CHAT, json=BODY, headers={"x-semcache-replay": pace})
            assert answer.headers["x-semcache-status"] == "HIT"
            assert "content-length" not in answer.headers
            assert told(answer.text) == told(at_once.text)
            assert answer.text.endswith("data: [DONE]\n\n")
        slow = {"x-semcache-replay": "1"}  # five tokens: five seconds
        with http.stream("POST", CHAT, json=BODY, headers=slow) as begun:
            texts = begun.iter_text()
            assert next(texts)
            assert "semcache_in_flight 1.0" in http.get("/metrics").text
        while "semcache_in_flight 0.0" not in http.get("/metrics").text:
            pass
        whole = {**BODY, "stream": False}
        assert http.post(CHAT, json=whole, headers=slow).headers["x-semcache-status"] == "HIT"


@pytest.mark.parametrize("pace", ["recorded", 10_000.0])
def test_the_operators_pace_holds_in_the_client_too(tmp_path: Path, pace: float) -> None:
    cache = SemCache(store=LocalStore(tmp_path), settings=PolicySettings(replay=pace))
    asked: Any = {"model": "m", "messages": [{"role": "user", "content": "Who?"}], "stream": True}

    def said(client: Any) -> str:
        chunks = client.chat.completions.create(**asked)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    async def said_async(server: Loopback) -> str:
        async with asynchronous(server, cache) as client:
            chunks = await client.chat.completions.create(**asked)
            parts = [c.choices[0].delta.content or "" async for c in chunks if c.choices]
        return "".join(parts)

    with Loopback(answering) as server, blocking(server, cache) as client:
        first = said(client)
        assert said(client) == first
        assert asyncio.run(said_async(server)) == first
        assert len(server.requests) == 1
    asyncio.run(cache.aclose())
