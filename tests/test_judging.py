"""What a verifier gets from the running cache, and what its word and a quarantine do there.

Everything is real but the answerer; the verifier compares token vectors by MaxSim. Guards are off:
what they refuse no verifier sees.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semcache.assembly import build
from semcache.cache import SemCache
from semcache.chat import ChatRequest, text_request
from semcache.completion import Completion, text_completion_of
from semcache.config import Config
from semcache.interfaces import Asked, Candidate, Hit, Miss, Verdict, Verifier
from semcache.reply import Reply
from semcache.sketch import Sketch
from tests.scripted import ScriptedAnswerer

HEIGHT = "How tall is the Eiffel Tower?"
OTHERS = ("What is the Eiffel Tower made of?", "Who built the Eiffel Tower?")
HEIGHT_TOO = "What is the height of the Eiffel Tower?"


class MaxSim:
    """Serves where the asked question's tokens have like ones in the stored question."""

    def __init__(self, least: float) -> None:
        self.least = least
        self.saw: list[tuple[Asked, list[Candidate]]] = []

    def judge(
        self, asked: Asked, candidates: Sequence[Candidate], around: Sequence[Candidate] = ()
    ) -> list[Verdict]:
        self.saw.append((asked, list(candidates)))
        verdicts = []
        for candidate in candidates:
            likeness = maxsim(asked.sketch, candidate.sketch)
            verdicts.append(Verdict(likeness >= self.least, likeness, "unlike"))
        return verdicts


def maxsim(asked: Sketch | None, stored: Sketch | None) -> float:
    assert asked is not None
    assert stored is not None
    return float((asked.vectors() @ stored.vectors().T).max(axis=1).mean())


def said(request: ChatRequest) -> Completion:
    """The same answer to two questions, another to any other."""
    text = str(request.messages[-1]["content"])
    tall = "330 metres." if "tall" in text or "height" in text else f"Answer to: {text}"
    return text_completion_of(tall, id="chatcmpl-1", created=1, model="m")


class World:
    def __init__(self, folder: Path) -> None:
        self.config = Config.from_mapping(
            {
                "storage_config": {"data_dir": str(folder)},
                "policy": {"guards": []},
                "trust": {"verifier": False},
                "engines": [],
            }
        )
        self.answerer = ScriptedAnswerer(said)

    @asynccontextmanager
    async def cache(self, verifier: Verifier | None) -> AsyncIterator[SemCache]:
        made = build(self.config, verifier=verifier).cache
        try:
            yield made
        finally:
            await made.aclose()

    async def ask(self, cache: SemCache, text: str) -> Reply:
        reply = await cache.ask(text_request(text, tenant="t", model="m"), via=self.answerer)
        await reply.completion()
        await reply.stored()
        reply.close()
        return reply


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data")


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


def test_the_verifier_sees_every_answer_with_its_sketch_over_a_restart(world: World) -> None:
    async def test() -> None:
        verifier = MaxSim(2.0)  # nothing is that alike
        async with world.cache(verifier) as cache:
            for text in (HEIGHT, *OTHERS):
                await world.ask(cache, text)
        verifier.saw.clear()
        async with world.cache(verifier) as cache:
            missed = (await world.ask(cache, HEIGHT_TOO)).decision
        [(asked, candidates)] = verifier.saw
        assert asked.question == HEIGHT_TOO
        assert {candidate.question for candidate in candidates} == {HEIGHT, *OTHERS}
        similarities = [candidate.similarity for candidate in candidates]
        assert similarities == sorted(similarities, reverse=True)
        likest = max(maxsim(asked.sketch, candidate.sketch) for candidate in candidates)
        assert missed == Miss("verifier=unlike", similarities[0], likest)

    run(test)


def test_what_the_verifier_allows_is_served_with_its_score(world: World) -> None:
    async def test() -> None:
        verifier = MaxSim(0.3)
        async with world.cache(verifier) as cache:
            for text in (HEIGHT, *OTHERS):
                await world.ask(cache, text)
            hit = (await world.ask(cache, HEIGHT_TOO)).decision
            assert isinstance(hit, Hit)
            asked, candidates = verifier.saw[-1]
            scores = {c.question: maxsim(asked.sketch, c.sketch) for c in candidates}
            assert hit.entry.question == max(scores, key=lambda question: scores[question])
            assert hit.score == max(scores.values())

    run(test)


def test_one_answer_to_two_questions_is_one_candidate(world: World) -> None:
    async def test() -> None:
        verifier = MaxSim(2.0)
        async with world.cache(verifier) as cache:
            for text in (HEIGHT, HEIGHT_TOO, *OTHERS):
                await world.ask(cache, text)
            await world.ask(cache, "And how tall is the Eiffel Tower?")
        texts = [candidate.entry.completion.text for candidate in verifier.saw[-1][1]]
        assert sorted(texts) == sorted({"330 metres.", *(f"Answer to: {t}" for t in OTHERS)})

    run(test)


def test_without_a_verifier_nothing_has_a_sketch(world: World) -> None:
    async def test() -> None:
        async with world.cache(None) as cache:
            reply = await world.ask(cache, HEIGHT)
            encoded = reply.decided.encoded
            assert encoded is not None
            assert encoded.vector is not None
            assert encoded.sketch is None
            [found] = cache.layers.store.search(reply.plan.key.scope, encoded.vector, 5)
            assert found.sketch is None
            assert isinstance((await world.ask(cache, HEIGHT_TOO)).decision, Hit)

    run(test)


def test_a_verifier_that_fails_is_a_miss(world: World, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(MaxSim):
        def judge(
            self, asked: Asked, candidates: Sequence[Candidate], around: Sequence[Candidate] = ()
        ) -> list[Verdict]:
            raise RuntimeError("no judgement")

    async def test() -> None:
        async with world.cache(Failing(0.0)) as cache:
            await world.ask(cache, HEIGHT)
            assert (await world.ask(cache, HEIGHT_TOO)).decision == Miss("semantic error")
            assert isinstance((await world.ask(cache, HEIGHT)).decision, Hit)

    run(test)


def test_what_is_quarantined_is_served_no_more_until_it_is_answered_anew(world: World) -> None:
    async def test() -> None:
        async with world.cache(None) as cache:
            await world.ask(cache, HEIGHT)
            hit = (await world.ask(cache, HEIGHT)).decision
            assert isinstance(hit, Hit)
            taken = await asyncio.to_thread(cache.layers.quarantine, hit.entry.id)
            assert taken is not None
            assert taken.state == "quarantined"
            again = text_request(HEIGHT, tenant="t", model="m")
            assert cache.peek(cache.plan(again, via=world.answerer)) is None
            assert (await world.ask(cache, HEIGHT_TOO)).decision == Miss("no neighbour")
            cache.layers.store.remove([(await world.ask(cache, HEIGHT_TOO)).plan.key.exact])
            assert (await world.ask(cache, HEIGHT)).decision == Miss("quarantined")
            assert isinstance((await world.ask(cache, HEIGHT)).decision, Hit)

    run(test)


def test_a_lookup_that_a_quarantine_overtakes_leaves_nothing_in_memory(world: World) -> None:
    async def test() -> None:
        async with world.cache(None) as cache:
            await world.ask(cache, HEIGHT)
            request = text_request(HEIGHT, tenant="t", model="m")
            plan = cache.plan(request, via=world.answerer)
            key, layers = plan.key.exact, cache.layers
            look = layers._look_exact(plan)
            assert isinstance(look.exact, Hit)
            layers.quarantine(look.exact.entry.id)
            layers._conclude(look)  # it has been read: this one lookup is still answered
            assert cache.peek(plan) is None
            kept = layers.store.get(key)
            assert kept is not None
            assert kept.state == "quarantined"
            assert (await world.ask(cache, HEIGHT)).decision == Miss("quarantined")

    run(test)


def test_an_alias_makes_a_far_wording_a_hit(world: World) -> None:
    far = "Its size, that famous iron thing in Paris?"

    async def test() -> None:
        async with world.cache(None) as cache:
            await world.ask(cache, HEIGHT)
            hit = (await world.ask(cache, HEIGHT)).decision
            assert isinstance(hit, Hit)
            embedder = cache.layers.embedder
            assert embedder is not None
            one, other = embedder.encode([HEIGHT, far])
            assert one.vector is not None
            assert other.vector is not None
            assert float(np.dot(one.vector, other.vector)) < 0.6
            assert cache.layers.store.add_alias(hit.entry.id, far, other.vector, other.sketch)
            found = (await world.ask(cache, far)).decision
            assert isinstance(found, Hit)
            assert (found.entry.id, found.tier) == (hit.entry.id, "semantic")

    run(test)
