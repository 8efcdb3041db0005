"""Served shares, AUC and bounds, against numbers that were worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.quality.rates import (
    auc,
    best_below,
    clopper_pearson_upper,
    least_above,
    share_above,
)


def test_auc_counts_pairs_and_halves_ties() -> None:
    right, traps = np.array([0.9, 0.5]), np.array([0.5, 0.1])
    assert auc(right, traps) == pytest.approx((1 + 1 + 0.5 + 1) / 4)


def test_auc_equals_the_count_over_all_pairs() -> None:
    rng = np.random.default_rng(5)
    right, traps = rng.integers(0, 9, 40) / 8, rng.integers(0, 9, 30) / 8
    pairs = [(r > t) + 0.5 * (r == t) for r in right for t in traps]
    assert auc(right, traps) == pytest.approx(sum(pairs) / len(pairs))


def test_auc_of_nothing_is_not_a_number() -> None:
    assert math.isnan(auc(np.array([]), np.array([0.5])))


@pytest.mark.parametrize(
    ("limit", "bound", "share"),
    [(0.0, 0.95, 0.0), (0.1, 0.9, 0.25), (0.15, 0.9, 0.25), (0.2, 0.5, 0.5), (1.0, -math.inf, 1.0)],
)
def test_served_share_at_a_share_of_traps(limit: float, bound: float, share: float) -> None:
    traps = np.array([0.95, 0.9, 0.5, 0.4, 0.3, 0.2, 0.2, 0.1, 0.1, 0.0])
    right = np.array([0.92, 0.6, 0.5, 0.45])
    assert least_above(traps, limit) == bound
    assert share_above(right, bound) == share
    assert share_above(traps, bound) <= limit


def test_tied_traps_are_all_left_out() -> None:
    traps = np.array([0.5] * 4 + [0.1] * 6)
    assert least_above(traps, 0.3) == 0.5
    assert share_above(traps, 0.5) == 0.0


@pytest.mark.parametrize(("labels", "delta", "alpha"), [(230, 0.01, 0.1), (299, 0.01, 0.05)])
def test_clean_labels_that_a_bound_needs(labels: int, delta: float, alpha: float) -> None:
    assert clopper_pearson_upper(0, labels, alpha) <= delta
    assert clopper_pearson_upper(0, labels - 1, alpha) > delta


def test_clopper_pearson_is_where_the_binomial_tail_is_alpha() -> None:
    bound = clopper_pearson_upper(3, 50, 0.1)
    tail = sum(math.comb(50, k) * bound**k * (1 - bound) ** (50 - k) for k in range(4))
    assert tail == pytest.approx(0.1)


def test_without_a_right_label_nothing_is_bounded() -> None:
    assert clopper_pearson_upper(0, 0, 0.1) == 1.0
    assert clopper_pearson_upper(4, 4, 0.1) == 1.0


def test_hindsight_takes_most_hits_within_the_limit() -> None:
    rows = [(0.2, 0.001), (0.4, 0.02), (0.3, 0.01), (0.6, 0.05)]
    assert best_below(rows, 0.02) == (0.4, 0.02)
    assert best_below(rows, 0.0001) is None
