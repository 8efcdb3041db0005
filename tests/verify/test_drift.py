"""The alarm: it sounds when the rate rises, and seldom without cause however often one looks."""

from __future__ import annotations

import numpy as np
import pytest

from semcache.verify.drift import Drift


def sounded_at(drift: Drift, wrong: np.ndarray) -> int | None:
    return next((at for at, one in enumerate(wrong) if drift.add(bool(one))), None)


def test_false_alarms_are_no_more_frequent_than_promised() -> None:
    random = np.random.default_rng(1)
    runs = 200
    alarms = sum(
        sounded_at(Drift(0.05, 0.1), random.random(1_500) < 0.05) is not None for _ in range(runs)
    )
    assert alarms / runs <= 0.1 + 2 * np.sqrt(0.09 / runs)


def test_a_rise_is_heard_even_after_a_long_good_time() -> None:
    random = np.random.default_rng(2)
    heard = [
        sounded_at(Drift(0.02, 0.1), np.r_[random.random(2_000) < 0.01, random.random(500) < 0.2])
        for _ in range(20)
    ]
    assert sum(at is not None and at >= 2_000 for at in heard) >= 19


def test_one_start_and_one_stake_are_what_they_say() -> None:
    drift = Drift(0.1, 0.01)
    drift.add(True)
    stakes = 5.0 * 0.5 ** np.arange(6)
    prior = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
    # Half of the wealth is with this first start, half waits for later ones.
    assert drift.log_wealth == pytest.approx(np.log(0.5 * prior @ (1 + stakes * 0.9) + 0.5))


def test_an_alarm_stays() -> None:
    drift = Drift(0.01, 0.1)
    assert sounded_at(drift, np.ones(50)) is not None
    assert drift.add(False)


@pytest.mark.parametrize("weight", [0.5, 21.0, float("nan")])
def test_a_weight_that_breaks_the_promise_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        Drift(0.01, 0.1, 20.0).add(True, weight)
