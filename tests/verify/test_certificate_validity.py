"""The promise itself, on streams whose truth is known: a small run of `benchmarks.certificate`."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.certificate import PLANS, one_certificate, row, stream, world
from semcache.verify.certify import Per, Terms


@pytest.mark.parametrize("per", ["hit", "request"])
@pytest.mark.parametrize("audits", ["even", "margin"])
def test_the_bound_is_missed_no_more_often_than_alpha_allows(per: Per, audits: str) -> None:
    terms = Terms(0.05, 0.9, per)
    runs = [one_certificate(seed, terms, PLANS[audits], 500) for seed in range(60)]
    line = row("", terms, runs)
    assert line["violated"] <= line["allowed"]
    assert line["certified"] > 0.9  # a cache that serves nothing would keep any bound
    assert line["hits_of_oracle"] > 0.3


def test_a_plain_rate_in_place_of_the_bound_would_fail_this_test() -> None:
    """The loosest threshold whose observed rate keeps delta misses it in far more runs."""
    delta, missed = 0.05, 0
    truth = world(np.random.default_rng(10_000), 200_000)
    for seed in range(60):
        random = np.random.default_rng(seed)
        drawn = world(random, 500)
        wrong = random.random(500) < drawn.chances
        order = np.argsort(-drawn.scores)
        rate = np.cumsum(wrong[order]) / np.arange(1, 501)
        cut = drawn.scores[order][np.flatnonzero(rate <= delta)[-1]]
        missed += truth.chances[truth.scores >= cut].mean() > delta
    assert missed / 60 > 0.1 + 2 * np.sqrt(0.09 / 60)


@pytest.mark.parametrize("kind", ["shuffled", "growing"])
@pytest.mark.parametrize("per", ["hit", "request"])
def test_streams_keep_the_bound(kind: str, per: Per) -> None:
    terms = Terms(0.05, 0.9, per)
    runs = [stream(seed, terms, PLANS["even"], kind, 4_000) for seed in range(20)]
    line = row("", terms, runs)
    assert line["violated"] <= line["allowed"]
    assert line["certified"] > 0.9
