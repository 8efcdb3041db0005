"""Decisions about changing and personal answers, mode by mode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from semcache.chat import ChatRequest
from semcache.directives import NONE, Directives
from semcache.embedding import SentenceEncoder
from semcache.freshness import admit, by_vector, keep, per_user, refuses, timeliness, wishes
from semcache.policy import Admission, Keep, PolicySettings, Skip
from semcache.volatile import LASTING, Timeliness

NOW = 1_000.0
OPEN = Admission(read=True, write=True)
MINE = Timeliness("personal", 1.0, "a record's state")
VOLATILE = Timeliness("volatile", 0.9, "now")
MOMENT = Timeliness("momentary", 1.0, "chance")


def ask(*turns: str, **options: Any) -> ChatRequest:
    roles = ["user", "assistant"]
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(turns)]
    return ChatRequest.from_wire({"model": "m", "messages": messages, **options}, tenant="t")


def settings(**changed: Any) -> PolicySettings:
    return PolicySettings(**changed)


# ----------------------------------------------------------------------------------- timeliness


def test_a_conversation_is_personal_if_any_turn_of_the_user_is() -> None:
    talk = ask("Where is my order?", "On its way.", "And what does that mean?")
    assert timeliness(talk, settings()).kind == "personal"
    told = ask("Hello", "Where is my order?", "How do returns work?")
    assert timeliness(told, settings()).kind == "lasting"


def test_only_the_last_turn_makes_a_question_volatile() -> None:
    now = "What is the weather in Rome?"
    assert timeliness(ask("Hello", "Hi", now), settings()).kind == "volatile"
    assert timeliness(ask(now, "Sunny.", "How do clouds form?"), settings()).kind == "lasting"


def test_a_batch_of_prompts_is_judged_by_its_worst() -> None:
    def batch(*prompts: str) -> ChatRequest:
        body = {"model": "m", "prompt": list(prompts)}
        return ChatRequest.from_wire(body, tenant="t", kind="completion")

    assert timeliness(batch("Who wrote Emma?", "Flip a coin."), settings()).kind == "momentary"
    assert timeliness(batch("Flip a coin.", "Weather in Rome?"), settings()).kind == "momentary"
    assert timeliness(batch("Weather in Rome?", "Where is my order?"), settings()).kind == (
        "personal"
    )
    tokens = ChatRequest.from_wire({"model": "m", "prompt": [1, 2]}, tenant="t", kind="completion")
    assert timeliness(tokens, settings()) == LASTING


def test_text_parts_are_read_like_a_text() -> None:
    parts = [{"type": "text", "text": "Where is my order?"}]
    body = {"model": "m", "messages": [{"role": "user", "content": parts}]}
    assert timeliness(ChatRequest.from_wire(body, tenant="t"), settings()).kind == "personal"


def test_what_is_off_is_not_looked_for() -> None:
    both = settings(volatile="off", personal="off")
    assert timeliness(ask("Where is my order?"), both) == LASTING
    assert timeliness(ask("Flip a coin."), settings(volatile="off")) == LASTING
    assert timeliness(ask("Where is my order?"), settings(personal="off")).kind == "lasting"
    today = ask("Does my order arrive today?")
    assert timeliness(today, settings(personal="off")).kind == "volatile"
    assert timeliness(today, settings(volatile="off")).kind == "personal"


# ---------------------------------------------------------------------------------------- admit


@pytest.mark.parametrize("mode", ["user", "tenant"])
@pytest.mark.parametrize("name", ["user", "safety_identifier"])
def test_a_named_user_may_use_the_cache(mode: str, name: str) -> None:
    request = ask("Where is my order?", **{name: "anna"})
    assert admit(OPEN, MINE, request, settings(personal=mode)) == OPEN
    assert per_user(MINE, settings(personal=mode))


def test_without_a_user_a_personal_question_is_kept_out() -> None:
    refused = Admission(read=False, write=False, reason="personal")
    for request in (ask("Where is my order?"), ask("Where is my order?", user="")):
        assert admit(OPEN, MINE, request, settings()) == refused
        assert admit(OPEN, MINE, request, settings(personal="tenant")) == OPEN


def test_bypass_keeps_personal_questions_out_for_all() -> None:
    request = ask("Where is my order?", user="anna")
    refused = Admission(read=False, write=False, reason="personal")
    assert admit(OPEN, MINE, request, settings(personal="bypass")) == refused


@pytest.mark.parametrize(
    ("found", "mode", "reason"),
    [
        (LASTING, "bypass", ""),
        (VOLATILE, "ttl", ""),
        (VOLATILE, "bypass", "volatile"),
        (VOLATILE, "off", ""),
        (MOMENT, "ttl", "volatile"),
        (MOMENT, "bypass", "volatile"),
        (MOMENT, "off", ""),
        (MINE, "ttl", ""),
        (MINE, "bypass", "personal"),
    ],
)
def test_what_changes_is_admitted_by_mode(found: Timeliness, mode: str, reason: str) -> None:
    made = admit(OPEN, found, ask("Hello", user="anna"), settings(volatile=mode))
    assert made == (OPEN if not reason else Admission(False, False, reason))
    assert refuses(found, settings(volatile=mode)) is bool(reason)


def test_a_refusal_of_policy_stands() -> None:
    hot = Admission(read=False, write=False, reason="temperature")
    assert admit(hot, VOLATILE, ask("Hello"), settings()) == hot


# ----------------------------------------------------------------------------------------- keep


@pytest.mark.parametrize("found", [VOLATILE, MINE])
def test_an_answer_that_changes_is_kept_for_the_shorter_time(found: Timeliness) -> None:
    short = settings(volatile_ttl_s=60.0)
    assert keep(Keep(None), found, NOW, short) == Keep(NOW + 60, -1.0)
    assert keep(Keep(NOW + 3_600), found, NOW, short) == Keep(NOW + 60, -1.0)
    assert keep(Keep(NOW + 10), found, NOW, short) == Keep(NOW + 10, -1.0)


def test_other_answers_are_kept_as_they_were() -> None:
    assert keep(Keep(None), LASTING, NOW, settings()) == Keep(None)
    assert keep(Keep(None), VOLATILE, NOW, settings(volatile="off")) == Keep(None)
    assert keep(Keep(None), MINE, NOW, settings(volatile="off")) == Keep(None)


def test_what_may_not_be_looked_up_is_not_stored() -> None:
    assert keep(Keep(None), VOLATILE, NOW, settings(volatile="bypass")) == Skip("volatile")
    assert keep(Keep(None), MOMENT, NOW, settings()) == Skip("volatile")
    assert keep(Keep(None), MINE, NOW, settings(personal="bypass")) == Skip("personal")


# --------------------------------------------------------------------------------------- wishes


def test_a_changing_answer_may_not_be_older_than_its_ttl() -> None:
    short = settings(volatile_ttl_s=60.0)
    assert wishes(NONE, VOLATILE, short) == Directives(max_age_s=60.0)
    assert wishes(Directives(max_age_s=5.0), VOLATILE, short).max_age_s == 5.0
    assert wishes(Directives(max_age_s=500.0), MINE, short).max_age_s == 60.0
    assert wishes(NONE, LASTING, short) is NONE
    assert wishes(NONE, VOLATILE, settings(volatile="off")) is NONE


# ------------------------------------------------------------------------------------ by_vector


def test_the_probe_is_asked_where_the_rules_are_silent() -> None:
    encoder = SentenceEncoder.open()
    text = "which country has the largest army"
    vector = encoder.encode([text])[0].vector
    assert vector is not None
    ours = encoder.fingerprint
    assert by_vector(LASTING, text, vector, ours, settings()).reason == "probe"
    assert by_vector(MINE, text, vector, ours, settings()) == MINE
    assert by_vector(LASTING, text, vector, "another encoder", settings()) == LASTING
    assert by_vector(LASTING, text, None, ours, settings()) == LASTING
    assert by_vector(LASTING, None, vector, ours, settings()) == LASTING
    assert by_vector(LASTING, text, vector, ours, settings(volatile="off")) == LASTING
    other = np.zeros(3, dtype=np.float32)
    assert by_vector(LASTING, text, other, "another encoder", settings()) == LASTING
