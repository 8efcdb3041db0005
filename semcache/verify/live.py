"""The certificate in force: takes labels, watches for drift, certifies anew, says the threshold.

A certificate is issued anew when labels have grown by a quarter, when it is a day old, and when the
store has doubled. An alarm ends it: the last stricter one takes its place, or exact hits only, and
labels from before the certificate that failed are not used again.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from semcache.errors import StoreError
from semcache.verify.audit import Plan
from semcache.verify.certify import Certificate, Label, Terms, certify
from semcache.verify.drift import Drift
from semcache.verify.ledger import NOT_DRAWN, Ledger, Record

_LOG = logging.getLogger("semcache.verify")
_REFUTED = "refuted"


@dataclass(frozen=True, slots=True)
class Renewal:
    """When to certify anew, and on how much: the newest `window` labels, none older than an age.

    `rise`: how much higher the wrong rate may be when an answer is served than when labels were
    drawn. Labels are always of the past, and a filling cache errs more; thresholds are certified
    for max_wrong_rate / rise. 1.0: the traffic does not change.
    """

    window: int = 5_000
    label_age_s: float = 30 * 86_400.0
    every_s: float = 86_400.0
    fewest: int = 50
    growth: float = 0.25
    rise: float = 1.5


class LiveCertificate:
    """Thread-safe. `threshold` costs microseconds; certifying runs in the thread that adds labels.

    `clock` returns Unix seconds, `random` a number in 0..1. `packaged` labels make the first day
    useful; they are never written to the ledger.
    """

    def __init__(
        self,
        terms: Terms,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        ledger: Ledger | None = None,
        plan: Plan | None = None,
        renewal: Renewal | None = None,
        packaged: Sequence[Label] = (),
    ) -> None:
        self._terms = terms
        self._sought = replace(
            terms, max_wrong_rate=terms.max_wrong_rate / (renewal or Renewal()).rise
        )
        self._clock = clock
        self._random = random
        self._ledger = ledger
        self._plan = plan or Plan()
        self._renewal = renewal or Renewal()
        self._packaged = tuple(replace(label, source="packaged") for label in packaged)
        self._labels: deque[Label] = deque(maxlen=self._renewal.window)
        self._lock = threading.Lock()
        self._fresh = 0
        self._entries = 0
        self._round = 0
        self._history: list[Certificate] = []
        self._known_since = 0.0
        self._certificate = self._issue((), clock())
        self._drift = self._new_drift()
        if ledger is not None:
            self._labels.extend(self._remembered(ledger))
            if self._known_since:
                self._packaged = ()
        self.recertify()

    @property
    def certificate(self) -> Certificate:
        """What is in force now."""
        return self._certificate

    @property
    def known_since(self) -> float:
        """Labels from before this time (Unix seconds) are not used: an alarm has refuted them."""
        return self._known_since

    @property
    def labels(self) -> int:
        """How many labels of this traffic there are to certify on."""
        return len(self._labels)

    def threshold(self, name: str = "") -> float | None:
        """The score from which a candidate of this slice may be served; None: exact hits only."""
        return self._certificate.of(name)

    def audit(self, score: float) -> float | None:
        """The weight of the label where this lookup is to be checked, else None."""
        return self._plan.weight(score, self._random())

    def add(self, record: Record) -> Certificate:
        """Take a label; returns the certificate in force after it. A failing ledger is logged."""
        if self._ledger is not None:
            try:
                self._ledger.add([record])
            except StoreError as error:
                _LOG.warning("a label was not written: %s", error)
        if record.remark == NOT_DRAWN:
            return self._certificate
        label = record.label
        with self._lock:
            self._labels.append(label)
            self._fresh += 1
            if self._alarmed(label):
                self._fall_back()
            # Bad news is not left waiting.
            due = self._due() or (label.wrong and label.served)
        return self.recertify() if due else self._certificate

    def grown(self, entries: int) -> Certificate:
        """Tell the store's size; certifies anew where it has doubled since the last time."""
        with self._lock:
            due = entries >= 2 * max(1, self._entries)
            if due:
                self._entries = entries
        return self.recertify() if due else self._certificate

    def rescored(
        self, labels: Sequence[Label], *, only_if_served: bool = False
    ) -> Certificate | None:
        """Certify anew where the score itself is another: on these labels, scored by the new one.

        What was certified of the old score, labels of the package included, is forgotten. None,
        and nothing is changed, where `only_if_served` and the new score would serve nothing.
        """
        issued = self._issue(labels, self._clock())
        if only_if_served and issued.state == "exact-only":
            return None
        with self._lock:
            self._labels = deque(labels, maxlen=self._renewal.window)
            self._packaged = ()
            self._history = []
            self._fresh = 0
            self._round += 1
            if issued.state != self._certificate.state:
                _LOG.info("certificate: %s", issued.describe())
            self._certificate = issued
            return issued

    def recertify(self) -> Certificate:
        """Certify on the labels that are recent now."""
        now = self._clock()
        with self._lock:
            self._round += 1
            mine = self._round
            self._fresh = 0
            oldest = now - self._renewal.label_age_s
            labels = [label for label in self._labels if label.at >= oldest]
        issued = self._issue([*self._packaged, *labels], now)
        with self._lock:
            # A newer round, or an alarm while this one counted, has the last word.
            if mine == self._round:
                self._put_in_force(issued)
            return self._certificate

    def _issue(self, labels: Sequence[Label], now: float) -> Certificate:
        issued = certify(labels, self._sought, now)
        return replace(issued, delta=self._terms.max_wrong_rate)

    def _remembered(self, ledger: Ledger) -> list[Label]:
        try:
            self._known_since = ledger.mark(_REFUTED)
            since = max(self._known_since, self._clock() - self._renewal.label_age_s)
            found = ledger.recent(self._renewal.window, since)
        except StoreError as error:
            _LOG.warning("the ledger cannot be read, no label is known: %s", error)
            return []
        return [record.label for record in found if record.remark != NOT_DRAWN]

    def _new_drift(self) -> Drift:
        alpha = min(0.1, self._terms.alpha)
        return Drift(self._terms.max_wrong_rate, alpha, self._plan.largest_weight)

    def _due(self) -> bool:
        enough = max(self._renewal.fewest, self._renewal.growth * len(self._labels))
        old = self._clock() - self._certificate.issued_at >= self._renewal.every_s
        return self._fresh >= enough or (old and self._fresh > 0)

    def _alarmed(self, label: Label) -> bool:
        """Whether this label makes the alarm sound: a checked hit, or a checked request."""
        if label.source not in ("audit", "shadow") or self._certificate.state == "exact-only":
            return False
        if self._terms.per == "hit" and not label.served:
            return False
        weight = min(label.weight, self._plan.largest_weight)
        return self._drift.add(label.wrong and label.served, weight)

    def _put_in_force(self, issued: Certificate) -> None:
        before = self._certificate
        if issued.state == "exact-only" and before.state == "fallback":
            return  # what the alarm left is watched by an alarm of its own
        if before.state == "exact-only":
            self._drift = self._new_drift()
        if issued.state != before.state:
            _LOG.info("certificate: %s", issued.describe())
        if before.state in ("certified", "packaged") and _stricter(before, issued):
            self._history = [*self._history[-15:], before]
        self._certificate = issued

    def _fall_back(self) -> None:
        failed = self._certificate
        stricter = [old for old in self._history if _stricter(old, failed)]
        if stricter:
            fallen = replace(stricter[-1], state="fallback", issued_at=self._clock())
            self._history = stricter[:-1]
        else:
            fallen = self._issue((), self._clock())
            self._history = []
        self._certificate = fallen
        self._packaged = ()
        self._drift = self._new_drift()
        self._known_since = failed.issued_at
        if self._ledger is not None:
            try:
                self._ledger.set_mark(_REFUTED, failed.issued_at)
            except StoreError as error:
                _LOG.warning("the alarm was not written, a restart would forget it: %s", error)
        kept = [label for label in self._labels if label.at >= failed.issued_at]
        self._labels = deque(kept, maxlen=self._renewal.window)
        self._fresh = 0
        self._round += 1
        _LOG.warning("more wrong answers than certified; from now on: %s", fallen.describe())


def _stricter(old: Certificate, failed: Certificate) -> bool:
    """Whether no slice is looser, and one is stricter."""
    names = {"", *old.slices, *failed.slices}
    pairs = [(_strictness(old.of(n)), _strictness(failed.of(n))) for n in names]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def _strictness(threshold: float | None) -> float:
    return 2.0 if threshold is None else threshold
