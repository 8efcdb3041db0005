"""One half chooses, the other certifies; against known truth and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from semcache.calibrate.choosing import _sample as sample_of
from semcache.calibrate.choosing import calibrate, certified, configuration, curve, halves
from semcache.calibrate.records import Record
from semcache.calibrate.scoring import COSINE, VERIFIER
from semcache.verify.certify import Terms
from semcache.verify.sample import GRID

TERMS = Terms(0.05, 0.9, "hit")


def drawn(size: int, seed: int, *, times: bool = True) -> tuple[list[Record], list[float]]:
    """Labels whose probability of being wrong is (1 - score)."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(4, 1, size).round(4).tolist()
    wrong = (rng.random(size) < (1 - np.array(scores))).tolist()
    return [
        Record(bool(w), "a", "b", at=at if times else None) for at, w in enumerate(wrong)
    ], scores


def test_halves_by_time_and_by_lot() -> None:
    records = [Record(False, "a", "b", at=at) for at in (3.0, 1.0, 4.0, 2.0)]
    assert halves(records) == ([1, 3], [0, 2], True)
    plain = [Record(False, "a", "b") for _ in range(101)]
    older, newer, by_time = halves(plain)
    assert not by_time
    assert (len(older), sorted(older + newer)) == (50, list(range(101)))
    assert older != list(range(50))
    assert halves(plain) == (older, newer, by_time)


def test_no_label_both_chooses_and_certifies() -> None:
    """What the halves say is theirs alone."""
    records, scores = drawn(2000, 1)
    first = calibrate(records, {VERIFIER: scores}, TERMS)

    def flipped(places: range) -> list[Record]:
        return [
            Record(not one.wrong, "a", "b", at=one.at) if at in places else one
            for at, one in enumerate(records)
        ]

    newer = calibrate(flipped(range(1000, 2000)), {VERIFIER: scores}, TERMS)
    assert (newer.start, newer.tried) == (first.start, first.tried)
    assert newer.curve != first.curve
    assert newer.threshold is None
    older = calibrate(flipped(range(1000)), {VERIFIER: scores}, TERMS)
    assert older.curve == first.curve
    assert older.tried != first.tried


def test_the_sequence_ends_at_the_first_threshold_that_fails() -> None:
    records, scores = drawn(3000, 4)
    sample = sample_of(range(3000), records, scores)
    for start in (40, 60, 80):
        found = certified(sample, start, TERMS)
        passes = []
        for at in range(start, len(GRID) - 1):
            served = [r.wrong for r, s in zip(records, scores, strict=True) if s >= GRID[at]]
            if stats.binom.cdf(sum(served), len(served), 0.05) > 0.1:
                break
            passes.append(at)
        assert (found.threshold is not None) is bool(passes)
        if passes:
            assert found.threshold is not None
            assert GRID[passes[-1]] <= found.threshold <= GRID[passes[-1] - 1]


def test_the_better_score_is_chosen_and_certified() -> None:
    records, good = drawn(4000, 2)
    rng = np.random.default_rng(3)
    found = calibrate(records, {COSINE: rng.random(4000).tolist(), VERIFIER: good}, TERMS)
    assert found.score == VERIFIER
    assert found.threshold is not None
    at = found.certificate
    assert at.state == "certified"
    newer = [(records[i].wrong, good[i]) for i in range(2000, 4000)]
    served = [wrong for wrong, score in newer if score >= found.threshold]
    assert (len(served), sum(served)) == (at.labels, at.wrong)
    oracle = stats.binomtest(at.wrong, at.labels).proportion_ci(0.8, "exact").high
    assert at.upper_bound == pytest.approx(oracle, abs=1e-6)
    assert at.upper_bound <= 0.05


def test_the_bound_holds_in_truth() -> None:
    """True wrong rate at the threshold, over draws: violated no more often than alpha allows."""
    truth = np.random.default_rng(0).beta(4, 1, 200_000)
    missed = 0
    for seed in range(40):
        records, scores = drawn(1200, 100 + seed, times=False)
        threshold = calibrate(records, {VERIFIER: scores}, TERMS).threshold
        if threshold is not None:
            missed += float((1 - truth[truth >= threshold]).mean()) > 0.05
    assert missed <= stats.binom.ppf(0.999, 40, 0.1)


def test_too_few_labels_say_how_many_are_missing() -> None:
    records = [Record(False, "a", "b", at=float(at)) for at in range(40)]
    found = calibrate(records, {COSINE: [0.9] * 40}, Terms(0.01, 0.95, "hit"))
    assert found.threshold is None
    assert configuration(found) is None
    needed = next(n for n in range(1, 999) if 0.99**n <= 0.05)
    assert found.certificate.needed == needed - 20


def test_the_curve_is_exact_binomial_and_leaves_out_what_was_refused() -> None:
    records, scores = drawn(400, 5)
    scores = [0.0 if at % 3 == 0 else score for at, score in enumerate(scores)]
    rows = curve(sample_of(range(400), records, scores), TERMS)
    assert 2 <= len(rows) <= 16
    assert rows[-1].hits <= 400 - 134
    for row in rows:
        served = [records[at].wrong for at in range(400) if scores[at] >= row.threshold]
        assert (row.hits, row.wrong) == (len(served), sum(served))
        assert row.wrong_rate == pytest.approx(sum(served) / len(served))
        high = stats.binomtest(row.wrong, row.hits).proportion_ci(0.8, "exact").high
        assert row.upper_bound == pytest.approx(high, abs=1e-6)


def test_a_cosine_is_told_on_gptcaches_scale() -> None:
    records = [Record(at % 500 == 7, "a", "b", at=float(at)) for at in range(2000)]
    scores = [0.5 if at % 500 == 7 else 0.9 for at in range(2000)]
    found = calibrate(records, {COSINE: scores}, TERMS)
    lines = configuration(found)
    assert lines is not None
    assert found.threshold is not None
    similarity = lines["config"]["similarity_threshold"]
    assert 2 * similarity - 1 >= found.threshold - 1e-9
    assert 2 * similarity - 1 == pytest.approx(found.threshold, abs=4e-6)
    assert lines["trust"] == {"verifier": False}
