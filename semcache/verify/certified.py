"""CertifiedJudge: a verifier whose word counts only as far as its threshold is certified.

It implements `interfaces.Verifier` and `interfaces.Supervisor`. A candidate is served where its
score is at or above the certified threshold of its slice; without a certificate nothing is. The
score is the verifier's at first. Once own labels are many enough it is an adaptive one: some of
them fit it, others and what follows certify it, and no label does both; it is fitted anew whenever
as many labels have come again.

Labels that certify are drawn alike from all lookups: every lookup while there is no certificate on
own labels, then a share, of hits and misses alike. All have one weight, so the
exact bound holds. The other misses are labelled too, for the engine answers them anyway; they fit.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import orjson

from semcache.entry import Candidate
from semcache.judging import Asked, Judged, LabelSource, Verdict, Verifier
from semcache.verify import adaptive
from semcache.verify.adaptive import Scorer
from semcache.verify.audit import FAILED, Judge, compare
from semcache.verify.certify import Certificate, Label, Terms, clean_labels
from semcache.verify.ledger import NOT_DRAWN, Ledger, Record
from semcache.verify.lessons import WINDOW, Lessons
from semcache.verify.live import LiveCertificate
from semcache.verify.verifier import UNREADABLE

_LOG = logging.getLogger("semcache.verify")

Refusal: TypeAlias = Callable[[tuple[str, ...], str, str], tuple[str, str] | None]
"""`guards.refusal`: of these guards the first that refuses two questions, as (name, reason)."""

UNCERTIFIED, BELOW, SERVED = "uncertified", "below_certified", "certified"
_SHARES: Mapping[str, float] = {"exact-only": 1.0, "packaged": 1.0}
_NOTHING = orjson.dumps({adaptive.VETOED: 1.0}).decode()
_FIRST_LESSON = 1.5  # times the labels that a certificate needs
_KEPT = (adaptive.COSINE, adaptive.PROBABILITY, adaptive.MARGIN, adaptive.SHARE, adaptive.VETOED)


class InForce(NamedTuple):
    """What decides now: a score and the certificate that was made for it. Replaced as one."""

    scorer: Scorer
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Guarding:
    """Guards that the judge asks itself. `learned`: own labels may overrule those that err."""

    names: tuple[str, ...] = ()
    refusal: Refusal | None = None
    learned: bool = False


class CertifiedJudge:
    """Thread-safe; `judge` takes no lock. `clock` returns Unix seconds."""

    def __init__(
        self,
        verifier: Verifier,
        terms: Terms,
        live: LiveCertificate,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        audit_share: float = 0.1,
        ledger: Ledger | None = None,
        guarding: Guarding | None = None,
        comparing: Judge | None = None,
    ) -> None:
        """`live` must write to the same ledger, from which earlier labels are read.

        `random` returns a number in 0..1; `audit_share` (0..1] is the share of lookups drawn.
        `comparing` says whether two answers say the same, see `audit.compare`.
        """
        self._verifier = verifier
        self._terms = terms
        self._live = live
        self._clock = clock
        self._random = random
        self._share = audit_share
        self._ledger = ledger
        self._guarding = guarding or Guarding()
        self._comparing = comparing
        self._lock = threading.Lock()
        taught = self._guarding.names if self._guarding.learned else ()
        self._lessons = Lessons(int(_FIRST_LESSON * clean_labels(terms, terms.alpha)), taught)
        self._in_force = InForce(Scorer(), live.certificate)
        if ledger is not None:
            for record in ledger.recent(WINDOW, live.known_since):
                self._lessons.add(record)
            self._learn()
        self._header = self._said()

    # --------------------------------------------------------------------------------- Verifier

    def judge(
        self, asked: Asked, candidates: Sequence[Candidate], around: Sequence[Candidate] = ()
    ) -> Sequence[Verdict]:
        """One verdict for each candidate, in order, by what is in force."""
        in_force, name = self._in_force, slice_of(asked.question)
        threshold = in_force.certificate.of(name)
        verdicts = self._verifier.judge(asked, candidates, around)
        return [
            self._verdict(asked, candidate, around, verdict, in_force.scorer, threshold, name)
            for candidate, verdict in zip(candidates, verdicts, strict=True)
        ]

    def _verdict(
        self,
        asked: Asked,
        candidate: Candidate,
        around: Sequence[Candidate],
        verdict: Verdict,
        scorer: Scorer,
        threshold: float | None,
        name: str,
    ) -> Verdict:
        features = dict(verdict.features)
        behind, share = adaptive.neighbourhood(candidate, around or (candidate,))
        features |= {
            adaptive.COSINE: candidate.similarity,
            adaptive.PROBABILITY: verdict.score,
            adaptive.MARGIN: behind,
            adaptive.SHARE: share,
        }
        guard = self._guard(asked.question, candidate.question, scorer)
        if guard is not None:
            features[adaptive.GUARD + guard] = 1.0
        if verdict.reason == UNREADABLE:
            features[adaptive.VETOED] = 1.0
        score = scorer.score(features)
        if scorer.refuses(features):
            reason = verdict.reason if guard is None else f"guard={guard}"
        elif threshold is None:
            reason = UNCERTIFIED
        else:
            reason = SERVED if score >= threshold else BELOW
        return Verdict(reason == SERVED, score, reason, features, name)

    def _guard(self, asked: str, answered: str, scorer: Scorer) -> str | None:
        """A guard that refuses; one that still has a veto before one that has none any more."""
        guarding = self._guarding
        if guarding.refusal is None:
            return None
        found = guarding.refusal(guarding.names, asked, answered)
        if found is not None and found[0] in scorer.relaxed:
            strict = tuple(name for name in guarding.names if name not in scorer.relaxed)
            found = guarding.refusal(strict, asked, answered) or found
        return None if found is None else found[0]

    # ------------------------------------------------------------------------------- Supervisor

    def audit(self, judged: Judged) -> float | None:
        """The label's weight where this lookup is drawn, else None."""
        return self._drawn()

    def _drawn(self) -> float | None:
        share = max(self._share, _SHARES.get(self._in_force.certificate.state, 0.0))
        return 1.0 / share if self._random() < share else None

    def same(self, question: str, answer: str, fresh: str, similarity: float) -> bool | None:
        """See `audit.compare`."""
        found = compare(question, answer, fresh, similarity, self._comparing)
        if found.reason == FAILED:
            _LOG.warning("the judge of answers gave no verdict; the label is lost")
        return found.same

    def record(self, judged: Judged, weight: float, wrong: bool, source: LabelSource) -> None:
        """Take a label, durably; certifies and learns anew where it is time to.

        A weight of 0 is that of a lookup that was not drawn: it does not certify.
        """
        try:
            record = self._labelled(judged, weight, wrong, source)
        except Exception:
            _LOG.exception("a label was lost")
        else:
            self._record(record)

    def _record(self, record: Record) -> None:
        try:
            with self._lock:
                self._put_in_force(self._in_force.scorer, self._live.add(record))
                self._lessons.add(record)
                self._learn()
        except Exception:
            _LOG.exception("a label was lost")

    def passed(self, question: str) -> None:
        """A trial of a bound per request that no threshold makes wrong; drawn as the others."""
        if self._terms.per == "hit" or self._drawn() is None:
            return
        nothing = Label(0.0, False, at=self._clock(), slice=slice_of(question), source="shadow")
        self._record(Record(nothing, features=_NOTHING))

    def grown(self, entries: int) -> None:
        """A store that has doubled needs a new certificate."""
        try:
            with self._lock:
                self._put_in_force(self._in_force.scorer, self._live.grown(entries))
        except Exception:
            _LOG.exception("the certificate could not be renewed")

    def status(self) -> Mapping[str, Any]:
        """What is in force, for JSON."""
        scorer, certificate = self._in_force
        return {
            "state": certificate.state,
            "threshold": certificate.threshold,
            "slices": {name: bound.threshold for name, bound in certificate.slices.items()},
            "labels": self._live.labels,
            "needed": certificate.needed,
            "wrong": certificate.wrong,
            "upper_bound": certificate.upper_bound,
            "delta": certificate.delta,
            "alpha": certificate.alpha,
            "per": certificate.per,
            "packaged": certificate.packaged if certificate.state == "packaged" else 0,
            "score": "verifier" if scorer.coefficients is None else "adaptive",
            "relaxed": sorted(scorer.relaxed),
        }

    def header(self) -> str:
        """The certificate in force, in one line."""
        return self._header

    def close(self) -> None:
        """Close the ledger."""
        if self._ledger is not None:
            self._ledger.close()

    # ----------------------------------------------------------------------------------- labels

    def _labelled(self, judged: Judged, weight: float, wrong: bool, source: LabelSource) -> Record:
        kept = {name: judged.features[name] for name in _KEPT if name in judged.features}
        guard = adaptive.guard_of(judged.features)
        if guard is not None:
            kept[adaptive.GUARD + guard] = 1.0
        kept.setdefault(adaptive.PROBABILITY, judged.score)
        label = Label(
            score=self._in_force.scorer.score(kept),
            wrong=wrong,
            at=self._clock(),
            slice=judged.slice,
            served=judged.served,
            source=source,
        )
        remark = None if weight else NOT_DRAWN
        return Record(label, judged.entry.id, orjson.dumps(kept).decode(), remark=remark)

    def _learn(self) -> None:
        """Take a new score, unless it would serve nothing where the old one serves."""
        learnt = self._lessons.learn(self._live.known_since)
        if learnt is None:
            return
        serves = self._in_force.certificate.state != "exact-only"
        issued = self._live.rescored(learnt.labels, only_if_served=serves)
        if issued is None:
            self._lessons.wait()
            return
        _LOG.info("a score was learnt from own labels")
        self._put_in_force(learnt.scorer, issued)

    def _put_in_force(self, scorer: Scorer, certificate: Certificate) -> None:
        self._in_force = InForce(scorer, certificate)
        self._header = self._said()

    def _said(self) -> str:
        return f"{self._in_force.certificate.describe()}; known={self._live.labels}"


def slice_of(question: str) -> str:
    """The kind of question that has a threshold of its own: with digits, in wide letters, other."""
    if any(letter >= "\u2e80" for letter in question):
        return "wide"
    return "digits" if any(letter.isdigit() for letter in question) else ""
