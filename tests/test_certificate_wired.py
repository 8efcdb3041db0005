"""A bound asked for in the configuration, from labels to hits and back: everything real.

The only double is the engine that answers, a help desk with one form for each intent.
"""

from __future__ import annotations

import asyncio
import random
import stat
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.quality.intents import own_requests
from semcache.assembly import build
from semcache.cache import SemCache
from semcache.chat import ChatRequest, text_request
from semcache.completion import Completion, text_completion_of
from semcache.config import Config
from semcache.errors import ConfigError
from semcache.interfaces import Hit, Miss
from semcache.reply import Reply
from tests.scripted import ScriptedAnswerer

INTENTS = 24


class HelpDesk:
    """One form for each intent; `shift` changes them all."""

    def __init__(self) -> None:
        rows = [row for row in own_requests() if row[1] != "oos"]
        names = sorted({intent for _, intent in rows})[:INTENTS]
        self.forms = {name: 100 + at for at, name in enumerate(names)}
        self.intent_of = {text: intent for text, intent in rows if intent in self.forms}
        self.shift = 0
        self.questions = sorted(self.intent_of)
        random.Random(1).shuffle(self.questions)

    def answer(self, request: ChatRequest) -> Completion:
        return text_completion_of(
            self.right(str(request.messages[-1]["content"])), id="chatcmpl-1", created=1, model="m"
        )

    def right(self, question: str) -> str:
        return f"Please use form {self.forms[self.intent_of[question]] + self.shift}."


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.desk = HelpDesk()
        self.answerer = ScriptedAnswerer(self.desk.answer)

    @asynccontextmanager
    async def cache(self, **trust: Any) -> AsyncIterator[SemCache]:
        wanted = {"max_wrong_rate": 0.1, "per": "hit", "audit_share": 1.0, **trust}
        config = Config.from_mapping(
            {"storage_config": {"data_dir": str(self.folder)}, "engines": [], "trust": wanted}
        )
        made = build(config).cache
        try:
            yield made
        finally:
            await made.aclose()

    async def ask(self, cache: SemCache, text: str) -> Reply:
        reply = await cache.ask(text_request(text, tenant="t", model="m"), via=self.answerer)
        await reply.completion()
        await reply.stored()
        reply.close()
        assert cache.checks is not None
        await asyncio.to_thread(cache.checks.settle)
        return reply


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data")


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 120))


def state(cache: SemCache) -> str:
    assert cache.supervisor is not None
    return str(cache.supervisor.status()["state"])


def test_labels_a_certificate_hits_an_alarm_and_exact_only_again(world: World) -> None:
    async def test() -> None:
        async with world.cache(packaged_calibration=False) as cache:
            first = await world.ask(cache, world.desk.questions[0])
            assert first.certificate.startswith("exact-only; needed=")
            before: list[Reply] = []
            after: list[Reply] = []
            for text in world.desk.questions[1:300]:
                reply = await world.ask(cache, text)
                (after if reply.certificate.startswith("certified") else before).append(reply)
            assert state(cache) == "certified"
            assert not any(isinstance(reply.decision, Hit) for reply in before)
            assert "verifier=uncertified" in {reply.decision.reason for reply in before}
            hits = [reply for reply in after if isinstance(reply.decision, Hit)]
            assert len(hits) >= 10
            assert all(reply.certificate for reply in after)
            counts = cache.tally.counts()
            assert counts["certificate: certified"] == len(after)
            assert counts["label: audit right"] + counts.get("label: audit wrong", 0) == len(hits)

            world.desk.shift = 500  # every stored answer is wrong from now on
            later = [await world.ask(cache, text) for text in world.desk.questions[300:420]]
            assert cache.tally.counts()["label: audit wrong"] > 0
            assert cache.tally.counts()["quarantined: audit"] > 0
            assert later[-1].certificate.startswith("exact-only")
            assert isinstance(later[-1].decision, Miss)

    run(test)
    ledger = world.folder / "labels.db"
    assert stat.S_IMODE(ledger.stat().st_mode) == 0o600


def test_a_restart_forgets_neither_labels_nor_certificate(world: World) -> None:
    async def test() -> None:
        async with world.cache(packaged_calibration=False) as cache:
            for text in world.desk.questions[:200]:
                await world.ask(cache, text)
            assert cache.supervisor is not None
            before = cache.supervisor.status()
        async with world.cache(packaged_calibration=False) as cache:
            assert cache.supervisor is not None
            assert cache.supervisor.status()["labels"] == before["labels"]
            assert state(cache) == before["state"] == "certified"

    run(test)


def test_the_package_serves_the_first_day_and_says_so(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            stored, again = "How do I renew my passport?", "How can I renew my passport?"
            world.desk.intent_of |= dict.fromkeys((stored, again), next(iter(world.desk.forms)))
            reply = await world.ask(cache, stored)
            assert reply.certificate.startswith("packaged; ")
            assert isinstance((await world.ask(cache, again)).decision, Hit)

    run(test)


def test_without_a_bound_nothing_is_said(tmp_path: Path) -> None:
    async def test() -> None:
        config = Config.from_mapping({"storage_config": {"data_dir": str(tmp_path)}, "engines": []})
        cache = build(config).cache
        try:
            assert cache.supervisor is None
            assert cache.checks is None
            plan = text_request("How tall is it?", tenant="t", model="m")
            reply = await cache.ask(plan, via=ScriptedAnswerer())
            await reply.completion()
            reply.close()
            assert reply.certificate == ""
        finally:
            await cache.aclose()

    run(test)


def test_guards_keep_their_veto(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            forms = list(world.desk.forms)
            texts = "How many mg are in 5 pills of it?", "How many mg are in 7 pills of it?"
            world.desk.intent_of |= {texts[0]: forms[0], texts[1]: forms[1]}
            await world.ask(cache, texts[0])
            refused = (await world.ask(cache, texts[1])).decision
            assert isinstance(refused, Miss)
            assert refused.reason == "guard=numbers"
            assert refused.judged is not None
            assert refused.judged.score == 0.0

    run(test)


@pytest.mark.parametrize(
    ("trust", "message"),
    [
        ({"max_wrong_rate": 0}, "trust.max_wrong_rate"),
        ({"max_wrong_rate": 2}, "trust.max_wrong_rate"),
        ({"max_wrong_rate": 0.02, "threshold": 0.5}, "leave 'trust.threshold' out"),
        ({"confidence": 1.0}, "trust.confidence"),
        ({"audit_share": 0.0}, "trust.audit_share"),
        ({"per": "day"}, "trust.per"),
        ({"guards": "off"}, "trust.guards"),
    ],
)
def test_wrong_values_are_named(trust: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config.from_mapping({"trust": trust})
