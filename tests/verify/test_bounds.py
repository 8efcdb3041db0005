"""Binomial tails against scipy and against whole enumeration; betting against its own promise."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from semcache.verify.bounds import (
    binomial_cdf,
    binomial_upper,
    labels_needed,
    log_bets,
    p_of_wealth,
    relative,
)


@settings(deadline=None)
@given(st.integers(0, 20_000), st.floats(0, 1), st.floats(1e-6, 1 - 1e-6))
def test_the_tail_is_scipys(labels: int, share: float, rate: float) -> None:
    wrong = int(labels * share)
    expected = stats.binom.cdf(wrong, labels, rate)
    assert binomial_cdf(wrong, labels, rate) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_the_tail_counts_every_outcome_of_a_small_case() -> None:
    for wrong in range(7):
        whole = sum(
            0.3 ** sum(draw) * 0.7 ** (6 - sum(draw))
            for draw in itertools.product((0, 1), repeat=6)
            if sum(draw) <= wrong
        )
        assert binomial_cdf(wrong, 6, 0.3) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize(
    ("delta", "alpha", "clean"),
    [(0.01, 0.1, 230), (0.01, 0.05, 299), (0.005, 0.05, 598), (0.05, 0.1, 45)],
)
def test_clean_labels_that_are_needed(delta: float, alpha: float, clean: int) -> None:
    assert labels_needed(delta, alpha) == clean


@given(st.integers(0, 30), st.sampled_from([0.005, 0.02, 0.1]), st.sampled_from([0.01, 0.1]))
def test_one_label_fewer_would_not_do(wrong: int, delta: float, alpha: float) -> None:
    labels = labels_needed(delta, alpha, wrong)
    assert (
        stats.binom.cdf(wrong, labels, delta) <= alpha < stats.binom.cdf(wrong, labels - 1, delta)
    )


@given(st.integers(1, 3_000), st.floats(0, 0.99), st.sampled_from([0.01, 0.1, 0.3]))
def test_the_upper_bound_is_clopper_and_pearsons(labels: int, share: float, alpha: float) -> None:
    wrong = int(labels * share)
    expected = stats.beta.ppf(1 - alpha, wrong + 1, labels - wrong)
    assert binomial_upper(wrong, labels, alpha) == pytest.approx(expected, abs=1e-6)


def test_no_label_bounds_nothing() -> None:
    assert binomial_upper(0, 0, 0.1) == 1.0
    assert binomial_upper(5, 5, 0.1) == 1.0


def test_no_stake_grows_in_the_mean_where_the_rate_is_at_the_bound() -> None:
    delta, shares = 0.1, np.array([1.0, 0.25])
    # Requests of two kinds, equally many, wrong with .02 and .18: the rate is the bound exactly.
    # The second kind is drawn four times as often, and weighs a quarter.
    drawn, chances = np.array([0.2, 0.8]), np.array([0.02, 0.18])
    right = np.exp(log_bets(np.zeros(2), shares, delta))
    wrong = np.exp(log_bets(np.ones(2), shares, delta))
    mean = (drawn[:, None] * (chances[:, None] * wrong + (1 - chances[:, None]) * right)).sum(
        axis=0
    )
    np.testing.assert_allclose(mean, 1.0, atol=1e-12)


def test_betting_rejects_a_true_bound_no_more_often_than_promised() -> None:
    random, delta, runs = np.random.default_rng(4), 0.1, 2_000
    # As above: at the bound exactly, drawn unevenly.
    often = random.random((runs, 300)) < 0.8
    wrong = (random.random((runs, 300)) < np.where(often, 0.18, 0.02)).astype(float)
    shares = np.where(often, 0.25, 1.0)
    wealth = np.array(
        [log_bets(w, s, delta).sum(axis=0) for w, s in zip(wrong, shares, strict=True)]
    )
    assert (p_of_wealth(wealth) <= 0.1).mean() <= 0.1 + 2 * np.sqrt(0.09 / runs)
    # And it can reject at all: the same labels against a bound of twice the rate.
    wealth = np.array([log_bets(w, s, 0.2).sum(axis=0) for w, s in zip(wrong, shares, strict=True)])
    assert (p_of_wealth(wealth) <= 0.1).mean() > 0.3


def test_shares_keep_ratios_and_stay_within_one() -> None:
    shares = relative(np.array([10.0, 30.0, 20.0]))
    assert shares.max() <= 1.0
    np.testing.assert_allclose(shares / shares[0], [1.0, 3.0, 2.0])
