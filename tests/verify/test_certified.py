"""The certified judge by itself: what it serves, draws, learns, says and survives."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from semcache.errors import ConfigError
from semcache.guards import DEFAULT_GUARDS, refusal
from semcache.interfaces import Asked, Candidate, Judged, Verdict
from semcache.verify.certified import CertifiedJudge, Guarding, slice_of
from semcache.verify.certify import Per, Terms
from semcache.verify.ledger import NOT_DRAWN, Ledger
from semcache.verify.lessons import FITS, parted
from semcache.verify.opening import open_judge
from semcache.verify.packaged import packaged_labels, text_of
from semcache.verify.verifier import UNREADABLE
from tests.verify.neighbours import candidate

ASKED = Asked("How tall is it?", np.full(4, 0.5, dtype=np.float32))


class Says:
    """A verifier with one opinion."""

    def __init__(self, score: float = 0.9, reason: str = "likely_right") -> None:
        self.score, self.reason = score, reason

    def judge(
        self, asked: Asked, candidates: Sequence[Candidate], around: Sequence[Candidate] = ()
    ) -> list[Verdict]:
        return [Verdict(True, self.score, self.reason) for _ in candidates]


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def opened(
    folder: Path,
    verifier: Says | None = None,
    *,
    delta: float = 0.1,
    per: Per = "hit",
    share: float = 1.0,
    learned: bool = False,
    packaged: bool = False,
    clock: Clock | None = None,
) -> CertifiedJudge:
    return open_judge(
        verifier or Says(),
        Terms(delta, 0.9, per),
        folder / "labels.db",
        audit_share=share,
        packaged=packaged,
        guarding=Guarding(DEFAULT_GUARDS, refusal, learned),
        clock=clock or Clock(),
        random=random.Random(1).random,
    )


def look(judge: CertifiedJudge, *stored: Candidate) -> list[Judged]:
    found = stored or (candidate("How tall is that?", "330 m", 0.9),)
    verdicts = judge.judge(ASKED, found, found)
    return [Judged.of(one, verdict) for one, verdict in zip(found, verdicts, strict=True)]


def feed(judge: CertifiedJudge, labels: int, wrong: bool = False) -> None:
    for _ in range(labels):
        judge.record(look(judge)[0], 1.0, wrong, "audit")


def test_nothing_is_served_until_labels_are_enough(tmp_path: Path) -> None:
    judge = opened(tmp_path)
    [first] = look(judge)
    assert (first.served, first.reason) == (False, "uncertified")
    assert judge.header().startswith("exact-only; needed=28;")
    feed(judge, 60)
    [later] = look(judge)
    assert (later.served, later.reason, later.score) == (True, "certified", 0.9)
    assert judge.header().startswith("certified; max-wrong=0.1; per=hit; alpha=0.1; labels=")
    assert judge.status()["state"] == "certified"
    judge.close()


def test_below_the_threshold_is_refused(tmp_path: Path) -> None:
    verifier = Says()
    judge = opened(tmp_path, verifier)
    feed(judge, 60)
    verifier.score = 0.2
    [below] = look(judge)
    assert (below.served, below.reason) == (False, "below_certified")
    judge.close()


def test_wrong_answers_end_it_over_a_restart_too(tmp_path: Path) -> None:
    clock = Clock()
    judge = opened(tmp_path, clock=clock)
    feed(judge, 60)
    feed(judge, 60, wrong=True)
    assert judge.status()["state"] == "exact-only"
    judge.close()
    again = opened(tmp_path, clock=clock)
    assert again.status()["state"] == "exact-only"
    assert not look(again)[0].served
    again.close()


def test_what_cannot_be_read_is_never_served(tmp_path: Path) -> None:
    verifier = Says()
    judge = opened(tmp_path, verifier)
    feed(judge, 60)
    verifier.reason = UNREADABLE
    [unread] = look(judge)
    assert (unread.served, unread.score, unread.reason) == (False, 0.0, UNREADABLE)
    judge.close()


def test_a_guard_vetoes_and_its_name_is_said(tmp_path: Path) -> None:
    judge = opened(tmp_path)
    feed(judge, 60)
    asked = Asked("How many mg are in 5 pills?", ASKED.vector)
    stored = candidate("How many mg are in 7 pills?", "70", 0.95)
    [verdict] = judge.judge(asked, [stored], [stored])
    assert (verdict.serve, verdict.score, verdict.reason) == (False, 0.0, "guard=numbers")
    judge.close()


def test_all_lookups_are_drawn_until_own_labels_certify_then_a_share(tmp_path: Path) -> None:
    judge = opened(tmp_path, share=0.25)
    assert all(judge.audit(look(judge)[0]) == 1.0 for _ in range(50))
    feed(judge, 60)
    drawn = [judge.audit(look(judge)[0]) for _ in range(2_000)]
    assert {weight for weight in drawn if weight is not None} == {4.0}
    chosen = sum(weight is not None for weight in drawn)
    assert 400 < chosen < 600  # five standard deviations around 500
    judge.close()


def test_a_lookup_without_a_candidate_is_a_trial_of_a_bound_per_request_only(
    tmp_path: Path,
) -> None:
    for per, labels in (("request", 30), ("hit", 0)):
        judge = opened(tmp_path / per, per=per)  # type: ignore[arg-type]
        for _ in range(30):
            judge.passed("How tall are 3 of them?")
        assert judge.status()["labels"] == labels
        assert not look(judge)[0].served
        judge.close()


def test_what_was_not_drawn_does_not_certify(tmp_path: Path) -> None:
    judge = opened(tmp_path)
    for _ in range(200):
        judge.record(look(judge)[0], 0.0, False, "shadow")
    assert judge.status()["state"] == "exact-only"
    assert judge.status()["labels"] == 0
    judge.close()
    ledger = Ledger(tmp_path / "labels.db")
    assert {record.remark for record in ledger.recent(500)} == {NOT_DRAWN}
    ledger.close()


def test_no_label_both_teaches_and_certifies(tmp_path: Path) -> None:
    judge = opened(tmp_path)
    feed(judge, 40)
    judge.record(look(judge)[0], 0.0, True, "shadow")
    judge.close()
    ledger = Ledger(tmp_path / "labels.db")
    known = ledger.recent(100)
    ledger.close()
    teaching, certifying = parted(known)
    assert len(teaching) + len(certifying) == len(known) == 41
    assert not {id(one) for one in teaching} & {id(one) for one in certifying}
    assert len(certifying) == 40 - 40 // FITS
    assert all(one.remark != NOT_DRAWN for one in certifying)


def test_own_labels_teach_a_score_that_the_verifier_could_not_give(tmp_path: Path) -> None:
    """The verifier is blind here; the cosine tells right from wrong."""
    chance = random.Random(2)
    judge = opened(tmp_path, Says(0.0, "unlikely"))
    near, far = (candidate("How tall is that?", "330 m", cosine) for cosine in (0.95, 0.7))
    for _ in range(600):
        stored = chance.choice((near, far))
        [judged] = look(judge, stored)
        judge.record(judged, 1.0, stored is far, "shadow")
    assert judge.status()["score"] == "adaptive"
    assert look(judge, near)[0].served
    assert not look(judge, far)[0].served
    judge.close()


def test_a_failing_ledger_is_no_outage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    judge = opened(tmp_path)
    judge.close()
    judge.record(look(judge)[0], 1.0, False, "audit")
    assert judge.status()["labels"] == 1
    assert "not written" in caplog.text


def test_slices_are_kinds_of_questions() -> None:
    assert slice_of("How tall is it?") == ""
    assert slice_of("How tall are 3 of them?") == "digits"
    assert slice_of("埃菲尔铁塔有多高") == "wide"


def test_the_package_serves_something_at_usual_bounds(tmp_path: Path) -> None:
    for at, (delta, per) in enumerate([(0.05, "hit"), (0.02, "request")]):
        judge = opened(tmp_path / str(at), delta=delta, per=per, packaged=True)  # type: ignore[arg-type]
        status = judge.status()
        assert status["state"] == "packaged"
        assert status["packaged"] == len(packaged_labels())
        assert 0.5 < status["threshold"] < 1.0
        assert judge.header().startswith("packaged; ")
        judge.close()


def test_labels_of_the_package_are_for_its_weights_only(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(text_of([(0.5, True), (0.75, False)]), encoding="utf-8")
    labels = packaged_labels(path)
    assert {(label.score, label.wrong, label.source) for label in labels} == {
        (0.5, True, "packaged"),
        (0.75, False, "packaged"),
    }
    path.write_text(path.read_text().replace("5000", "5001"), encoding="utf-8")
    with pytest.raises(ConfigError, match="digest"):
        packaged_labels(path)


def test_who_compares_answers_may_be_named(tmp_path: Path) -> None:
    asked = []

    def comparing(question: str, answer: str, other: str) -> bool:
        asked.append((question, answer, other))
        if "broken" in other:
            raise TimeoutError
        return True

    judge = open_judge(
        Says(),
        Terms(0.1, 0.9, "hit"),
        tmp_path / "labels.db",
        audit_share=1.0,
        packaged=False,
        guarding=Guarding(DEFAULT_GUARDS, refusal),
        comparing=comparing,
    )
    assert judge.same("How long?", "14 days", "30 days", 0.2) is True
    assert judge.same("How long?", "14 days", "broken", 0.99) is None
    assert asked == [("How long?", "14 days", "30 days"), ("How long?", "14 days", "broken")]
    judge.close()
