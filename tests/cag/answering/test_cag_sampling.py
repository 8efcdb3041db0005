"""Choosing tokens: against distributions computed by hand."""

from __future__ import annotations

import math
from collections import Counter

import torch

from semcache.cag.answering.sampling import Sampler, Sampling

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0])


def _shares(sampling: Sampling, draws: int = 4000) -> list[float]:
    sampler = Sampler(sampling, seed=5)
    counts = Counter(sampler.choose(LOGITS) for _ in range(draws))
    return [counts[token] / draws for token in range(4)]


def _softmax(logits: list[float]) -> list[float]:
    weights = [math.exp(logit) for logit in logits]
    return [weight / sum(weights) for weight in weights]


def _close(shares: list[float], expected: list[float]) -> bool:
    return all(abs(a - b) < 0.03 for a, b in zip(shares, expected, strict=True))


def test_greedy_takes_the_likeliest() -> None:
    assert {Sampler(Sampling(), seed).choose(LOGITS) for seed in range(20)} == {0}


def test_temperature_shapes_the_distribution() -> None:
    assert _close(_shares(Sampling(temperature=1.0)), _softmax([2, 1, 0, -1]))
    assert _close(_shares(Sampling(temperature=2.0)), _softmax([1, 0.5, 0, -0.5]))


def test_top_p_keeps_the_smallest_sufficient_set() -> None:
    # The likeliest has 0.644, the first two 0.881.
    assert _shares(Sampling(temperature=1.0, top_p=0.6)) == [1, 0, 0, 0]
    assert _close(_shares(Sampling(temperature=1.0, top_p=0.7)), [*_softmax([2, 1]), 0, 0])
    assert _shares(Sampling(temperature=1.0, top_p=0.0)) == [1, 0, 0, 0]


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    def draw(seed: int) -> list[int]:
        sampler = Sampler(Sampling(temperature=1.0), seed)
        return [sampler.choose(LOGITS) for _ in range(40)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert draw(-(2**63)) == draw(-(2**63))


def test_drawing_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    Sampler(Sampling(temperature=1.0), 9).choose(LOGITS)
    assert torch.equal(torch.rand(1), expected)


def test_a_bias_moves_the_choice_and_leaves_the_logits() -> None:
    logits = LOGITS.clone()
    assert Sampler(Sampling(logit_bias={3: 100.0}), 0).choose(logits) == 3
    assert Sampler(Sampling(logit_bias={0: -100.0}), 0).choose(logits) == 1
    assert torch.equal(logits, LOGITS)


def test_penalties_count_what_was_generated() -> None:
    once = Sampler(Sampling(presence_penalty=1.5), 0)
    assert [once.choose(LOGITS) for _ in range(4)] == [0, 1, 0, 0]
    counted = Sampler(Sampling(frequency_penalty=0.6), 0)
    # 0 falls from 2.0 by 0.6 a time; 1 is at 1.0 until chosen.
    assert [counted.choose(LOGITS) for _ in range(4)] == [0, 0, 1, 0]
