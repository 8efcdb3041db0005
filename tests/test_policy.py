"""Every decision, as a table of what goes in and which named reason comes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from semcache import policy
from semcache.chat import ChatRequest
from semcache.completion import Completion, text_completion_of
from semcache.directives import NONE, Directives, parse_cache_control
from semcache.interfaces import Asked, Candidate, Encoded, Entry, Hit, Miss, Verdict, Verifier
from semcache.judging import Judged, by_answer
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
        Asked(question, HALF), candidates, NOW, NONE, PolicySettings(**changes)
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
    vetoed = judge("How tall are 3 of them?", Candidate(entry("How tall are 4 of them?"), 0.95))
    assert vetoed == Miss("guard=numbers", 0.95)


def test_a_refused_candidate_makes_room_for_the_next() -> None:
    three = Candidate(entry("Price of 3 pens", id=1), 0.99)
    four = Candidate(entry("The price of 4 pens", id=2), 0.8)
    hit = judge("What do 4 pens cost?", three, four)
    assert isinstance(hit, Hit)
    assert hit.entry.id == 2


def test_guards_can_be_switched_off() -> None:
    assert isinstance(judge("All 3 of them?", Candidate(entry(), 0.95), guards=()), Hit)


def test_an_alias_is_guarded_as_the_question_that_it_is() -> None:
    three = entry("Price of 3 pens", id=1)
    assert judge("What do 4 pens cost?", Candidate(three, 0.9)) == Miss("guard=numbers", 0.9)
    assert isinstance(judge("What do 4 pens cost?", Candidate(three, 0.9, alias="4 pens?")), Hit)


def test_what_is_quarantined_is_never_served() -> None:
    bad = entry(id=1, state="quarantined")
    assert policy.judge_exact(bad, NOW, NONE) == Miss("quarantined")
    assert judge("How high?", Candidate(bad, 0.9)) == Miss("quarantined", 0.9)
    hit = judge("How high?", Candidate(bad, 0.9), Candidate(entry(id=2), 0.8), guards=())
    assert isinstance(hit, Hit)
    assert hit.entry.id == 2


class Scoring:
    """Serves what it scores at a half or more: scores by the id of the entry."""

    def __init__(self, scores: dict[int, float]) -> None:
        self.scores = scores
        self.saw: list[tuple[Asked, list[int]]] = []
        self.around: list[int] = []

    def judge(
        self, asked: Asked, candidates: Sequence[Candidate], around: Sequence[Candidate] = ()
    ) -> list[Verdict]:
        self.saw.append((asked, [candidate.entry.id for candidate in candidates]))
        self.around = [candidate.entry.id for candidate in around]
        scores = (self.scores[candidate.entry.id] for candidate in candidates)
        return [Verdict(score >= 0.5, score, f"unsure of {score}") for score in scores]


def near(
    id_: int, text: str, similarity: float, question: str = "How tall in 4 words?"
) -> Candidate:
    return Candidate(entry(question, id=id_, completion=answer(text)), similarity)


def verified(
    verifier: Verifier, *candidates: Candidate, choose: policy.Choose = policy.first
) -> Hit | Miss:
    asked = Asked("How high in 4 words?", HALF)
    numbers_only = PolicySettings(guards=("numbers",), candidates=7, around=8)
    return policy.judge_semantic(asked, candidates, NOW, NONE, numbers_only, verifier, choose)


def test_the_verifier_has_the_last_word() -> None:
    refusing = Scoring({1: 0.1, 2: 0.4})
    missed = verified(refusing, near(1, "a", 0.95), near(2, "b", 0.9))
    assert missed == Miss("verifier=unsure of 0.1", 0.95, 0.4)


def test_the_most_probable_of_what_the_verifier_allows_is_served() -> None:
    hit = verified(Scoring({1: 0.6, 2: 0.9}), near(1, "a", 0.95), near(2, "b", 0.9))
    assert isinstance(hit, Hit)
    assert (hit.entry.id, hit.similarity, hit.score) == (2, 0.9, 0.9)
    level = verified(Scoring({1: 0.9, 2: 0.9}), near(1, "a", 0.95), near(2, "b", 0.9))
    assert isinstance(level, Hit)
    assert level.entry.id == 1


def test_the_verifier_judges_once_the_nearest_of_each_answer_that_the_guards_leave() -> None:
    scoring = Scoring({3: 0.1, 4: 0.1, 6: 0.1})
    missed = verified(
        scoring,
        near(1, "a", 0.99, "How tall in 3 words?"),
        near(2, "d", 0.98, "How tall in 5 words?"),
        near(3, "a", 0.97),
        near(4, "b", 0.96),
        near(5, "a", 0.95),
        near(6, "c", 0.94),
        near(7, "e", 0.59),
        near(8, "f", 0.58),
    )
    assert scoring.saw == [(Asked("How high in 4 words?", HALF), [3, 4, 6])]
    assert missed == Miss("guard=numbers", 0.99, 0.1)
    assert scoring.around == [1, 2, 3, 4, 5, 6, 7, 8]


def test_only_so_many_neighbours_are_candidates() -> None:
    near_by = [near(at, f"answer {at}", 0.9) for at in range(1, 9)]
    scoring = Scoring({at: 0.1 for at in range(1, 8)})
    verified(scoring, *near_by)
    assert scoring.saw[0][1] == [1, 2, 3, 4, 5, 6, 7]
    assert len(scoring.around) == 8


def test_what_was_judged_best_is_kept_for_a_label() -> None:
    candidates = near(1, "a", 0.95), near(2, "b", 0.9)
    missed = verified(Scoring({1: 0.1, 2: 0.4}), *candidates)
    assert isinstance(missed, Miss)
    assert missed.judged == Judged(
        candidates[1].entry, "How tall in 4 words?", 0.4, "", {}, False, "unsure of 0.4"
    )
    hit = verified(Scoring({1: 0.6, 2: 0.9}), *candidates)
    assert isinstance(hit, Hit)
    assert hit.judged is not None
    assert (hit.judged.entry, hit.judged.served) == (candidates[1].entry, True)
    assert judge("How high in 4 words?", *candidates).judged is None


def test_the_verifier_is_not_asked_where_nothing_is_left() -> None:
    scoring = Scoring({})
    assert verified(scoring, near(1, "a", 0.5)) == Miss("below threshold", 0.5)
    assert scoring.saw == []


def test_a_verifier_that_passes_over_a_candidate_is_an_error() -> None:
    class Short(Scoring):
        def judge(
            self, asked: Asked, candidates: Sequence[Candidate], around: Sequence[Candidate] = ()
        ) -> list[Verdict]:
            return super().judge(asked, candidates)[1:]

    with pytest.raises(ValueError, match="zip"):
        verified(Short({1: 0.9, 2: 0.9}), near(1, "a", 0.9), near(2, "b", 0.8))


def test_a_post_function_chooses_among_what_the_verifier_allows() -> None:
    scoring = Scoring({1: 0.6, 2: 0.1, 3: 0.9})
    candidates = near(1, "a", 0.9), near(2, "b", 0.8), near(3, "c", 0.7)
    hit = verified(scoring, *candidates, choose=lambda some: min(some, key=lambda c: c.similarity))
    assert isinstance(hit, Hit)
    assert (hit.entry.id, hit.score) == (3, 0.9)
    hit = verified(scoring, *candidates, choose=lambda some: some[-1])
    assert isinstance(hit, Hit)
    assert (hit.entry.id, hit.score) == (1, 0.6)


def test_what_is_not_one_text_is_an_answer_of_its_own() -> None:
    two = Completion({**answer().wire, "choices": [*answer("x").choices, *answer("y").choices]})
    made = [answer("x"), answer("x"), two, two, calling(call("{}")), calling(call("{}"))]
    candidates = [Candidate(entry(id=at, completion=each), 0.9) for at, each in enumerate(made)]
    assert [candidate.entry.id for candidate in by_answer(candidates)] == [0, 2, 3, 4, 5]


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
