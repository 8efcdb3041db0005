"""Checks against fresh answers: what becomes a label, and that nobody waits for one.

Real store and encoder; the double is the engine, and a supervisor that draws what the test says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from semcache.cache import SemCache
from semcache.chat import ChatRequest, text_request
from semcache.completion import Completion, text_completion_of
from semcache.config import Config
from semcache.interfaces import Asked, Hit, Judged, Verdict
from semcache.judging import LabelSource
from semcache.reply import Reply
from semcache.verify.audit import compare
from tests.scripted import ScriptedAnswerer

HEIGHT = "How tall is the Eiffel Tower?"
HEIGHT_TOO = "What is the height of the Eiffel Tower?"
MAKER = "Who built the Eiffel Tower?"


class Watch:
    """Draws every lookup or none, and keeps what it is told."""

    def __init__(self) -> None:
        self.weight: float | None = 1.0
        self.labels: list[tuple[str, float, bool, LabelSource]] = []
        self.entries = 0
        self.nothing: list[str] = []
        self.broken = False

    def audit(self, judged: Judged) -> float | None:
        return self.weight

    def same(self, question: str, answer: str, fresh: str, similarity: float) -> bool | None:
        return compare(question, answer, fresh, similarity).same

    def record(self, judged: Judged, weight: float, wrong: bool, source: LabelSource) -> None:
        if self.broken:
            raise RuntimeError("no label")
        self.labels.append((judged.question, weight, wrong, source))

    def passed(self, question: str) -> None:
        self.nothing.append(question)

    def grown(self, entries: int) -> None:
        self.entries = entries

    def status(self) -> Mapping[str, Any]:
        return {"state": "off"}

    def header(self) -> str:
        return "off"

    def close(self) -> None:
        return None


class Serves:
    """A verifier that serves all or nothing."""

    def __init__(self) -> None:
        self.all = False

    def judge(self, asked: Asked, candidates: Any, around: Any = ()) -> list[Verdict]:
        return [Verdict(self.all, 0.5, "so it is told") for _ in candidates]


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: dict[str, str] = {}
        self.answerer = ScriptedAnswerer(self.script)
        self.watch, self.verifier = Watch(), Serves()

    def script(self, request: ChatRequest) -> Completion:
        question = str(request.messages[-1]["content"])
        text = self.said.get(question, f"About: {question}")
        return text_completion_of(text, id="chatcmpl-1", created=1, model="m")

    @asynccontextmanager
    async def cache(self, sharing: frozenset[str] = frozenset()) -> AsyncIterator[SemCache]:
        from semcache.installation import open_embedder, open_store
        from semcache.policy import PolicySettings

        config = Config.from_mapping(
            {"storage_config": {"data_dir": str(self.folder)}, "engines": []}
        )
        embedder = open_embedder(config)
        made = SemCache(
            store=open_store(config, embedder),
            embedder=embedder,
            answerers=[self.answerer],
            verifier=self.verifier,
            supervisor=self.watch,
            settings=PolicySettings(guards=()),
            sharing=sharing,
        )
        try:
            yield made
        finally:
            await made.aclose()

    async def ask(self, cache: SemCache, text: str, settle: bool = True) -> Reply:
        reply = await cache.ask(text_request(text, tenant="t", model="m"))
        await reply.completion()
        await reply.stored()
        reply.close()
        assert cache.checks is not None
        if settle:
            await asyncio.to_thread(cache.checks.settle)
        return reply


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data")


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


def test_a_miss_tells_whether_the_stored_answer_would_have_been_right(world: World) -> None:
    world.said = {HEIGHT: "330 metres.", HEIGHT_TOO: "330 metres.", MAKER: "Eiffel's company."}

    async def test() -> None:
        async with world.cache() as cache:
            await world.ask(cache, HEIGHT)
            await world.ask(cache, "Which flour is best for bread?")
            assert world.watch.labels == []
            assert world.watch.nothing == [HEIGHT, "Which flour is best for bread?"]
            await world.ask(cache, HEIGHT_TOO)
            assert world.watch.labels == [(HEIGHT, 1.0, False, "shadow")]
            world.watch.weight = None
            await world.ask(cache, MAKER)
            assert world.watch.labels[1][1:] == (0.0, True, "shadow")

    run(test)


def test_two_wordings_of_one_answer_are_one_entry_with_two_questions(world: World) -> None:
    world.said = {
        HEIGHT: "The Eiffel Tower is 330 metres tall.",
        HEIGHT_TOO: "The height of the Eiffel Tower is 330 metres.",
    }

    async def test() -> None:
        async with world.cache() as cache:
            await world.ask(cache, HEIGHT)
            await world.ask(cache, HEIGHT_TOO)
            assert [wrong for _, _, wrong, _ in world.watch.labels] == [False]
            assert cache.tally.counts()["alias"] == 1
            repeated = (await world.ask(cache, HEIGHT_TOO)).decision
            assert isinstance(repeated, Hit)
            assert repeated.tier == "exact"
            assert repeated.entry.completion.text == world.said[HEIGHT_TOO]
            world.verifier.all = True
            near = (await world.ask(cache, "And what is the height of the Eiffel Tower?")).decision
            assert isinstance(near, Hit)
            assert near.entry.completion.text == world.said[HEIGHT]

    run(test)


def test_an_audit_of_a_wrong_hit_quarantines_and_stores_the_right_answer(world: World) -> None:
    world.said = {HEIGHT: "330 metres.", MAKER: "Eiffel's company."}

    async def test() -> None:
        async with world.cache() as cache:
            await world.ask(cache, HEIGHT)
            world.verifier.all = True
            wrong = await world.ask(cache, MAKER)
            assert isinstance(wrong.decision, Hit)
            assert world.watch.labels == [(HEIGHT, 1.0, True, "audit")]
            entry = cache.layers.store.get(wrong.decision.entry.key)
            assert entry is not None
            assert entry.state == "quarantined"
            right = (await world.ask(cache, MAKER)).decision
            assert isinstance(right, Hit)
            assert (right.tier, right.entry.completion.text) == ("exact", "Eiffel's company.")

    run(test)


def test_an_audit_of_a_right_hit_makes_its_question_a_key(world: World) -> None:
    world.said = {HEIGHT: "330 metres.", HEIGHT_TOO: "330 metres."}

    async def test() -> None:
        async with world.cache() as cache:
            await world.ask(cache, HEIGHT)
            world.verifier.all = True
            await world.ask(cache, HEIGHT_TOO)
            assert world.watch.labels == [(HEIGHT, 1.0, False, "audit")]
            hit = (await world.ask(cache, HEIGHT_TOO)).decision
            assert isinstance(hit, Hit)
            assert hit.judged is not None
            assert hit.judged.question == HEIGHT_TOO

    run(test)


def test_nobody_waits_for_an_audit_and_closing_cancels_it(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            await world.ask(cache, HEIGHT)
            world.verifier.all = True
            world.answerer.gate = asyncio.Event()  # the engine never comes to an end
            reply = await world.ask(cache, HEIGHT_TOO, settle=False)
            assert isinstance(reply.decision, Hit)
            while len(world.answerer.calls) < 2:
                await asyncio.sleep(0.01)
        assert world.answerer.cancelled == 1
        assert world.watch.labels == []

    run(test)


def test_what_was_drawn_and_not_checked_is_made_up_later(world: World) -> None:
    async def test() -> None:
        async with world.cache(sharing=frozenset({"scripted"})) as cache:
            checks = cache.checks
            assert checks is not None
            await world.ask(cache, HEIGHT)
            world.verifier.all = True
            with checks.answering("scripted"):  # a user waits for the engine
                await world.ask(cache, HEIGHT_TOO)
            assert world.watch.labels == []
            world.watch.weight = None  # not drawn, but one is owed
            await world.ask(cache, "What height is the Eiffel Tower?")
            assert [source for *_, source in world.watch.labels] == ["audit"]
            await world.ask(cache, "The height of the Eiffel Tower is what?")
            assert len(world.watch.labels) == 1

    run(test)


def test_an_audit_makes_way_for_a_user_of_the_same_machine(world: World) -> None:
    async def test() -> None:
        async with world.cache(sharing=frozenset({"scripted"})) as cache:
            checks = cache.checks
            assert checks is not None
            await world.ask(cache, HEIGHT)
            world.verifier.all = True
            world.answerer.gate = asyncio.Event()
            await world.ask(cache, HEIGHT_TOO, settle=False)
            while len(world.answerer.calls) < 2:
                await asyncio.sleep(0.01)
            with checks.answering("scripted"):
                while not world.answerer.cancelled:
                    await asyncio.sleep(0.01)
            assert cache.tally.counts()["audit: made way"] == 1

    run(test)


def test_what_fails_is_counted_and_no_outage(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            await world.ask(cache, HEIGHT)
            world.watch.broken = True
            reply = await world.ask(cache, HEIGHT_TOO)
            assert (await world.ask(cache, HEIGHT_TOO)).decision.reason == "exact"
            assert reply.decided.kept is not None
            assert cache.tally.counts()["failed: checks"] == 1

    run(test)
    assert "the checks layer failed" in caplog.text


def test_long_answers_are_compared_by_their_parts(world: World) -> None:
    long = " ".join(["The tower was built for the world fair and stands in Paris."] * 60)
    other = " ".join(["Sourdough needs flour and water and much patience at night."] * 60)
    world.said = {HEIGHT: long, HEIGHT_TOO: long + " Indeed.", MAKER: other}

    async def test() -> None:
        async with world.cache() as cache:
            for text in (HEIGHT, HEIGHT_TOO, MAKER):
                await world.ask(cache, text)
            assert [wrong for _, _, wrong, _ in world.watch.labels] == [False, True]

    run(test)


def test_the_supervisor_is_told_how_the_store_grows(world: World) -> None:
    async def test() -> None:
        async with world.cache() as cache:
            for number in range(64):
                await world.ask(cache, f"Is {number} a prime?", settle=False)
            assert cache.checks is not None
            await asyncio.to_thread(cache.checks.settle)
            assert world.watch.entries == 64

    run(test)
