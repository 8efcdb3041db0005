"""Keys that the upstream knows: its word before anything else, kept for a while, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from semcache.config import Config
from semcache.errors import AuthenticationError, ConfigError, UpstreamError
from semcache.pass_through import MAX_KEY, PassThrough, PassThroughSettings

SETTINGS = PassThroughSettings(ttl_s=300, refused_ttl_s=60, grace_s=600, most=4)


class Upstream:
    """Knows keys that begin with "good"; can be down, and can be slow."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.now = 0.0
        self.down = False
        self.gate: asyncio.Event | None = None
        self.door = PassThrough(self.check, b"s" * 32, lambda: self.now, SETTINGS)

    async def check(self, key: str) -> bool:
        self.asked.append(key)
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise UpstreamError("down", status=502)
        return key.startswith("good")

    async def lets_in(self, key: str) -> bool:
        await self.door.admit(key)
        try:
            caller = self.door.caller_of(key)
        except AuthenticationError:
            return False
        assert caller.key == key
        assert key not in repr(caller)
        return True


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_the_upstream_is_asked_first_and_once_in_a_while() -> None:
    async def test() -> None:
        up = Upstream()
        with pytest.raises(AuthenticationError):
            up.door.caller_of("good")
        for now, asked in ((0, 1), (299, 1), (301, 2)):
            up.now = now
            assert await up.lets_in("good")
            assert len(up.asked) == asked
        for now, asked in ((301, 3), (360, 3), (362, 4)):
            up.now = now
            assert not await up.lets_in("bad")
            assert len(up.asked) == asked
        assert up.door.tenant_of("good") == up.door.named("good") != up.door.named("bad")

    run(test)


def test_many_at_once_ask_together_and_who_leaves_takes_nobody_along() -> None:
    async def test() -> None:
        up = Upstream()
        up.gate = asyncio.Event()
        waiting = [asyncio.ensure_future(up.lets_in("good")) for _ in range(5)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        up.gate.set()
        assert await asyncio.gather(*waiting[1:]) == [True] * 4
        assert up.asked == ["good"]
        up.gate = asyncio.Event()
        many = [asyncio.ensure_future(up.lets_in(f"bad{at}")) for at in range(40)]
        await asyncio.sleep(0)
        up.gate.set()
        said = await asyncio.gather(*many, return_exceptions=True)
        assert sum(isinstance(one, UpstreamError) and one.status == 503 for one in said) == 24

    run(test)


def test_an_outage_lets_in_only_who_was_good() -> None:
    async def test() -> None:
        up = Upstream()
        assert await up.lets_in("good")
        up.down = True
        with pytest.raises(UpstreamError) as told:
            await up.lets_in("good-too")
        assert told.value.status == 503
        for now, asked in ((301, 3), (310, 3), (899, 4)):
            up.now = now
            assert await up.lets_in("good")
            assert len(up.asked) == asked
        up.now = 901
        with pytest.raises(UpstreamError):
            await up.lets_in("good")
        up.down = False
        assert await up.lets_in("good-too")

    run(test)


def test_a_flood_of_wrong_keys_drives_out_no_good_one() -> None:
    async def test() -> None:
        up = Upstream()
        for at in range(4):
            assert await up.lets_in(f"good{at}")
        for at in range(100):
            assert not await up.lets_in(f"bad{at}")
        up.asked.clear()
        for at in range(4):
            assert await up.lets_in(f"good{at}")
        assert not up.asked
        assert len(up.door._refused) == len(up.door._good) == 4
        assert not any(b"good" in index for index in up.door._good)

    run(test)


@pytest.mark.parametrize(
    "key",
    ["", "good\n", "good x", "göod", "\udcff", "x" * (MAX_KEY + 1), "good\x7f", "sk-semcache-good"],
)
def test_what_can_be_no_key_never_reaches_the_upstream(key: str) -> None:
    async def test() -> None:
        up = Upstream()
        with pytest.raises(AuthenticationError):
            await up.lets_in(key)
        with pytest.raises(AuthenticationError):
            up.door.caller_of(key)
        assert not up.asked

    run(test)


@pytest.mark.parametrize(
    "more",
    [
        {"server": {"pass_through": {"ttl_s": 0}}},
        {"server": {"pass_through": {"path": "http://elsewhere/"}}},
        {"server": {"pass_through": {"path": "/models"}}},
        {"server": {"pass_through": {}, "keys": [{"name": "a", "sha256": "a" * 64}]}},
        {"server": {"pass_through": {}}, "engines": ["cag"]},
        {
            "server": {"pass_through": {}},
            "upstream": {"base_url": "http://one/v1", "fallbacks": [{"base_url": "http://two/v1"}]},
        },
        {"upstream": {"base_url": "http://one/v1", "forward_headers": ["authorization"]}},
        {"upstream": {"base_url": "http://one/v1", "forward_headers": ["x-forwarded-for"]}},
        {"upstream": {"base_url": "http://one/v1", "forward_headers": ["X-Mine"]}},
    ],
)
def test_what_does_not_go_together_is_refused(more: dict[str, Any]) -> None:
    plain = {"engines": ["upstream"], "upstream": {"base_url": "http://one/v1"}}
    Config.from_mapping({**plain, "server": {"pass_through": {}}})
    with pytest.raises(ConfigError):
        Config.from_mapping({**plain, **more})
