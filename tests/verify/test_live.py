"""The certificate in force: renewed, alarmed, restarted, shared by threads."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from semcache.verify.certify import Label, Terms
from semcache.verify.ledger import Ledger, Record
from semcache.verify.live import LiveCertificate, Renewal

TERMS = Terms(0.05)
STILL = Renewal(rise=1.0)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def live(clock: Clock, **more: object) -> LiveCertificate:
    more.setdefault("renewal", STILL)
    return LiveCertificate(TERMS, clock=clock, random=random.Random(1).random, **more)  # type: ignore[arg-type]


def feed(at: LiveCertificate, clock: Clock, labels: int, wrong: bool, score: float = 0.95) -> None:
    for _ in range(labels):
        clock.now += 1.0
        cut = at.threshold()
        served = cut is not None and score >= cut
        at.add(Record(Label(score, wrong, at=clock.now, served=served)))


def test_from_nothing_to_a_certificate_and_out_of_it() -> None:
    clock = Clock()
    at = live(clock)
    assert at.threshold() is None
    assert at.certificate.needed == 45
    feed(at, clock, 49, wrong=False)
    assert at.threshold() is None  # looked at in steps, not after every label
    feed(at, clock, 1, wrong=False)
    assert at.certificate.state == "certified"
    feed(at, clock, 60, wrong=True)
    cut = at.threshold()
    assert cut is None or cut > 0.95


def test_an_alarm_falls_back_to_the_last_stricter_certificate() -> None:
    clock = Clock()
    at = live(clock, renewal=Renewal(rise=1.0, fewest=200, growth=0.0))
    feed(at, clock, 200, wrong=False, score=0.99)
    strict = at.threshold()
    assert strict is not None
    feed(at, clock, 4_000, wrong=False, score=0.7)
    loose = at.threshold()
    assert loose is not None
    assert loose <= 0.7
    feed(at, clock, 40, wrong=True, score=0.7)
    assert at.threshold() == strict


def test_a_rise_is_allowed_for() -> None:
    clock = Clock()
    assert (
        live(clock, renewal=Renewal(rise=1.5)).certificate.needed == 68
    )  # ln .1 / ln(1 - .05/1.5)
    assert live(clock, renewal=Renewal(rise=1.5)).certificate.delta == 0.05


def test_old_labels_are_forgotten() -> None:
    clock = Clock()
    at = live(clock)
    feed(at, clock, 50, wrong=False)
    clock.now += 31 * 86_400
    assert at.recertify().state == "exact-only"


def test_a_certificate_that_is_a_day_old_is_issued_anew() -> None:
    clock = Clock()
    at = live(clock)
    feed(at, clock, 50, wrong=False)
    issued = at.certificate.issued_at
    clock.now += 86_400
    feed(at, clock, 1, wrong=False)
    assert at.certificate.issued_at > issued + 86_000


def test_a_store_that_doubled_is_certified_anew() -> None:
    clock = Clock()
    at = live(clock)
    at.grown(100)
    clock.now += 5
    assert at.grown(199).issued_at == 1_000.0
    assert at.grown(200).issued_at == 1_005.0


def test_labels_outlive_the_process(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "labels.sqlite"
    ledger = Ledger(path)
    feed(live(clock, ledger=ledger), clock, 60, wrong=False)
    ledger.close()
    again = Ledger(path)
    assert live(clock, ledger=again).certificate.state == "certified"
    again.close()


def test_a_broken_ledger_is_logged_and_no_outage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, ledger = Clock(), Ledger(tmp_path / "labels.sqlite")
    ledger.close()
    at = live(clock, ledger=ledger)
    feed(at, clock, 50, wrong=False)
    assert at.certificate.state == "certified"
    assert "a label was not written" in caplog.text


def test_packaged_labels_serve_until_they_are_contradicted() -> None:
    clock = Clock()
    packaged = [Label(0.95, False, at=clock.now)] * 200
    at = live(clock, packaged=packaged)
    assert at.certificate.state == "packaged"
    assert at.threshold() is not None
    feed(at, clock, 30, wrong=True)
    assert at.threshold() is None


def test_threads_may_add_and_read() -> None:
    clock = Clock()
    at = live(clock)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(100):
                at.add(Record(Label(0.95, False, at=1_000.0)))
                at.threshold("any")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert at.recertify().labels == 400


def test_audits_are_drawn_with_the_given_randomness() -> None:
    at = live(Clock())
    drawn = [at.audit(0.9) for _ in range(2_000)]
    assert {weight for weight in drawn if weight is not None} == {10.0}
    assert 140 < sum(weight is not None for weight in drawn) < 260
