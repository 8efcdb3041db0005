"""The packaged verifier in a cache that a configuration made: what is served, and what is not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from semcache.assembly import _fitting, build
from semcache.chat import ChatRequest, text_request
from semcache.completion import Completion, text_completion_of
from semcache.config import Config
from semcache.errors import ConfigError
from semcache.interfaces import Decision, Embedder, Hit, Miss
from semcache.verify.verifier import PairVerifier
from tests.scripted import ScriptedAnswerer

STORED = "How do I reset the password of my work laptop?"
PARAPHRASE = "How can I reset my work laptop's password?"
TRAP = "How do I reset the password of my work phone?"


def said(request: ChatRequest) -> Completion:
    text = f"About: {request.messages[-1]['content']}"
    return text_completion_of(text, id="chatcmpl-1", created=1, model="m")


def decisions(folder: Path, trust: dict[str, Any], *questions: str) -> list[Decision]:
    """What a new cache decides on the questions, one after another."""
    values = {"storage_config": {"data_dir": str(folder)}, "engines": [], "trust": trust}
    answerer = ScriptedAnswerer(said)

    async def ask_all() -> list[Decision]:
        cache = build(Config.from_mapping(values)).cache
        made = []
        try:
            for question in questions:
                request = text_request(question, tenant="t", model="m")
                reply = await cache.ask(request, via=answerer)
                await reply.completion()
                await reply.stored()
                reply.close()
                made.append(reply.decision)
        finally:
            await cache.aclose()
        return made

    return asyncio.run(asyncio.wait_for(ask_all(), 60))


def test_a_paraphrase_is_served_and_a_trap_is_not(tmp_path: Path) -> None:
    first, paraphrase, trap = decisions(tmp_path, {"verifier": True}, STORED, PARAPHRASE, TRAP)
    assert isinstance(first, Miss)
    assert isinstance(paraphrase, Hit)
    assert paraphrase.tier == "semantic"
    assert isinstance(trap, Miss)
    assert trap.reason.startswith(("verifier=", "guard="))


def test_a_stricter_threshold_serves_less(tmp_path: Path) -> None:
    _, paraphrase = decisions(tmp_path, {"verifier": True, "threshold": 1.0}, STORED, PARAPHRASE)
    assert isinstance(paraphrase, Miss)
    assert paraphrase.reason.startswith("verifier=")


def test_without_it_gate_and_guards_decide(tmp_path: Path) -> None:
    trust = {"verifier": False, "threshold": 1.0}
    _, paraphrase = decisions(tmp_path, trust, STORED, PARAPHRASE)
    assert isinstance(paraphrase, Hit)


@pytest.mark.parametrize("threshold", [0, -0.1, 1.5])
def test_a_threshold_is_a_probability(threshold: float) -> None:
    with pytest.raises(ConfigError, match=r"trust\.threshold"):
        Config.from_mapping({"trust": {"threshold": threshold}})


class Foreign:
    """An encoder that the verifier does not know."""

    fingerprint = "of another kind"


def test_another_encoder_goes_without_and_it_is_said() -> None:
    lines: list[str] = []
    verifier = PairVerifier.open()
    assert _fitting(verifier, cast(Embedder, Foreign()), lines.append) is None
    assert "not trained for this encoder" in lines[0]
