"""Encryption as it is configured: whose key opens what, and what does not go together."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from semcache.assembly import Assembled, build
from semcache.chat import text_request
from semcache.completion import text_completion_of
from semcache.config import Config
from semcache.errors import AuthenticationError, ConfigError
from semcache.installation import open_store
from semcache.interfaces import Hit
from semcache.reloading import reloaded
from semcache.server_keys import Doorkeeper

KEYS = [{"name": name, "sha256": sha256(name.encode()).hexdigest()} for name in ("ann", "ben")]


def config(folder: Path, encryption: str, **server: Any) -> Config:
    return Config.from_mapping(
        {
            "evaluation": "exact",
            "engines": ["upstream"],
            "upstream": {"base_url": "http://127.0.0.1:9/v1"},
            "storage_config": {"data_dir": str(folder)},
            "store": {"encryption": encryption},
            "server": server,
        }
    )


def found(assembled: Assembled, key: str) -> bool:
    """Whether the answer is there for who comes with this key."""
    door = assembled.doorkeeper
    tenant = assembled.tenant_of(key) if door is None else door.tenant_of(key)
    request = text_request("What is the secret?", tenant=tenant, model="m")
    return isinstance(assembled.cache.get(request).decision, Hit)


def put(assembled: Assembled, key: str) -> None:
    door = assembled.doorkeeper
    tenant = assembled.tenant_of(key) if door is None else door.tenant_of(key)
    answer = text_completion_of("It is a pigeon.", id="x", created=1, model="m")
    request = text_request("What is the secret?", tenant=tenant, model="m")
    asyncio.run(assembled.cache.put(request, answer))


@pytest.mark.parametrize("server", [{}, {"keys": KEYS}])
def test_a_callers_key_opens_the_callers_own(tmp_path: Path, server: dict[str, Any]) -> None:
    assembled = build(config(tmp_path, "caller", **server))
    for key in ("ann", "ben"):
        put(assembled, key)
    assert len(assembled.cache.layers.memory) == 0
    assert found(assembled, "ann")
    assert len(assembled.cache.layers.memory) == 0
    with pytest.raises(AuthenticationError):
        assembled.tenant_of("")
    asyncio.run(assembled.cache.aclose())
    assembled = build(config(tmp_path, "caller", **server))
    assert found(assembled, "ann")
    asyncio.run(assembled.cache.aclose())
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"pigeon" not in written
    assert b"secret?" not in written
    with open_store(config(tmp_path, "caller")) as store:
        assert list(store.scan()) == []
        assert store.stats().entries == 2
    with open_store(config(tmp_path, "none")) as store:
        assert all("pigeon" not in str(entry) for entry in store.scan())


def test_an_operators_key_opens_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, there in (("a" * 32, False), ("a" * 32, True), ("b" * 32, False)):
        monkeypatch.setenv("SEMCACHE_STORE_KEY", key)
        assembled = build(config(tmp_path, "key"))
        assert found(assembled, "ann") is there
        put(assembled, "ann")
        asyncio.run(assembled.cache.aclose())
    for key in ("", "short"):
        monkeypatch.setenv("SEMCACHE_STORE_KEY", key)
        with pytest.raises(ConfigError, match="openssl"):
            build(config(tmp_path, "key"))


@pytest.mark.parametrize(
    "server",
    [
        {"keys": [{**KEYS[0], "namespace": "crew"}]},
        {"pass_through": {"shared": True}, "promote_after": 2},
    ],
)
def test_what_is_for_one_key_is_shared_with_nobody(tmp_path: Path, server: dict[str, Any]) -> None:
    config(tmp_path, "key", **server)
    with pytest.raises(ConfigError, match="caller"):
        config(tmp_path, "caller", **server)


def test_a_reload_keeps_the_ring_and_closes_the_new_door(tmp_path: Path) -> None:
    """The door that a reload opens tells the same ring of its callers, and writes its quotas."""
    assembled = build(config(tmp_path, "caller", keys=KEYS))
    put(assembled, "ann")
    quota = {"tokens_per_day": 5}
    new = config(tmp_path, "caller", keys=[{**KEYS[0], "quota": quota}])
    made = reloaded(assembled, new)
    asyncio.run(made.close_replaced())
    assert made.assembled.ring is assembled.ring
    ring = made.assembled.ring
    assert ring is not None
    ring._keys.clear()
    assert found(made.assembled, "ann")
    door = made.assembled.doorkeeper
    assert isinstance(door, Doorkeeper)
    account = door.caller_of("ann").account
    assert account is not None
    account.spend("m", {"total_tokens": 9})
    with pytest.raises(AuthenticationError):
        door.tenant_of("ben")
    asyncio.run(assembled.cache.aclose())
    again = build(new)
    assert again.doorkeeper is not None
    kept = again.doorkeeper.caller_of("ann").account
    assert kept is not None
    assert kept.exhausted
    asyncio.run(again.cache.aclose())
