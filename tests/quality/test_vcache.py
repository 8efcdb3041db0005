"""vCache's formulas against values worked out apart from the code."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.quality.stream import Near
from benchmarks.quality.vcache import SEEDED, SEPARABLE, Curve, VCache, explore, fit, variance_of_t

FOUR_RIGHT = [*SEEDED, (0.82, True), (0.85, True), (0.88, True), (0.91, True)]


def near(similarity: float, key: int = 0) -> Near:
    return Near(np.array([similarity], dtype=np.float32), np.array([0]), np.array([key]), False)


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_a_sure_curve_explores_by_the_formula() -> None:
    """Without variance only e matters, and tau is least at the smallest e: 1 - d / (1 - p)."""
    p = logistic(20 * (0.9 - 0.8))
    expected = 1 - 0.02 / (1 - (1 - 1e-6) * p)
    assert explore(Curve(0.8, 20.0, 0.0), 0.9, 0.02) == pytest.approx(expected)


def test_where_the_chance_is_high_enough_nothing_is_explored() -> None:
    """p = .99 leaves .01 < delta = .02: the bound holds without asking."""
    similarity = 0.8 + math.log(99) / 20
    assert explore(Curve(0.8, 20.0, 0.0), similarity, 0.02) == 0.0
    assert explore(Curve(0.8, 20.0, 0.0), similarity, 0.005) == pytest.approx(0.5, abs=1e-3)


def test_doubt_about_t_makes_for_more_exploring() -> None:
    taus = [explore(Curve(0.8, 40.0, v), 0.9, 0.02) for v in (0.0, 0.001, 0.01, 0.1)]
    assert taus == sorted(taus)
    assert taus[0] < taus[-1]


def test_four_right_answers_serve_as_published_numbers_say() -> None:
    """Chances of serving that another port of the formulas gives at 1, 2 and 2.5 %."""
    curve = fit(FOUR_RIGHT)
    for similarity, expected in (
        (0.95, (0.46, 0.93, 1.0)),
        (0.85, (0.20, 0.41, 0.51)),
        (0.70, (0.06, 0.12, 0.15)),
    ):
        served = [1 - explore(curve, similarity, delta) for delta in (0.01, 0.02, 0.025)]
        assert served == pytest.approx(expected, abs=0.015)


def test_separable_observations_take_their_variance_from_the_table() -> None:
    assert fit(FOUR_RIGHT).variance == dict(SEPARABLE)[6]


def test_mixed_observations_are_fitted_by_maximum_likelihood() -> None:
    """At the maximum the score equations vanish: sum of p - y, and of (p - y) s."""
    mixed = [*SEEDED, (0.6, False), (0.7, True), (0.75, False), (0.8, True), (0.85, True)]
    curve = fit(mixed)
    left = [logistic(curve.g * (s - curve.t)) - ok for s, ok in mixed]
    assert sum(left) == pytest.approx(0, abs=1e-3)
    assert sum(r * s for r, (s, _) in zip(left, mixed, strict=True)) == pytest.approx(0, abs=1e-3)


def test_the_variance_of_t_is_the_delta_method() -> None:
    """Two groups at s = 0 and 1 with p = 1/2 each: the information is [[.5 n, .25 n], ...]."""
    design = np.array([[1.0, 0.0], [1.0, 1.0]] * 8)
    offset, g = -1e-9, 2.0
    chance = [logistic(offset + g * s) for s in (0.0, 1.0)]
    u, v = (8 * p * (1 - p) for p in chance)
    inverse = np.array([[v, -v], [-v, u + v]]) / (u * v)  # of [[u + v, v], [v, v]]
    gradient = np.array([-1 / g, offset / g**2])
    assert variance_of_t(design, offset, g) == pytest.approx(gradient @ inverse @ gradient)


def test_nothing_is_served_before_four_observations() -> None:
    policy = VCache(0.99, np.random.default_rng(0))
    for _ in range(3):
        assert policy.learn(near(0.9), False, True) is False
        assert policy.serve(near(0.99)) is False
    policy.learn(near(0.9), False, True)
    assert policy.serve(near(0.99)) is True


def test_only_what_was_wrong_becomes_an_entry_and_entries_learn_alone() -> None:
    policy = VCache(0.99, np.random.default_rng(0))
    assert policy.learn(near(0.9, key=1), False, False) is True
    assert policy.seen == {1: [(0.9, False)]}
    assert policy.serve(near(0.99, key=2)) is False
