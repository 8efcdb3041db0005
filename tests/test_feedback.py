"""Verdicts at the core: with the real verifier and a real ledger; what is durable is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from semcache.assembly import build
from semcache.cache import SemCache
from semcache.chat import text_request
from semcache.config import Config
from semcache.errors import RequestError, StoreError, UnknownAnswer
from semcache.feedback import Feedback, read_feedback
from semcache.interfaces import Hit, Miss
from semcache.reply import Reply
from semcache.verify.certified import Guarding
from semcache.verify.certify import Terms
from semcache.verify.ledger import Ledger
from semcache.verify.opening import open_judge
from semcache.verify.verifier import PairVerifier
from tests.scripted import ScriptedAnswerer

STORED = "How do I reset the password of my work laptop?"
PARAPHRASE = "How can I reset my work laptop's password?"


class World:
    """A cache that a configuration made, with a supervisor that writes to a ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answerer = ScriptedAnswerer()
        self.cache = self.open()

    def open(self) -> SemCache:
        values = {
            "storage_config": {"data_dir": str(self.folder)},
            "engines": [],
            "trust": {"verifier": True},
        }
        made = build(Config.from_mapping(values)).cache
        made.answerers = (self.answerer,)
        judge = open_judge(
            PairVerifier.open(),
            Terms(0.05),
            self.folder / "labels.db",
            audit_share=0.1,
            packaged=False,
            guarding=Guarding(),
        )
        made.supervisor = judge
        made.feedback = type(made.feedback)(made.layers, made.decisions, judge, made.layers.clock)
        return made

    def close(self) -> None:
        asyncio.run(self.cache.aclose())

    def ask(self, text: str, tenant: str = "t") -> Reply:
        async def asked() -> Reply:
            reply = await self.cache.ask(text_request(text, tenant=tenant, model="m"))
            await reply.completion()
            await reply.stored()
            reply.close()
            return reply

        return asyncio.run(asked())

    def labels(self) -> list[tuple[str, bool]]:
        ledger = Ledger(self.folder / "labels.db")
        found = [(str(one.label.source), one.label.wrong) for one in ledger.recent(100)]
        ledger.close()
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def semantic(world: World) -> Reply:
    world.ask(STORED)
    reply = world.ask(PARAPHRASE)
    assert isinstance(reply.decision, Hit)
    assert reply.decision.tier == "semantic"
    return reply


def test_a_wrong_answer_is_a_label_once_and_lasts(world: World) -> None:
    reply = semantic(world)
    done = world.cache.feedback.take("t", Feedback(reply.decision_id, "wrong", "no"))
    assert (done["quarantined"], done["pair"], done["label"]) == (True, True, True)
    again = world.cache.feedback.take("t", Feedback(reply.decision_id, "wrong"))
    assert again["label"] is False
    assert world.labels() == [("feedback", True)]
    assert world.cache.layers.journal.remarks()[0].comment == "no"
    world.close()
    world.cache = world.open()
    assert isinstance(world.ask(STORED).decision, Miss)  # quarantined; stored anew
    got = world.cache.get(text_request(PARAPHRASE, tenant="t", model="m"))
    assert isinstance(got.decision, Miss)
    assert got.decision.reason == "refuted"


def test_right_is_a_label_and_a_key_and_a_doubt_ends_it(world: World) -> None:
    reply = semantic(world)
    desk = world.cache.feedback
    assert desk.take("t", Feedback(reply.decision_id, "right"))["alias"] is True
    assert desk.take("t", Feedback(reply.decision_id, "right"))["label"] is False
    assert desk.take("t", Feedback(reply.decision_id, "wrong"))["label"] is True
    late = desk.take("t", Feedback(reply.decision_id, "right"))
    assert (late["alias"], late["label"]) == (False, False)
    assert world.labels() == [("feedback", False), ("feedback", True)]
    assert isinstance(world.ask(STORED).decision, Miss)


def test_a_restart_forgets_decisions_and_keeps_entries(world: World) -> None:
    reply = semantic(world)
    assert isinstance(reply.decision, Hit)
    entry_id = reply.decision.entry.id
    world.close()
    world.cache = world.open()
    with pytest.raises(UnknownAnswer, match="entry id"):
        world.cache.feedback.take("t", Feedback(reply.decision_id, "wrong"))
    done = world.cache.feedback.take("t", Feedback(str(entry_id), "wrong"))
    assert (done["quarantined"], done["label"]) == (True, False)


def test_what_was_cleared_is_forgotten(world: World) -> None:
    reply = semantic(world)
    world.cache.feedback.take("t", Feedback(reply.decision_id, "wrong"))
    asyncio.run(world.cache.clear("t"))
    assert world.cache.layers.journal.remarks() == []
    semantic(world)


def test_a_journal_that_fails_serves_nothing_doubtful_and_says_so(world: World) -> None:
    reply = semantic(world)
    world.cache.layers.journal.close()
    with pytest.raises(StoreError):
        world.cache.feedback.take("t", Feedback(reply.decision_id, "wrong"))
    assert isinstance(world.ask(PARAPHRASE).decision, Miss)
    assert isinstance(world.ask(STORED).decision, Hit)


def test_the_body_is_checked() -> None:
    assert read_feedback({"id": 7, "verdict": "right"}) == Feedback(7, "right")
    assert read_feedback({"id": "a", "verdict": "wrong", "comment": "c"}) == Feedback(
        "a", "wrong", "c"
    )
    with pytest.raises(RequestError):
        read_feedback({"id": 7.5, "verdict": "right"})
