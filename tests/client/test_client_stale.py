"""Through the drop-in clients: a stale answer at once, and another from the caller's own server."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from semcache.cache import SemCache
from semcache.policy import PolicySettings
from semcache.store import LocalStore
from tests.client.talking import answering, asynchronous, blocking, body_of
from tests.loopback import Loopback


def stale_for_long(folder: Path) -> SemCache:
    settings = PolicySettings(ttl_s=0.05, stale_while_revalidate_s=600.0, semantic=False)
    return SemCache(store=LocalStore(folder), settings=settings)


def test_the_blocking_client_is_not_kept_waiting(tmp_path: Path) -> None:
    cache = stale_for_long(tmp_path)
    with Loopback(answering) as server, blocking(server, cache) as client:
        statuses = []
        while len(server.requests) < 3:
            raw = client.chat.completions.with_raw_response.create(**body_of())
            statuses.append(raw.headers["x-semcache-status"])
            assert raw.parse().choices[0].message.content
            time.sleep(0.01)
        assert statuses[0] == "MISS"
        assert set(statuses[1:]) <= {"HIT", "STALE"}
        assert "STALE" in statuses
    asyncio.run(cache.aclose())


def test_the_async_client_is_not_kept_waiting(tmp_path: Path) -> None:
    async def test() -> None:
        cache = stale_for_long(tmp_path)
        statuses = []
        with Loopback(answering) as server:
            async with asynchronous(server, cache) as client:
                while len(server.requests) < 3:
                    raw = await client.chat.completions.with_raw_response.create(**body_of())
                    statuses.append(raw.headers["x-semcache-status"])
                    await asyncio.sleep(0.01)
                await cache.refreshing.settled()
            await cache.aclose()
        assert statuses[0] == "MISS"
        assert set(statuses[1:]) <= {"HIT", "STALE"}
        assert "STALE" in statuses

    asyncio.run(test())
