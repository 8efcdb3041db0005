"""Documents change: what would be answered from other passages is asked anew, and nothing else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from semcache.assembly import Assembled
from semcache.cache import SemCache
from semcache.chat import ChatRequest, message_text
from semcache.completion import Chunk, replay, text_completion_of
from semcache.directives import Directives
from semcache.errors import Declined, StoreError
from semcache.grounds import Grounds
from semcache.interfaces import Hit, Miss, Passage
from semcache.keys import Source
from semcache.reply import Reply
from semcache.retrieval import grounds_of
from semcache.store import LocalStore
from tests.cache_world import HEIGHT, HEIGHT_TOO, World, answered, ask, run
from tests.loopback import Loopback
from tests.scripted import ScriptedAnswerer
from tests.test_grounding import answered as served
from tests.test_grounding import ask as ask_all
from tests.test_grounding import assembled, closed, request, user

WORDS = "oak elm ash fir yew bay".split()


class Documents:
    """Answers with the texts that have a word of the question; declines where none has."""

    name = "documents"

    def __init__(self, texts: Mapping[str, str], declines: bool = False) -> None:
        self.texts = dict(texts)
        self.declines = declines
        self.calls = 0
        self.broken = False

    @property
    def base(self) -> str:
        return str(sorted(self.texts.items()))

    def told(self, question: str) -> str:
        """The oracle: what is answered now."""
        return f"{question}: " + "; ".join(one.text for one in self._passages(question))

    def _passages(self, question: str) -> list[Passage]:
        asked = set(question.split())
        return [
            Passage("", name, "", text, 1)
            for name, text in sorted(self.texts.items())
            if asked & set(text.split())
        ]

    def accepts(self, request: ChatRequest) -> bool:
        return request.model == "m"

    def source(self, request: ChatRequest) -> Source:
        return Source(self.name, "m", "", self.base)

    def grounds(self, request: ChatRequest) -> Grounds:
        if self.broken:
            raise StoreError("The catalogue cannot be read.")
        passages = self._passages(message_text(request.messages[-1]))
        if self.declines and not passages:
            raise Declined("Nothing on this.", base=self.base)
        return grounds_of(self.base, passages)

    async def answer(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        grounds = self.grounds(request)
        self.calls += 1
        text = self.told(message_text(request.messages[-1]))
        whole = text_completion_of(text, id="c", created=1, model="m")
        for at, chunk in enumerate(replay(whole)):
            yield chunk if at else replace(chunk, grounds=grounds)

    def models(self) -> Sequence[str]:
        return ("m",)

    async def aclose(self) -> None:
        return None


async def _said(cache: SemCache, text: str) -> tuple[Reply, str]:
    reply = await cache.ask(ask(text))
    return reply, (await answered(reply)).text


@pytest.mark.parametrize("seed", range(3))
def test_no_answer_that_the_documents_would_not_give_now(tmp_path: Path, seed: int) -> None:
    """At random, against an oracle; two caches on one store, one of them behind the other."""
    chance = random.Random(seed)
    texts = {f"d{at}": chance.choice(WORDS) for at in range(3)}
    ours, theirs = Documents(texts), Documents(texts)
    questions = [" ".join(chance.sample(WORDS, 2)) for _ in range(6)]
    unneeded = 0

    async def course() -> None:
        nonlocal unneeded
        stores = [LocalStore(tmp_path, dim=None, embedder=None) for _ in range(2)]
        pairs = list(zip(stores, (ours, theirs), strict=True))
        caches = [SemCache(store=store, answerers=[documents]) for store, documents in pairs]
        for _ in range(150):
            which = chance.randrange(2)
            documents, cache = (ours, theirs)[which], caches[which]
            match chance.randrange(6):
                case 0:
                    documents.texts[f"d{chance.randrange(4)}"] = chance.choice(WORDS)
                case 1:
                    documents.texts.pop(chance.choice(sorted(documents.texts)), None)
                    documents.texts["d9"] = chance.choice(WORDS)
                case _:
                    question = chance.choice(questions)
                    reply, text = await _said(cache, question)
                    assert text == documents.told(question)
                    unneeded += isinstance(reply.decision, Hit)
        for cache in caches:
            await cache.aclose()

    run(course)
    assert unneeded > 20  # and many were not asked anew


def test_a_near_duplicate_is_looked_at_as_its_own_question(tmp_path: Path) -> None:
    world = World(tmp_path)
    documents = Documents({"a": "Eiffel: 330 m", "b": "Louvre"})
    world.answerer = documents  # type: ignore[assignment]
    documents.texts["tower"] = "The Tower has 330 metres"

    async def course() -> None:
        async with world.cache(threshold=0.8, guards=()) as cache:
            await _said(cache, HEIGHT)
            documents.texts["b"] = "Louvre, closed"
            reply, text = await _said(cache, HEIGHT_TOO)
            assert isinstance(reply.decision, Hit)
            assert text == documents.told(HEIGHT)
            documents.texts["tower"] = "The Tower? 312 metres"
            reply, text = await _said(cache, HEIGHT_TOO)
            assert isinstance(reply.decision, Miss)
            assert text == documents.told(HEIGHT_TOO)
            documents.texts["b"] = "Louvre, open"  # the new answer is found beside the old one
            reply, text = await _said(cache, HEIGHT_TOO)
            assert isinstance(reply.decision, Hit)
            assert text == documents.told(HEIGHT_TOO)
            assert documents.calls == 2

    run(course)


def test_what_cannot_be_looked_up_is_a_miss_and_stays(tmp_path: Path) -> None:
    documents = Documents({"a": "oak"})

    async def course() -> None:
        cache = SemCache(store=LocalStore(tmp_path, dim=None, embedder=None), answerers=[documents])
        await _said(cache, "oak")
        documents.texts["b"] = "elm"
        documents.broken = True
        missed = cache.get(ask("oak"))
        assert isinstance(missed.decision, Miss)
        assert missed.decision.reason == "knowledge"
        stale = cache.get(ask("oak"), Directives(max_stale_s=1e9, only_if_cached=True))
        assert isinstance(stale.decision, Miss)
        documents.broken = False
        assert isinstance(cache.get(ask("oak")).decision, Hit)
        assert cache.tally.counts()["failed: knowledge"] == 2
        await cache.aclose()

    run(course)


def test_whoever_declined_may_come_to_know(tmp_path: Path) -> None:
    documents, other = Documents({"a": "oak"}, declines=True), ScriptedAnswerer()

    async def course() -> None:
        cache = SemCache(
            store=LocalStore(tmp_path, dim=None, embedder=None), answerers=[documents, other]
        )
        await _said(cache, "elm")
        documents.texts["b"] = "fir"
        reply, text = await _said(cache, "elm")
        assert isinstance(reply.decision, Hit)
        assert text == "m answers: elm"
        documents.texts["c"] = "elm"
        reply, text = await _said(cache, "elm")
        assert isinstance(reply.decision, Miss)
        assert text == documents.told("elm")
        await cache.put(ask("yew"), text_completion_of("Evergreen.", id="c", created=1, model="m"))
        documents.texts["d"] = "ash"
        assert (await _said(cache, "yew"))[1] == "Evergreen."
        documents.texts["d"] = "yew"
        assert (await _said(cache, "yew"))[1] == documents.told("yew")
        await cache.aclose()

    run(course)


ROOMS = ("lamp", "kettle", "window")


def _asked_of(name: str) -> ChatRequest:
    return request(user(f"How many minutes does the {name} take?"))


def test_files_change_over_restarts_and_in_two_processes(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()

    def write(name: str, minutes: int) -> None:
        text = f"# The {name}\n\nThe {name} takes {minutes} minutes.\n"
        (folder / f"{name}.md").write_text(text, encoding="utf-8")

    for at, name in enumerate(ROOMS):
        write(name, at + 3)
    everything = [_asked_of(name) for name in ROOMS]
    with Loopback(served) as server:

        def opened() -> Assembled:
            return assembled(tmp_path, server.base_url, knowledge_tokens=10, passages=1)

        def hows(parts: Assembled) -> list[str]:
            asyncio.run(parts.refresh())
            return [how for how, _ in ask_all(parts, *everything)]

        first, second = opened(), opened()
        assert hows(first) == ["Miss"] * 3
        write("kettle", 20)
        assert hows(first) == ["Hit", "Miss", "Hit"]
        assert hows(second) == hows(first) == ["Hit"] * 3
        for parts in (first, second):
            closed(parts)
        write("lamp", 30)
        again = opened()
        assert hows(again) == ["Miss", "Hit", "Hit"]
        (folder / "more.txt").write_text("How many minutes does the window take? 99 minutes.")
        assert hows(again) == ["Hit", "Hit", "Miss"]
        (folder / "lamp.md").unlink()
        assert hows(again) == ["Miss", "Hit", "Hit"]
        closed(again)
        assert "20 minutes" in str(server.requests[3].json()["messages"])
        assert "99 minutes" in str(server.requests[5].json()["messages"])
