"""Certificates: small cases by hand, properties by hypothesis, conditions that must be refused."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from semcache.errors import ConfigError
from semcache.verify.certify import Label, Terms, certify
from semcache.verify.sample import GRID, Sample

SCORES = st.sampled_from([0.2, 0.5, 0.8, 0.9, 0.95, 0.99])
LABELS = st.lists(
    st.builds(Label, score=SCORES, wrong=st.sampled_from([True, *[False] * 15])), max_size=400
)


def looseness(threshold: float | None) -> float:
    return 2.0 if threshold is None else threshold


def clean(count: int, score: float = 0.95, **more: object) -> list[Label]:
    return [replace(Label(score, False), **more) for _ in range(count)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("delta", "confidence", "needed"), [(0.01, 0.9, 230), (0.005, 0.95, 598), (0.05, 0.9, 45)]
)
def test_nothing_is_served_before_the_evidence_is_there(
    delta: float, confidence: float, needed: int
) -> None:
    terms = Terms(delta, confidence)
    nothing = certify([], terms, 7.0)
    assert (nothing.state, nothing.threshold, nothing.needed) == ("exact-only", None, needed)
    nearly = certify(clean(needed - 1), terms, 7.0)
    assert (nearly.state, nearly.needed) == ("exact-only", 1)
    there = certify(clean(needed), terms, 7.0)
    assert (there.state, there.labels, there.wrong, there.issued_at) == (
        "certified",
        needed,
        0,
        7.0,
    )
    assert there.threshold is not None
    assert there.threshold <= 0.95
    assert there.upper_bound <= delta


def test_the_threshold_lies_between_right_and_wrong() -> None:
    labels = clean(300, 0.97) + [Label(0.6, True)] * 100
    threshold = certify(labels, Terms(0.02), 0.0).threshold
    assert threshold is not None
    assert 0.6 < threshold <= 0.97


def test_per_hit_is_the_fixed_sequence_of_scipys_tails() -> None:
    draw = random.Random(3)
    labels = [Label(s, draw.random() < 0.3 * (1 - s)) for s in (draw.random() for _ in range(400))]
    delta, alpha, last = 0.1, 0.1, None
    for cut in GRID:  # 400 labels leave room for two starts, at half of alpha each
        accepted = [label.wrong for label in labels if label.score >= cut]
        if len(accepted) < 22 or 0.9 ** len(accepted) > alpha / 2:
            continue
        if stats.binom.cdf(sum(accepted), len(accepted), delta) > alpha / 2:
            break
        last = float(cut)
    issued = certify(labels, Terms(delta), 0.0)
    assert last is not None
    assert issued.threshold is not None
    # The later start may only loosen it.
    assert sum(at.score >= last for at in labels) <= issued.labels
    accepted = [label.wrong for label in labels if label.score >= issued.threshold]
    assert stats.binom.cdf(sum(accepted), len(accepted), delta) <= alpha / 2
    assert (issued.labels, issued.wrong) == (len(accepted), sum(accepted))


def test_per_request_counts_requests_that_are_not_served() -> None:
    labels = clean(20, 0.95) + [Label(0.95, True)] * 2 + [Label(0.1, False)] * 600
    assert certify(labels, Terms(0.02, per="hit"), 0.0).threshold != pytest.approx(0.95, abs=0.01)
    issued = certify(labels, Terms(0.02, per="request"), 0.0)
    assert issued.threshold is not None
    assert issued.labels == 622
    assert issued.upper_bound == pytest.approx(stats.beta.ppf(0.9, 3, 620), abs=1e-6)


def test_without_a_confidence_the_mean_is_bounded_by_conformal_risk_control() -> None:
    labels = clean(90, 0.9) + [Label(0.5, True)] * 9
    # n/(n+1) R + 1/(n+1) = (0 + 1) / 100 above the wrong ones, (9 + 1) / 100 with them.
    strict = certify(labels, Terms(0.05, None, "request"), 0.0)
    assert strict.threshold is not None
    assert 0.5 < strict.threshold <= 0.9
    assert strict.upper_bound == pytest.approx(0.01)
    loose = certify(labels, Terms(0.1, None, "request"), 0.0)
    assert loose.threshold == 0.5
    assert certify(labels[:98], Terms(0.01, None, "request"), 0.0).state == "exact-only"
    assert certify(clean(99), Terms(0.01, None, "request"), 0.0).state == "certified"


@settings(deadline=None)
@given(LABELS, st.randoms(use_true_random=False))
def test_the_order_of_labels_does_not_matter(labels: list[Label], shuffler: random.Random) -> None:
    shuffled = labels.copy()
    shuffler.shuffle(shuffled)
    for per in ("hit", "request"):
        terms = Terms(0.1, per=per)
        assert certify(shuffled, terms, 0.0) == certify(labels, terms, 0.0)


@settings(deadline=None)
@given(LABELS)
def test_a_laxer_request_bound_never_tightens(labels: list[Label]) -> None:
    cuts = [
        looseness(certify(labels, Terms(delta, None, "request"), 0.0).threshold)
        for delta in (0.02, 0.05, 0.1, 0.2)
    ]
    assert cuts == sorted(cuts, reverse=True)


@settings(deadline=None)
@given(LABELS, st.sampled_from([0.01, 0.1]))
def test_p_values_fall_with_delta(labels: list[Label], delta: float) -> None:
    sample = sampled(labels)
    for per in ("hit", "request"):
        lax = sample.p_values(2 * delta, per)
        assert (lax <= sample.p_values(delta, per) + 1e-12).all()


@settings(deadline=None)
@given(LABELS, SCORES, st.integers(1, 50))
def test_more_clean_labels_never_raise_a_p_value(
    labels: list[Label], score: float, more: int
) -> None:
    before, after = sampled(labels), sampled(labels + clean(more, score))
    for per in ("hit", "request"):
        assert (after.p_values(0.05, per) <= before.p_values(0.05, per) + 1e-12).all()


@settings(deadline=None)
@given(LABELS)
def test_one_more_wrong_label_never_loosens_within_one_sequence(labels: list[Label]) -> None:
    terms = Terms(0.1, per="request")
    if len(labels) in (43, 351):  # there another start joins, and alpha is shared anew
        return
    worse = [*labels, Label(0.99, True)]
    assert looseness(certify(worse, terms, 0.0).threshold) >= looseness(
        certify(labels, terms, 0.0).threshold
    )


def sampled(labels: list[Label]) -> Sample:
    return Sample.of(
        np.array([label.score for label in labels], dtype=float),
        np.array([label.wrong for label in labels], dtype=float),
        np.array([label.weight for label in labels], dtype=float),
    )


def test_equal_weights_change_nothing_and_unequal_ones_need_more() -> None:
    even = [replace(label, weight=10.0) for label in clean(400)]
    assert certify(even, Terms(0.01), 0.0) == certify(clean(400), Terms(0.01), 0.0)
    mixed = [replace(label, weight=10.0 + 10.0 * (at % 2)) for at, label in enumerate(even)]
    assert certify(mixed, Terms(0.01), 0.0).state == "exact-only"
    many = certify(mixed * 3, Terms(0.01), 0.0)
    assert many.state == "certified"
    assert many.upper_bound <= 0.01


def test_a_large_slice_has_its_own_threshold_and_small_ones_share() -> None:
    labels = (
        clean(400, 0.9, slice="en") + clean(250, 0.97, slice="fr") + clean(250, 0.97, slice="de")
    )
    labels += [Label(0.8, True, slice="zh")] * 320
    issued = certify(labels, Terms(0.02), 0.0)
    assert set(issued.slices) == {"en", "zh"}
    assert issued.of("zh") is None
    assert issued.of("en") == issued.slices["en"].threshold
    assert issued.of("fr") == issued.of("never seen") == issued.threshold
    assert issued.threshold is not None
    # All three groups hold together: each is certified at a third of alpha.
    assert issued.slices["en"].upper_bound == pytest.approx(1 - (0.1 / 3) ** (1 / 400), abs=1e-9)


def test_a_small_slice_is_not_certified_by_others_evidence() -> None:
    labels = clean(600, 0.9, slice="en") + clean(5, 0.9, slice="zh")
    issued = certify(labels, Terms(0.01), 0.0)
    assert issued.of("en") is not None
    assert issued.of("zh") is None


def test_newer_labels_tighten_what_older_ones_would_allow() -> None:
    older = [replace(label, at=float(at)) for at, label in enumerate(clean(3000, 0.9))]
    newer = [Label(0.9, at % 40 == 0, at=3000.0 + at) for at in range(1000)]
    flat = [replace(label, at=0.0) for label in older + newer]
    assert certify(flat, Terms(0.01), 0.0).state == "certified"
    assert certify(older + newer, Terms(0.01), 0.0).state == "exact-only"


def test_packaged_labels_help_until_there_are_own_ones_and_say_so() -> None:
    packaged = clean(300, source="packaged")
    first = certify(packaged, Terms(0.01), 0.0)
    assert (first.state, first.packaged) == ("packaged", 300)
    own = certify(packaged + clean(230), Terms(0.01), 0.0)
    assert (own.state, own.packaged, own.labels) == ("certified", 0, 230)
    against = [Label(0.95, True)] * 2 + clean(10)
    assert certify(clean(3000, source="packaged") + against, Terms(0.01), 0.0).state == "exact-only"


def test_nothing_is_served_below_the_lowest_label() -> None:
    assert certify(clean(500, 0.9), Terms(0.01), 0.0).threshold == 0.9
    assert certify([*clean(500, 0.9), Label(0.4, False)], Terms(0.01), 0.0).threshold == 0.4


def test_feedback_may_tighten_and_never_loosen() -> None:
    praise = [Label(0.95, False, source="feedback")] * 500
    assert certify(praise, Terms(0.01), 0.0).state == "exact-only"
    assert certify(clean(230), Terms(0.01), 0.0).state == "certified"
    blamed = [*clean(230), Label(0.95, True, source="feedback")]
    assert certify(blamed, Terms(0.01), 0.0).state == "exact-only"


def test_the_needed_labels_suffice() -> None:
    labels = [*clean(100), Label(0.95, True)]
    missing = certify(labels, Terms(0.01), 0.0).needed
    assert missing > 130
    assert certify(labels + clean(missing, 0.99), Terms(0.01), 0.0).state == "certified"


def test_a_certificate_says_what_it_is_in_one_line() -> None:
    assert certify([], Terms(0.01), 0.0).describe() == (
        "exact-only; needed=230; max-wrong=0.01; per=hit"
    )
    assert certify(clean(230), Terms(0.01), 0.0).describe() == (
        "certified; max-wrong=0.01; per=hit; alpha=0.1; labels=230; wrong=0; bound=0.0100"
    )


@pytest.mark.parametrize(
    "terms",
    [(0.0,), (1.0,), (float("nan"),), (0.01, 1.0), (0.01, 0.2), (0.01, None), (0.01, 0.9, "day")],
)
def test_terms_that_mean_nothing_are_refused(terms: tuple[object, ...]) -> None:
    with pytest.raises(ConfigError):
        Terms(*terms)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "label", [Label(1.5, False), Label(float("nan"), False), Label(0.9, False, 0.5)]
)
def test_labels_that_mean_nothing_are_refused(label: Label) -> None:
    with pytest.raises(ValueError, match=r"score|weight"):
        certify([label], Terms(0.01), 0.0)
