"""Who may ask: keys by their digests, tenants by names and namespaces, so often a minute."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from semcache.assembly import build
from semcache.config import Config
from semcache.errors import AuthenticationError, ConfigError, TooManyRequests
from semcache.server_keys import Doorkeeper, ServerKey, new_key

SECRET = b"s" * 32


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def made(name: str, key: str, **more: Any) -> ServerKey:
    return ServerKey(name, sha256(key.encode()).hexdigest(), **more)


def door(*keys: ServerKey, clock: Clock | None = None, secret: bytes = SECRET) -> Doorkeeper:
    return Doorkeeper(keys, secret, clock or Clock())


def test_a_key_is_a_tenant_of_its_own() -> None:
    keeper = door(made("shop", "one"), made("support", "two"))
    assert keeper.tenant_of("one") == keeper.tenant_of("one")
    assert keeper.tenant_of("one") != keeper.tenant_of("two")
    assert "shop" not in keeper.tenant_of("one")


@pytest.mark.parametrize("key", ["", "three", "On e", "one ", "ONE", "\udcff", "x" * 100_000])
def test_another_key_is_not_let_in(key: str) -> None:
    with pytest.raises(AuthenticationError) as told:
        door(made("shop", "one")).tenant_of(key)
    assert told.value.status == 401
    assert "one" not in str(told.value)


def test_a_new_key_under_the_old_name_has_the_old_cache() -> None:
    before = door(made("shop", "one")).tenant_of("one")
    assert door(made("shop", "new")).tenant_of("new") == before
    assert door(made("shop", "one"), secret=b"t" * 32).tenant_of("one") != before


def test_a_namespace_is_shared_and_no_name() -> None:
    keeper = door(
        made("a", "one", namespace="crew"),
        made("b", "two", namespace="crew"),
        made("crew", "three"),
    )
    assert keeper.tenant_of("one") == keeper.tenant_of("two")
    assert keeper.tenant_of("three") != keeper.tenant_of("one")


def test_a_bound_comes_back_with_time() -> None:
    clock = Clock()
    keeper = door(made("shop", "one", requests_per_minute=3), made("b", "two"), clock=clock)
    for _ in range(3):
        keeper.tenant_of("one")
    with pytest.raises(TooManyRequests) as told:
        keeper.tenant_of("one")
    assert (told.value.status, told.value.retry_after_s) == (429, 20)
    keeper.named("one")
    for _ in range(50):
        keeper.tenant_of("two")
    clock.now += 20.0
    keeper.tenant_of("one")
    with pytest.raises(TooManyRequests):
        keeper.tenant_of("one")
    clock.now += 3600.0
    for _ in range(3):
        keeper.tenant_of("one")
    with pytest.raises(TooManyRequests):
        keeper.tenant_of("one")


def test_new_keys_are_long_and_new() -> None:
    (one, digest), (other, _) = new_key(), new_key()
    assert one != other
    assert len(one) > 50
    assert digest == sha256(one.encode()).hexdigest()


@pytest.mark.parametrize(
    "section",
    [
        {"name": "a", "sha256": "abc"},
        {"name": "a", "sha256": "A" * 64},
        {"name": "", "sha256": "a" * 64},
        {"name": "a", "sha256": "a" * 64, "namespace": ""},
        {"name": "a", "sha256": "a" * 64, "requests_per_minute": 0},
        {"name": "a"},
        {"name": "a", "sha256": "a" * 64, "key": "plain"},
    ],
)
def test_a_section_that_means_nothing_is_refused(section: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Config.from_mapping({"server": {"keys": [section]}})


@pytest.mark.parametrize(
    "keys",
    [[made("a", "one"), made("a", "two")], [made("a", "one"), made("b", "one")]],
)
def test_two_of_one_kind_are_refused(keys: list[ServerKey]) -> None:
    with pytest.raises(ConfigError, match="Two keys"):
        door(*keys)


def test_two_keys_of_one_name_are_said_before_anything_is_loaded(tmp_path: Path) -> None:
    key = {"name": "shop", "sha256": "a" * 64}
    config = Config.from_mapping(
        {
            "storage_config": {"data_dir": str(tmp_path)},
            "server": {"keys": [key, {**key, "sha256": "b" * 64}]},
        }
    )
    said: list[str] = []
    with pytest.raises(ConfigError, match="same name"):
        build(config, said.append)
    assert said == []
