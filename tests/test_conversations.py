"""Semantic hits only under an exactly equal context: by the real encoder, one change at a time."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from semcache.cache import SemCache
from semcache.chat import ChatRequest
from semcache.embedding import SentenceEncoder
from semcache.interfaces import Decision, Hit
from semcache.policy import PolicySettings
from semcache.reply import Reply
from semcache.store import LocalStore
from tests.scripted import ScriptedAnswerer

Messages = list[dict[str, Any]]
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
OTHER_PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNm"
CALL = {"id": "c1", "type": "function", "function": {"name": "towers", "arguments": '{"n": 1}'}}

ASKED = "How tall is it, and when was it built?"
REWORDED = "How tall is it and when was it built"

TALK: Messages = [
    {"role": "system", "content": "You are a guide in Paris."},
    {"role": "user", "content": "Tell me about the Eiffel Tower."},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "It stands on the Champ de Mars."},
    {"role": "assistant", "content": "It is a tower of iron in Paris."},
    {"role": "user", "content": [
        {"type": "text", "text": "And this picture of it?"},
        {"type": "image_url", "image_url": {"url": PIXEL}},
    ]},
    {"role": "assistant", "content": "It shows the tower at night."},
    {"role": "user", "content": ASKED},
]  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[SemCache]:
    encoder = SentenceEncoder.open()
    store = LocalStore(tmp_path, dim=encoder.dim, embedder=encoder.fingerprint)
    made = SemCache(
        store=store,
        embedder=encoder,
        answerers=[ScriptedAnswerer()],
        settings=PolicySettings(personal="off", volatile="off", retry_window_s=30.0),
    )
    yield made
    asyncio.run(made.aclose())


def ask(cache: SemCache, messages: Messages, **options: Any) -> Reply:
    body = {"model": "m", "messages": messages, **options}

    async def asked() -> Reply:
        reply = await cache.ask(ChatRequest.from_wire(body, tenant="t"))
        await reply.completion()
        await reply.stored()
        reply.close()
        return reply

    return asyncio.run(asked())


def tier(decision: Decision) -> str:
    return decision.tier if isinstance(decision, Hit) else type(decision).__name__.lower()


def changed(change: Callable[[Messages], Any], last: str = REWORDED) -> Messages:
    talk = copy.deepcopy(TALK)
    change(talk)
    if talk[-1]["role"] == "user":
        talk[-1]["content"] = last
    return talk


def put(at: int, **fields: Any) -> Callable[[Messages], Any]:
    return lambda talk: talk[at].update(fields)


CHANGES: dict[str, Callable[[Messages], Any]] = {
    "system prompt": put(0, content="You are a guide in Pisa."),
    "system prompt by a letter": put(0, content="You are a guide in Paris"),
    "role of the system prompt": put(0, role="developer"),
    "first question": put(1, content="Tell me about the Tower of Pisa."),
    "first question reworded": put(1, content="Tell me of the Eiffel Tower."),
    "name of the speaker": put(1, name="ana"),
    "tool call's arguments": put(2, tool_calls=[{**CALL, "function": {"name": "towers",
                                                                      "arguments": '{"n": 2}'}}]),
    "tool call's id": put(2, tool_calls=[{**CALL, "id": "c2"}]),
    "tool's result": put(3, content="It stands in Las Vegas."),
    "answer": put(4, content="It is a leaning tower."),
    "text beside the image": lambda talk: talk[5]["content"][0].update(text="And this of Pisa?"),
    "image": lambda talk: talk[5]["content"][1]["image_url"].update(url=OTHER_PIXEL),
    "image's detail": lambda talk: talk[5]["content"][1]["image_url"].update(detail="low"),
    "order of parts": lambda talk: talk[5]["content"].reverse(),
    "last answer": put(6, content="It shows the tower by day."),
    "a turn left out": lambda talk: talk.pop(4),
    "a turn more": lambda talk: talk.insert(1, {"role": "user", "content": "Hello."}),
    "two turns exchanged": lambda talk: talk.insert(1, talk.pop(4)),
    "no context": lambda talk: talk.__delitem__(slice(0, -1)),
    "only the system prompt": lambda talk: talk.__delitem__(slice(1, -1)),
    "tools": lambda talk: None,
}  # fmt: skip


def test_the_same_context_matches_other_words(cache: SemCache) -> None:
    assert tier(ask(cache, TALK).decision) == "miss"
    assert tier(ask(cache, changed(lambda talk: None)).decision) == "semantic"


@pytest.mark.parametrize("name", CHANGES)
def test_another_context_never_hits_and_its_exact_repeat_does(cache: SemCache, name: str) -> None:
    ask(cache, TALK)
    tools = [{"type": "function", "function": {"name": "towers", "parameters": {}}}]
    options: dict[str, Any] = {"tools": tools} if name == "tools" else {}
    other = changed(CHANGES[name], ASKED)  # the same words: as near as can be
    assert tier(ask(cache, other, **options).decision) == "miss"
    assert tier(ask(cache, other, **options).decision) == "exact"
    again = ask(cache, changed(CHANGES[name]), **options)
    assert isinstance(again.decision, Hit)
    assert again.decision.entry.scope == again.plan.key.scope


def test_an_exact_repeat_always_hits_spelled_differently_or_not(cache: SemCache) -> None:
    for length in (2, 3 + 2, 6, 8):
        talk = [*TALK[: length - 1], {"role": "user", "content": ASKED}]
        ask(cache, talk)
        assert tier(ask(cache, copy.deepcopy(talk)).decision) == "exact"
        shuffled = [dict(reversed(list(message.items()))) for message in talk]
        assert tier(ask(cache, shuffled, stream=True).decision) == "exact"


def test_a_tool_loop_is_matched_exactly_only(cache: SemCache) -> None:
    loop = TALK[:4]
    ask(cache, loop)
    assert tier(ask(cache, copy.deepcopy(loop)).decision) == "exact"
    other = copy.deepcopy(loop)
    other[3]["content"] = "It stands on the Champ de Mars!"
    assert tier(ask(cache, other).decision) == "miss"


def test_an_image_beside_the_question_is_part_of_the_scope(cache: SemCache) -> None:
    def pictured(text: str, url: str) -> Messages:
        parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]
        return [{"role": "user", "content": parts}]

    ask(cache, pictured("How tall is the tower in this picture?", PIXEL))
    near = "How tall is the tower on this picture?"
    assert tier(ask(cache, pictured(near, OTHER_PIXEL)).decision) == "miss"
    assert tier(ask(cache, pictured(near, PIXEL)).decision) == "semantic"


def test_a_self_contained_follow_up_is_a_miss(cache: SemCache) -> None:
    """Nothing proves that a model would answer it without a look at the turns before."""
    question = "How tall is the Eiffel Tower?"
    ask(cache, [{"role": "user", "content": question}])
    assert (
        tier(ask(cache, [*TALK[:2], TALK[4], {"role": "user", "content": question}]).decision)
        == "miss"
    )


def test_a_named_users_repetition_after_a_semantic_hit_asks_anew(cache: SemCache) -> None:
    ask(cache, TALK)
    other = changed(lambda talk: None)
    assert tier(ask(cache, other, user="ana").decision) == "semantic"
    again = ask(cache, other, user="ana").decision
    assert (tier(again), again.reason) == ("miss", "retry")
    assert tier(ask(cache, other, user="ana").decision) == "exact"
    assert tier(ask(cache, other, user="ana").decision) == "exact"


def test_many_who_ask_the_same_are_no_retries(cache: SemCache) -> None:
    ask(cache, TALK)
    other = changed(lambda talk: None)
    for _ in range(5):
        assert tier(ask(cache, other).decision) == "semantic"
    for user in ("ana", "bo", "cy"):
        assert tier(ask(cache, other, user=user).decision) == "semantic"


def test_an_exact_hit_goes_on_repeating(cache: SemCache) -> None:
    ask(cache, TALK, user="ana")
    for _ in range(3):
        assert tier(ask(cache, TALK, user="ana").decision) == "exact"


def test_the_same_last_message_in_a_grown_conversation_is_another_question(
    cache: SemCache,
) -> None:
    ask(cache, TALK)
    other = changed(lambda talk: None)
    assert tier(ask(cache, other).decision) == "semantic"
    grown = [*other, {"role": "assistant", "content": "330 metres."}, other[-1]]
    assert tier(ask(cache, grown).decision) == "miss"
