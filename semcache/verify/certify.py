"""The loosest score threshold whose wrong rate is proven to be within the user's bound.

Wrong per hit: Learn-then-Test with a fixed sequence (Angelopoulos et al., arXiv 2110.01052) over a
fixed grid of scores, from strict to loose: the first threshold that fails ends it. Wrong per
request: the same with every labelled request as a trial, or, where no confidence is asked for,
conformal risk control (arXiv 2208.02814), which bounds the mean over draws of labels.

A threshold is tested only where clean labels could pass; that choice looks at scores alone. The
guarantee needs labels from the traffic that will be served, and lower scores less often right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from semcache.errors import ConfigError
from semcache.verify.bounds import labels_needed
from semcache.verify.sample import GRID, Sample

Per: TypeAlias = Literal["hit", "request"]
Source: TypeAlias = Literal["shadow", "audit", "feedback", "packaged"]
State: TypeAlias = Literal["certified", "packaged", "fallback", "exact-only"]

SLICE_LABELS = 300
_STARTS = (1, 4, 16)
_NEWEST = (2, 4)  # the newest half and quarter are looked at by themselves
_LIKELY = 0.3
_BORNE = 2  # wrong labels that a quarter must be large enough to bear: one alone is no rise
_MANY_WRONG = 64  # beyond, nobody counts what is missing


@dataclass(frozen=True, slots=True)
class Label:
    """One checked candidate: its score (0..1), and whether its answer was wrong.

    `weight` is 1 / the probability with which it was chosen for checking; `at` is Unix seconds.
    `feedback` comes from people who chose to speak: only what they found wrong counts, for that can
    only tighten a threshold.
    """

    score: float
    wrong: bool
    weight: float = 1.0
    at: float = 0.0
    slice: str = ""
    served: bool = False
    source: Source = "audit"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the user asks for: at most `max_wrong_rate`, with probability `confidence`.

    Without a confidence (only per request) the rate is bounded in the mean. Raises ConfigError.
    """

    max_wrong_rate: float
    confidence: float | None = 0.9
    per: Per = "hit"

    def __post_init__(self) -> None:
        if not 0.0 < self.max_wrong_rate < 1.0:
            raise ConfigError("max_wrong_rate must lie between 0 and 1; 0.01 is one in a hundred.")
        if self.confidence is None and self.per == "hit":
            raise ConfigError("A bound per hit needs a confidence; give one, 0.9 for example.")
        if self.confidence is not None and not 0.5 <= self.confidence < 1.0:
            raise ConfigError("confidence must be at least 0.5 and below 1; 0.9 is usual.")
        if self.per not in ("hit", "request"):
            raise ConfigError("per must be 'hit' or 'request'.")

    @property
    def alpha(self) -> float:
        """How often the bound may be missed; 1.0 where only the mean is bounded."""
        return 1.0 if self.confidence is None else round(1.0 - self.confidence, 12)


@dataclass(frozen=True, slots=True)
class Bound:
    """What was shown for one group of labels. No threshold: `needed` more clean labels first.

    `labels` and `wrong` are the trials at the threshold; `upper_bound` is the wrong rate that is
    not exceeded at the asked confidence, looked at by itself (with slices: at alpha over groups).
    """

    threshold: float | None
    labels: int
    wrong: int
    upper_bound: float
    needed: int = 0


@dataclass(frozen=True, slots=True)
class Certificate:
    """A threshold with its evidence. Serve a candidate from `of(slice)` on; None: exact hits only.

    All slices hold together with probability 1 - alpha. `packaged` counts labels that came with
    the package and not from this traffic.
    """

    threshold: float | None
    delta: float
    alpha: float
    per: Per
    labels: int
    wrong: int
    upper_bound: float
    slices: Mapping[str, Bound] = field(default_factory=dict)
    issued_at: float = 0.0
    state: State = "exact-only"
    needed: int = 0
    packaged: int = 0

    def of(self, name: str = "") -> float | None:
        """The threshold of a slice: its own where it has one, else that of the rest."""
        own = self.slices.get(name)
        return self.threshold if own is None else own.threshold

    def describe(self) -> str:
        """One line for a header or a log."""
        if self.state == "exact-only":
            return f"exact-only; needed={self.needed}; max-wrong={self.delta:g}; per={self.per}"
        return (
            f"{self.state}; max-wrong={self.delta:g}; per={self.per}; alpha={self.alpha:g}; "
            f"labels={self.labels}; wrong={self.wrong}; bound={self.upper_bound:.4f}"
        )


def certify(labels: Sequence[Label], terms: Terms, now: float) -> Certificate:
    """Certify the loosest threshold on labels of recent traffic, in any order but for time.

    The threshold must pass on all labels; the newest half, and the newest quarter where it is not
    too small, must make it likely (p = 0.3), so that a rise is seen. A slice of SLICE_LABELS labels
    has its own, the rest share one. Labels of the package count only where the others are too few.
    """
    used = _with_faults(labels)
    own = [label for label in used if label.source != "packaged"]
    alone = _certificate(own, terms, now, "certified")
    if alone.state == "certified" or len(own) == len(used):
        return alone
    helped = _certificate(used, terms, now, "packaged")
    return helped if helped.state == "packaged" and not _contradicted(own, helped) else alone


def _with_faults(labels: Sequence[Label]) -> list[Label]:
    """Drawn labels, and faults that people reported, each as heavy as the heaviest of them."""
    drawn = [label for label in labels if label.source != "feedback"]
    heaviest = max((label.weight for label in drawn), default=1.0)
    faults = [label for label in labels if label.source == "feedback" and label.wrong]
    return [*drawn, *(replace(label, weight=heaviest) for label in faults)]


def _contradicted(own: Sequence[Label], helped: Certificate) -> bool:
    """Whether this traffic's labels alone show twice the rate that was borrowed."""
    served = [
        label for label in own if (cut := helped.of(label.slice)) is not None and label.score >= cut
    ]
    wrong = sum(label.wrong for label in served)
    trials = len(served) if helped.per == "hit" else len(own)
    return wrong >= 2 and wrong > 2 * helped.delta * trials


def _certificate(labels: Sequence[Label], terms: Terms, now: float, state: State) -> Certificate:
    groups = _groups(labels, terms)
    alpha = terms.alpha / len(groups)
    bounds = {name: _bound(members, terms, alpha) for name, members in groups.items()}
    rest = bounds.pop("", Bound(None, 0, 0, 1.0, clean_labels(terms, alpha)))
    some = any(b.threshold is not None for b in (rest, *bounds.values()))
    return Certificate(
        threshold=rest.threshold,
        delta=terms.max_wrong_rate,
        alpha=terms.alpha,
        per=terms.per,
        labels=rest.labels + sum(b.labels for b in bounds.values()),
        wrong=rest.wrong + sum(b.wrong for b in bounds.values()),
        upper_bound=max(b.upper_bound for b in (rest, *bounds.values()) if b.threshold is not None)
        if some
        else 1.0,
        slices=bounds,
        issued_at=now,
        state=state if some else "exact-only",
        needed=0 if some else min(b.needed for b in (rest, *bounds.values())),
        packaged=sum(label.source == "packaged" for label in labels),
    )


def _groups(labels: Sequence[Label], terms: Terms) -> dict[str, list[Label]]:
    """Labels by slice; slices that are too small together under the empty name."""
    by_slice: dict[str, list[Label]] = {}
    for label in labels:
        by_slice.setdefault(label.slice, []).append(label)
    enough = max(SLICE_LABELS, clean_labels(terms, terms.alpha / max(1, len(by_slice))))
    groups: dict[str, list[Label]] = {}
    for name in sorted(by_slice):
        groups.setdefault(name if len(by_slice[name]) >= enough else "", []).extend(by_slice[name])
    return groups or {"": []}


def clean_labels(terms: Terms, alpha: float) -> int:
    """How many labels, none of them wrong, certify the terms."""
    if terms.confidence is None:
        return int(np.ceil(1.0 / terms.max_wrong_rate - 1.0 - 1e-9))
    return labels_needed(terms.max_wrong_rate, alpha)


def _bound(labels: Sequence[Label], terms: Terms, alpha: float) -> Bound:
    ordered = sorted(labels, key=lambda label: label.at)
    sample = _sample(ordered)
    at = _loosest(sample, terms, alpha)
    # Times that are all one say nothing of what is new.
    if at is not None and ordered[0].at < ordered[-1].at:
        least = labels_needed(terms.max_wrong_rate, _LIKELY, _BORNE)
        for share in _NEWEST:
            part = ordered[-(len(ordered) // share) :]
            if at is not None and (share == _NEWEST[0] or len(part) >= least):
                at = _borne_out(_sample(part), at, terms)
    fewest = clean_labels(terms, alpha) if terms.per == "hit" else 1
    if at is not None and sample.at[at] < fewest:
        at = None
    if at is None:
        missing = _missing(sample, terms, alpha)
        return Bound(None, len(sample), int(sample.wrong.sum()), 1.0, missing)
    trials, wrong = sample.counts(at, terms.per)
    upper = sample.mean(at) if terms.confidence is None else sample.upper(at, terms.per, alpha)
    # Nothing was seen below the lowest label that counted, so nothing is served there.
    threshold = max(float(GRID[at]), sample.lowest(at))
    return Bound(threshold, trials, wrong, upper)


def _borne_out(newer: Sample, at: int, terms: Terms) -> int | None:
    """The loosest threshold, not looser than `at`, that newer labels make more likely than not."""
    p_values = newer.p_values(terms.max_wrong_rate, terms.per)
    # Where even clean labels could not pass, one fault is enough to stay away.
    blind = newer.p_values(terms.max_wrong_rate, terms.per, clean=True) > _LIKELY
    clean = np.concatenate([[0.0], np.cumsum(newer.wrong)])[newer.at] == 0
    fine = ((p_values <= _LIKELY) | (blind & clean))[: at + 1]
    return int(np.flatnonzero(fine)[-1]) if fine.any() else None


def _sample(labels: Sequence[Label]) -> Sample:
    return Sample.of(
        np.array([label.score for label in labels], dtype=np.float64),
        np.array([label.wrong for label in labels], dtype=np.float64),
        np.array([label.weight for label in labels], dtype=np.float64),
    )


def _loosest(sample: Sample, terms: Terms, alpha: float) -> int | None:
    """Index into GRID of the loosest certified threshold."""
    delta = terms.max_wrong_rate
    if terms.confidence is None:
        means = [at for at in range(len(GRID)) if sample.mean(at) <= delta]
        return max(means, default=None)
    level, starts = _starts(sample, terms, alpha)
    p_values = sample.p_values(delta, terms.per)
    found = [_sequence(p_values, testable, level) for testable in starts]
    return max((at for at in found if at is not None), default=None)


def _starts(sample: Sample, terms: Terms, alpha: float) -> tuple[float, list[NDArray[np.bool_]]]:
    """Where each sequence tests, and at which level.

    One early fault must not end it all: with many labels, up to three sequences share alpha, the
    later ones beginning where more labels are accepted.
    """
    fewest = labels_needed(terms.max_wrong_rate, alpha)
    sizes = [s * fewest for s in _STARTS if s == 1 or len(sample) >= 2 * s * fewest]
    level = alpha / len(sizes)
    possible = sample.p_values(terms.max_wrong_rate, terms.per, clean=True) <= level
    return level, [possible & (sample.at >= size) for size in sizes]


def _sequence(p_values: np.ndarray, testable: np.ndarray, level: float) -> int | None:
    """The last of the thresholds that pass before the first one that fails."""
    last: int | None = None
    for at in np.flatnonzero(testable):
        if p_values[at] > level:
            break
        last = int(at)
    return last


def _missing(sample: Sample, terms: Terms, alpha: float) -> int:
    """The fewest further labels, all of them right, after which some threshold passes."""
    fewest = clean_labels(terms, alpha)
    if terms.confidence is None:
        return max(1, fewest - len(sample))
    level, starts = _starts(sample, terms, alpha)
    # Where the sequences begin, or, if none can begin yet, wherever the fewest are missing.
    tried = [int(np.flatnonzero(mask)[0]) for mask in starts if mask.any()]
    missing = []
    for at in tried or range(len(GRID)):
        trials, wrong = sample.counts(at, terms.per)
        if wrong <= _MANY_WRONG:
            missing.append(labels_needed(terms.max_wrong_rate, level, wrong) - trials)
    return max(1, min(missing, default=fewest))
