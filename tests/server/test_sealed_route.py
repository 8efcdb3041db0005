"""A server that seals what it stores under its callers' keys, and keeps nothing of it in memory."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2

from semcache.admin_key import read_admin_key
from semcache.assembly import build
from semcache.config import Config
from semcache_server.app import build_app
from semcache_server.running import serving_of
from tests.loopback import Json, Loopback

MESSAGE = {"role": "assistant", "content": "It is a pigeon."}
ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
}


def config(folder: Path, base_url: str) -> Config:
    keys = [{"name": n, "sha256": sha256(n.encode()).hexdigest()} for n in ("ann", "ben")]
    return Config.from_mapping(
        {
            "evaluation": "exact",
            "engines": ["upstream"],
            "upstream": {"base_url": base_url},
            "storage_config": {"data_dir": str(folder)},
            "store": {"encryption": "caller"},
            "server": {"keys": keys},
        }
    )


def test_each_opens_its_own_and_nothing_stays_open(tmp_path: Path) -> None:
    async def test(base_url: str) -> list[str]:
        assembled = build(config(tmp_path, base_url))
        cache, admin = assembled.cache, read_admin_key(tmp_path)
        transport = httpx2.ASGITransport(app=build_app(serving_of(assembled, "")))
        told = []
        async with httpx2.AsyncClient(transport=transport, base_url="http://here") as http:

            async def ask(key: str) -> Any:
                body = {"model": "m", "messages": [{"role": "user", "content": "What is it?"}]}
                sent = {"authorization": f"Bearer {key}"}
                return await http.post("/v1/chat/completions", json=body, headers=sent)

            for key in ("ann", "ann", "ben", "ben", admin, admin):
                said = await ask(key)
                assert said.json()["choices"][0]["message"] == MESSAGE
                told.append(said.headers["x-semcache-status"])
            assert (await ask("eve")).status_code == 401
            shown = await http.get(
                "/v1/cache/decisions", headers={"authorization": f"Bearer {admin}"}
            )
            assert shown.status_code == 200
            assert "What is it" not in shown.text
        assert len(cache.layers.memory) == 0
        await cache.aclose()
        return told

    with Loopback([Json(ANSWER)]) as upstream:
        told = asyncio.run(test(upstream.base_url))
    assert told == ["MISS", "HIT"] * 3
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"pigeon" not in written
    assert b"What is it" not in written
