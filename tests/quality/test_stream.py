"""The loop, the policies and what they are told, on streams whose outcome is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.quality.certified import (
    Certified,
    certified_threshold,
    cross_scores,
    fit_logistic,
    score_inputs,
)
from benchmarks.quality.fixed import Exact, Static
from benchmarks.quality.intents import NEVER, WORDINGS, answer_numbers, own_requests
from benchmarks.quality.rates import clopper_pearson_upper
from benchmarks.quality.stream import Near, Requests, Trace, play
from benchmarks.quality.streams import ORDERS, arrange, averaged


def on_circle(degrees: list[float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    turns = np.radians(degrees)
    return np.column_stack([np.cos(turns), np.sin(turns)]).astype(np.float32)


def clusters(count: int, answers: int, seed: int) -> Requests:
    """Answers at random places in 32 dimensions; a tenth of the requests need one of their own."""
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(answers, 32))
    which = rng.integers(0, answers, count)
    vectors = places[which] + 0.45 * rng.normal(size=(count, 32))
    alone = rng.random(count) < 0.1
    vectors[alone] = places[which[alone]] + rng.normal(size=(int(alone.sum()), 32))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Requests(
        vectors.astype(np.float32), np.where(alone, -1 - np.arange(count), which), np.arange(count)
    )


def test_a_static_threshold_serves_by_cosine() -> None:
    """0, 10, 40 and 45 degrees: the second and the last are served, the last wrongly."""
    requests = Requests(on_circle([0, 10, 40, 45]), np.array([7, 7, 8, 9]), np.arange(4))
    trace = play(Static(math.cos(math.radians(15))), requests)
    assert trace.served.tolist() == [False, True, False, True]
    assert trace.wrong.tolist() == [False, False, False, True]
    summary = trace.summary()
    assert (summary["hits"], summary["wrong_per_request"]) == (0.5, 0.25)
    assert summary["wrong_per_hit"] == 0.5


def test_what_was_served_is_not_stored() -> None:
    """10 degrees is served from 0, so 24 is too far from all that is stored."""
    requests = Requests(on_circle([0, 10, 24]), np.array([7, 7, 7]), np.arange(3))
    trace = play(Static(math.cos(math.radians(15))), requests)
    assert trace.served.tolist() == [False, True, False]


def test_exact_serves_the_same_text_only() -> None:
    requests = Requests(on_circle([0, 0, 0]), np.array([1, 1, 1]), np.array([0, 1, 0]))
    assert play(Exact(), requests).served.tolist() == [False, False, True]


def test_stretches_add_up() -> None:
    served = np.array([True, False, True, True])
    wrong = np.array([False, False, True, False])
    rows = Trace(served, wrong, np.zeros(4, dtype=bool)).over_time(2)
    assert [row["hits"] for row in rows] == [0.5, 1.0]
    assert [row["wrong_per_hit"] for row in rows] == [0.0, 0.5]


def test_score_inputs_are_cosine_margin_and_vote() -> None:
    near = Near(
        np.array([0.9, 0.8, 0.7], dtype=np.float32), np.array([3, 3, 4]), np.arange(3), False
    )
    basic = [5 * 0.15, 5 * 0.2, 2 * 2 / 8 - 1]
    assert score_inputs(near) == pytest.approx([1, *basic, *(b**2 for b in basic)], abs=1e-6)


def test_the_fit_is_at_the_maximum_and_weights_count_as_copies() -> None:
    rng = np.random.default_rng(2)
    inputs = np.column_stack([np.ones(300), rng.normal(size=(300, 2))])
    right = (rng.random(300) < 1 / (1 + np.exp(-inputs @ [0.5, 2.0, -1.0]))).astype(float)
    copies = rng.integers(1, 4, 300)
    weighted = fit_logistic(inputs, right, copies.astype(float))
    repeated = fit_logistic(
        np.repeat(inputs, copies, 0), np.repeat(right, copies), np.ones(copies.sum())
    )
    assert weighted == pytest.approx(repeated, abs=1e-6)
    chance = 1 / (1 + np.exp(-inputs @ weighted))
    assert inputs.T @ (copies * (chance - right)) + 1e-2 * weighted == pytest.approx(0, abs=1e-3)


def test_a_label_does_not_score_itself() -> None:
    """Turning one label's outcome moves the scores of the other half only."""
    rng = np.random.default_rng(3)
    inputs = np.column_stack([np.ones(60), rng.normal(size=60)])
    right = (rng.random(60) < 0.7).astype(float)
    before = cross_scores(inputs, right, np.ones(60))
    right[10] = 1 - right[10]
    after = cross_scores(inputs, right, np.ones(60))
    assert np.array_equal(before[0::2], after[0::2])
    assert not np.allclose(before[1::2], after[1::2])


def test_the_threshold_stops_where_the_bound_fails() -> None:
    """400 clean labels, then only wrong ones: it ends near the last clean one."""
    scores = np.linspace(1, 0, 800)
    wrong = np.repeat([0.0, 1.0], 400)
    threshold = certified_threshold(scores, wrong, np.ones(800), 0.02, 0.1, None)
    served = int((scores >= threshold).sum())
    assert 230 <= served <= 410
    assert clopper_pearson_upper(float(wrong[:served].sum()), served, 0.1) <= 0.02


def test_too_few_labels_certify_nothing() -> None:
    scores, clean = np.linspace(1, 0.5, 100), np.zeros(100)
    assert certified_threshold(scores, clean, np.ones(100), 0.02, 0.1, None) == math.inf
    assert certified_threshold(scores, clean, np.ones(100), 0.02, 0.1, 1000) == 0.5


@pytest.mark.parametrize("order", ["shuffled", "chronological"])
def test_the_bound_holds_on_streams_and_something_is_served(order: str) -> None:
    """Bounds with confidence .9 in 8 streams: 3 or more above delta have a chance below 4 %."""
    broken, hits = 0, []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        requests = clusters(2500, 40, seed)
        requests = requests.ordered(arrange(requests.answers, order, rng))
        summary = play(Certified(0.02, "request", rng), requests).summary()
        broken += summary["wrong_per_request"] > 0.02
        hits.append(summary["hits"])
    assert broken <= 2
    assert sum(hits) / len(hits) > 0.3


def test_without_audits_a_hit_teaches_nothing() -> None:
    policy = Certified(0.02, "request", np.random.default_rng(0), audits=1e-12)
    play(policy, clusters(1500, 20, 1))
    assert all(weight == 1.0 for _, _, weight in policy.labels)
    assert len(policy.labels) < 1400


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_has_every_request_once(order: str) -> None:
    answers = np.array([0, 0, 1, 1, 2, -5, -6])
    assert sorted(arrange(answers, order, np.random.default_rng(1))) == list(range(7))


def test_chronologically_some_answers_come_late() -> None:
    answers = np.repeat(np.arange(50), 40)
    order = arrange(answers, "chronological", np.random.default_rng(1))
    first = [int(np.flatnonzero(answers[order] == a)[0]) for a in range(50)]
    assert max(first) > 800  # shuffled, an answer that is first needed this late is one in 10^9


def test_own_requests_are_many_wordings_of_many_intents() -> None:
    requests = own_requests()
    texts = [text for text, _ in requests]
    assert len(set(texts)) == len(texts)
    intents = {intent for _, intent in requests if intent != NEVER}
    assert len(intents) >= 60
    assert all(sum(i == intent for _, i in requests) == WORDINGS for intent in intents)


def test_what_comes_once_has_an_answer_of_its_own() -> None:
    assert answer_numbers(["a", NEVER, "a", "b", NEVER]) == [0, -2, 0, 2, -5]


def test_the_worst_seed_is_kept() -> None:
    rows = [
        {"hits": 0.4, "wrong_per_request": 0.01, "wrong_per_hit": 0.02, "audits": 0.0},
        {"hits": 0.2, "wrong_per_request": 0.03, "wrong_per_hit": 0.1, "audits": 0.0},
    ]
    row = averaged(rows)
    assert (row["hits"], row["fewest_hits"]) == (0.3, 0.2)
    assert (row["worst_wrong_per_request"], row["worst_wrong_per_hit"]) == (0.03, 0.1)
