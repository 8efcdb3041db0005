"""What is explained is what happens: by the real encoder, guards and verifier."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from semcache.assembly import build
from semcache.cache import SemCache
from semcache.chat import ChatRequest
from semcache.config import Config
from semcache.directives import ONLY_IF_CACHED, Directives
from semcache.explanation import apart, explain, told_decision
from semcache.feedback import Feedback
from semcache.interfaces import Bypass, Hit, Miss
from semcache.keys import Scope, Source
from tests.scripted import ScriptedAnswerer

DATA = Path(__file__).resolve().parent.parent / "benchmarks" / "data"


def rows(kind: str) -> list[list[str]]:
    with (DATA / f"{kind}.banking.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter="\t"))[1:15]


STORED = [row[0] for row in rows("pairs")] + [row[0] for row in rows("traps")]
ASKED = [
    *STORED[:4],
    *(row[1] for row in rows("pairs")),
    *(row[1] for row in rows("traps")),
    *(row[0] for row in rows("unseen")),
    "Where is my card?",
    "What time is it?",
    "How is the weather tomorrow?",
    "申请退款",
    "word " * 800,
]


def request(text: str, **options: Any) -> ChatRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **options}
    return ChatRequest.from_wire(body, tenant="t")


async def stored(cache: SemCache, answerer: ScriptedAnswerer, *questions: str) -> None:
    for question in questions:
        reply = await cache.ask(request(question), via=answerer)
        await reply.completion()
        await reply.stored()
        reply.close()


TRUST = {
    "guards": {"verifier": False},
    "verifier": {"verifier": True},
    "certified": {"max_wrong_rate": 0.2, "confidence": 0.5},
}


@pytest.fixture(scope="module", params=TRUST)
def cache(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[SemCache]:
    folder = tmp_path_factory.mktemp("store")
    values = {
        "storage_config": {"data_dir": str(folder)},
        "engines": [],
        "trust": TRUST[request.param],
    }
    made = build(Config.from_mapping(values)).cache
    answerer = ScriptedAnswerer()
    made.answerers = (answerer,)
    if made.checks is not None:
        made.checks.close()  # what it learns in the background would change the next decision
    asyncio.run(stored(made, answerer, *STORED))
    wrong = made.get(request_of(ASKED[5]))
    if wrong.decision_id:
        made.feedback.take("t", Feedback(wrong.decision_id, "wrong"))
    yield made
    asyncio.run(made.aclose())


def request_of(text: str) -> ChatRequest:
    return request(text)


VARIANTS: list[tuple[dict[str, Any], Directives]] = [
    ({}, ONLY_IF_CACHED),
    ({"temperature": 1.0}, ONLY_IF_CACHED),
    ({"max_tokens": 7}, ONLY_IF_CACHED),
    ({}, Directives(only_if_cached=True, max_age_s=0.0)),
    ({}, Directives(only_if_cached=True, no_cache=True)),
]


def test_the_explained_decision_is_the_one_that_is_made(cache: SemCache) -> None:
    seen = set()
    for text in ASKED:
        for options, directives in VARIANTS if text in ASKED[:6] else VARIANTS[:1]:
            asked = request(text, **options)
            plan = cache.plan(asked, directives)
            before = cache.tally.counts()
            told = explain(cache.layers, plan)
            again = explain(cache.layers, plan)
            assert cache.tally.counts() == before
            decision = cache.get(asked, directives).decision
            assert told["decision"] == again["decision"] == told_decision(decision), text
            assert json.loads(json.dumps(told)) == told
            seen.add((type(decision), getattr(decision, "tier", decision.reason.split("=")[0])))
    kinds = {kind for kind, _ in seen}
    assert kinds == {Hit, Miss, Bypass}
    assert {(Hit, "exact"), (Miss, "guard")} <= seen
    if cache.supervisor is None:
        assert (Hit, "semantic") in seen


def test_candidates_are_explained_one_by_one(cache: SemCache) -> None:
    stored, asked, _ = rows("traps")[0]
    told = explain(cache.layers, cache.plan(request(asked), ONLY_IF_CACHED))
    assert told["decision"]["outcome"] == "miss"
    nearest = told["candidates"][0]
    assert nearest["question"] == stored
    assert nearest["gptcache_score"] == pytest.approx((1 + nearest["similarity"]) / 2, abs=1e-3)
    numbers = next(veto for veto in nearest["guards"] if veto["guard"] == "numbers")
    assert numbers["on"]
    assert "500" in numbers["reason"]
    verdict = nearest["verifier"]
    if cache.supervisor is not None:  # it asks the guards itself
        assert (nearest["refused"], verdict["alone"]) == (None, False)
        return
    assert nearest["refused"] == told["decision"]["reason"]
    if cache.layers.verifier is None:
        assert verdict is None
    else:
        assert verdict["alone"]
        assert 0 <= verdict["score"] <= 1
        assert verdict["features"]


def test_the_verifiers_score_is_that_of_the_decision(cache: SemCache) -> None:
    if cache.layers.verifier is None:
        assert explain(cache.layers, cache.plan(request(ASKED[9]), ONLY_IF_CACHED))["candidates"]
        return
    compared = 0
    for text in ASKED:
        told = explain(cache.layers, cache.plan(request(text), ONLY_IF_CACHED))
        score = told["decision"].get("score")
        if score is not None:
            verdicts = [one["verifier"] for one in told["candidates"]]
            assert score in {one["score"] for one in verdicts if not one["alone"]}
            compared += 1
    assert compared >= 5


def test_what_was_called_wrong_is_shown_as_refuted(cache: SemCache) -> None:
    # The verifier does not let every paraphrase through.
    if cache.supervisor is not None:
        return
    question, near = (
        "How do I reset the password of my work laptop?",
        "How can I reset my work laptop's password?",
    )
    asyncio.run(stored(cache, cache.answerers[0], question))  # type: ignore[arg-type]
    hit = cache.get(request(near))
    assert isinstance(hit.decision, Hit)
    assert hit.decision.tier == "semantic"
    cache.feedback.take("t", Feedback(hit.decision_id, "wrong"))
    exact = explain(cache.layers, cache.plan(request(question), ONLY_IF_CACHED))
    assert exact["exact"]["refused"] == "quarantined"
    (gone,) = explain(cache.layers, cache.plan(request(near), ONLY_IF_CACHED))["withdrawn"]
    assert (gone["question"], gone["state"]) == (question, "quarantined")
    other = explain(cache.layers, cache.plan(request(near, model="other"), ONLY_IF_CACHED))
    assert other["withdrawn"] == exact["withdrawn"] == []
    asyncio.run(stored(cache, cache.answerers[0], question))  # type: ignore[arg-type]
    told = explain(cache.layers, cache.plan(request(near), ONLY_IF_CACHED))
    assert told["candidates"][0]["refused"] == told["candidates"][0]["state"] == "refuted"
    assert told["decision"] == told_decision(cache.get(request(near)).decision)


def test_the_key_shows_no_secret(cache: SemCache) -> None:
    told = explain(cache.layers, cache.plan(request(STORED[0]), ONLY_IF_CACHED))
    assert set(told["key"]) == {
        "exact", "tenant", "model", "context", "params", "source", "scope", "question",
    }  # fmt: skip
    assert told["exact"]["refused"] is None


SCOPE = Scope("t", "m", Source("a", "b", "c"), "ctx", "p")


@pytest.mark.parametrize(
    ("other", "parts"),
    [
        (SCOPE, []),
        (Scope("t", "n", Source("a", "b", "c"), "ctx", "p"), ["model"]),
        (Scope("t", "m", Source("x", "y", "z"), "ctx", "p"),
         ["answerer", "source model", "knowledge"]),
        (Scope("t", "m", Source("a", "b", "c"), "other", "q"), ["context", "params"]),
    ],
)  # fmt: skip
def test_what_differs(other: Scope, parts: list[str]) -> None:
    assert apart(SCOPE, other) == parts
