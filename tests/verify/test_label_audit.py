"""Which lookups are checked, and what two answers say to each other."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache.errors import ConfigError
from semcache.verify.audit import FAILED, Agreement, Plan, compare

MARGIN = Plan(0.02, 0.4, 0.4)


@given(st.floats(0, 1))
def test_shares_stay_between_floor_and_cap(score: float) -> None:
    assert MARGIN.floor <= MARGIN.probability(score) <= MARGIN.cap
    assert Plan().probability(score) == 0.1


def test_checks_gather_at_the_margin() -> None:
    shares = [MARGIN.probability(score) for score in (0.5, 0.9, 0.97, 0.999, 1.0)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 4 * shares[-1]
    assert MARGIN.probability(0.1) == MARGIN.probability(0.9)


def test_weights_make_the_checked_stand_for_all() -> None:
    draw = random.Random(5)
    scores = [draw.random() ** 0.2 for _ in range(40_000)]
    weights = [MARGIN.weight(score, draw.random()) for score in scores]
    assert sum(w for w in weights if w is not None) == pytest.approx(len(scores), rel=0.05)
    assert max(w for w in weights if w is not None) <= MARGIN.largest_weight


@pytest.mark.parametrize("plan", [(0.0, 0.1), (0.2, 0.1), (0.1, 1.5), (0.1, 0.2, 0.0)])
def test_plans_that_mean_nothing_are_refused(plan: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError):
        Plan(*plan)


@pytest.mark.parametrize(
    ("a", "b", "similarity", "same"),
    [
        ("Take 400 mg twice a day.", "Take 400 mg  twice a day.", 1.0, True),
        ("You can return it within 14 days.", "You can return it within 30 days.", 0.98, False),
        ("Yes, it is covered.", "No, it is not covered.", 0.9, False),
        ("The capital is Vienna.", "The capital is Berlin.", 0.9, False),
        ("Open the settings and choose Reset.", "Go to settings, then choose Reset.", 0.93, True),
        ("Open the settings.", "Bananas are rich in potassium.", 0.1, False),
        ("Open the settings and choose Reset.", "Go to the menu for this.", 0.7, None),
    ],
)
def test_answers_are_compared(a: str, b: str, similarity: float, same: bool | None) -> None:
    assert compare("", a, b, similarity).same is same


def test_long_answers_that_differ_in_a_detail_are_no_label() -> None:
    long = "The device is charged by the cable that came with it and shows a green light. " * 4
    assert compare("", f"{long} It takes 3 hours.", f"{long} It takes 4 hours.", 0.97).same is None


def test_a_judge_decides_and_its_failure_is_no_verdict() -> None:
    seen = []

    def judge(question: str, answer: str, other: str) -> bool:
        seen.append((question, answer, other))
        return answer[0] == other[0]

    assert compare("How long?", "14 days", "1 fortnight", 0.9, judge).same is True
    assert compare("How long?", "yes", "surely", 0.9, judge).same is False
    assert seen == [("How long?", "14 days", "1 fortnight"), ("How long?", "yes", "surely")]

    def broken(question: str, answer: str, other: str) -> bool:
        raise TimeoutError

    assert compare("", "yes", "surely", 0.9, judge=broken) == Agreement(None, FAILED)
    assert compare("", "yes", "yes", 0.2, judge=broken).same is True
