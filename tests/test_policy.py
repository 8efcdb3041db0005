"""Every decision, as a table of what goes in and which named reason comes out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from semcache import policy
from semcache.chat import ChatRequest
from semcache.completion import Completion, text_completion_of
from semcache.directives import NONE, Directives, parse_cache_control
from semcache.interfaces import Candidate, Encoded, Entry, Hit, Miss, Verdict
from semcache.keys import request_key
from semcache.policy import Keep, PolicySettings, Skip

SETTINGS = PolicySettings()
NOW = 1_000_000.0
HALF = np.full(4, 0.5, dtype=np.float32)


def ask(**options: Any) -> ChatRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": "How tall is it?"}], **options}
    return ChatRequest.from_wire(body, tenant="t")


def answer(text: str = "It is tall.") -> Completion:
    return text_completion_of(text, id="chatcmpl-1", created=1, model="m")


def entry(question: str = "How tall is it?", **changes: Any) -> Entry:
    key = request_key(ask())
    fields: dict[str, Any] = {
        "key": key.exact,
        "scope": key.scope,
        "question": question,
        "completion": answer(),
        "created_at": NOW - 100,
    }
    return Entry(**{**fields, **changes})


@pytest.mark.parametrize(
    ("options", "wishes", "read", "write", "reason"),
    [
        ({}, "", True, True, ""),
        ({"temperature": 0}, "", True, True, ""),
        ({"temperature": 0.7}, "", False, False, "temperature"),
        ({"temperature": 0.7, "seed": 1}, "", True, True, ""),
        ({"temperature": None}, "", True, True, ""),
        ({}, "no-cache", False, True, "request=no-cache"),
        ({}, "no-store", True, False, ""),
        ({}, "no-cache, no-store", False, False, "request=no-cache"),
    ],
)
def test_admit(options: dict[str, Any], wishes: str, read: bool, write: bool, reason: str) -> None:
    admission = policy.admit(ask(**options), parse_cache_control(wishes), SETTINGS)
    assert (admission.read, admission.write, admission.reason) == (read, write, reason)


@pytest.mark.parametrize(
    ("expires_at", "directives", "stale"),
    [
        (None, NONE, None),
        (NOW + 1, NONE, None),
        (NOW, NONE, "stale"),
        (NOW - 5, NONE, "stale"),
        (NOW - 5, Directives(max_stale_s=4), "stale"),
        (NOW - 5, Directives(max_stale_s=6), None),
        (NOW - 5, Directives(max_stale_s=float("inf")), None),
        (NOW + 5, Directives(min_fresh_s=6), "min-fresh"),
        (NOW + 5, Directives(min_fresh_s=5), None),
        (None, Directives(min_fresh_s=600), None),
        (None, Directives(max_age_s=99), "max-age"),
        (None, Directives(max_age_s=100), None),
    ],
)
def test_staleness(expires_at: float | None, directives: Directives, stale: str | None) -> None:
    assert policy.staleness(entry(expires_at=expires_at), NOW, directives) == stale


def test_exact_is_served_unless_it_is_unknown_or_stale() -> None:
    assert policy.judge_exact(None, NOW, NONE) == Miss("unknown")
    assert policy.judge_exact(entry(expires_at=NOW - 1), NOW, NONE) == Miss("stale")
    hit = policy.judge_exact(entry(), NOW, NONE)
    assert isinstance(hit, Hit)
    assert (hit.tier, hit.similarity) == ("exact", 1.0)


def judge(question: str, *candidates: Candidate, **changes: Any) -> Hit | Miss:
    return policy.judge_semantic(
        question, candidates, NOW, NONE, PolicySettings(**changes), changes.get("verifier")
    )


def test_the_nearest_candidate_at_or_above_the_threshold_is_served() -> None:
    near, far = Candidate(entry(id=1), 0.9), Candidate(entry(id=2), 0.7)
    hit = judge("What is its height?", near, far)
    assert isinstance(hit, Hit)
    assert (hit.entry.id, hit.tier, hit.similarity, hit.threshold) == (1, "semantic", 0.9, 0.6)
    assert isinstance(judge("What is its height?", Candidate(entry(), 0.6)), Hit)


def test_misses_say_why_and_how_near_it_was() -> None:
    assert judge("What is its height?") == Miss("no neighbour", None)
    below = judge("What is its height?", Candidate(entry(), 0.59))
    assert below == Miss("below threshold", 0.59)
    vetoed = judge("How tall is it, all 3 of them?", Candidate(entry(), 0.95))
    assert vetoed == Miss("guard=numbers", 0.95)


def test_a_refused_candidate_makes_room_for_the_next() -> None:
    three = Candidate(entry("Price of 3 pens", id=1), 0.99)
    four = Candidate(entry("The price of 4 pens", id=2), 0.8)
    hit = judge("What do 4 pens cost?", three, four)
    assert isinstance(hit, Hit)
    assert hit.entry.id == 2


def test_guards_can_be_switched_off() -> None:
    assert isinstance(judge("All 3 of them?", Candidate(entry(), 0.95), guards=()), Hit)


class Refusing:
    def judge(self, question: str, candidate: Candidate) -> Verdict:
        return Verdict(serve=False, score=0.1, reason="unsure")


def test_the_verifier_has_the_last_word() -> None:
    candidates = [Candidate(entry(), 0.95)]
    missed = policy.judge_semantic("How high?", candidates, NOW, NONE, SETTINGS, Refusing())
    assert missed == Miss("verifier=unsure", 0.95)


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (Encoded(HALF, 5, False, 0.0), None),
        (Encoded(HALF, 5, False, 0.2), None),
        (Encoded(HALF, 5, False, 0.21), "unknown tokens"),
        (Encoded(None, 999, True, 0.0), "longer than the encoder's window"),
        (Encoded(None, 0, False, 0.0), "no vector"),
    ],
)
def test_matchable(encoded: Encoded, reason: str | None) -> None:
    assert policy.matchable(encoded, SETTINGS) == reason


def with_choice(**changes: Any) -> Completion:
    choice = {**answer().choices[0], **changes}
    return Completion({**answer().wire, "choices": [choice]})


def call(arguments: str, name: str | None = "f") -> dict[str, Any]:
    return {"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}


def calling(*calls: dict[str, Any]) -> Completion:
    message = {"role": "assistant", "content": None, "tool_calls": list(calls)}
    return with_choice(message=message, finish_reason="tool_calls")


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        (answer(), None),
        (answer(""), "empty"),
        (with_choice(finish_reason="length"), "truncated"),
        (with_choice(finish_reason="content_filter"), "filtered"),
        (with_choice(finish_reason=None), "unfinished"),
        (with_choice(finish_reason="error"), "unfinished"),
        (with_choice(message={"role": "assistant", "content": None, "refusal": "No."}), "refused"),
        (Completion({**answer().wire, "choices": []}), "empty"),
        (Completion({**answer().wire, "error": {"message": "x"}}), "error"),
        (calling(call('{"a": 1}')), None),
        (calling(call('{"a": ')), "broken tool call"),
        (calling(call("{}", name=None)), "broken tool call"),
        (calling(call("{}"), call("")), "broken tool call"),
        (answer("x" * 2_000_000), "too large"),
    ],
)
def test_keep(completion: Completion, reason: str | None) -> None:
    kept = policy.keep(completion, NOW, SETTINGS)
    assert kept == (Keep(None) if reason is None else Skip(reason))


def test_one_bad_choice_spoils_all() -> None:
    good, bad = answer().choices[0], {**answer().choices[0], "index": 1, "finish_reason": "length"}
    both = Completion({**answer().wire, "choices": [good, bad]})
    assert policy.keep(both, NOW, SETTINGS) == Skip("truncated")


def test_a_text_completion_is_kept_for_its_text() -> None:
    wire = {"object": "text_completion", "choices": [{"text": "hi", "finish_reason": "stop"}]}
    assert policy.keep(Completion(wire), NOW, SETTINGS) == Keep(None)
    wire = {"object": "text_completion", "choices": [{"text": "", "finish_reason": "stop"}]}
    assert policy.keep(Completion(wire), NOW, SETTINGS) == Skip("empty")


def test_the_ttl_counts_from_now() -> None:
    assert policy.keep(answer(), NOW, PolicySettings(ttl_s=60)) == Keep(NOW + 60)
