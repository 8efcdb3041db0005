"""Which score, and from which threshold: one half of the labels chooses, the other certifies.

The older half (by time where every label has one, else by a fixed lot) says which score serves
most within the bound, and at which threshold the evidence is best. The newer half tests that one
and, as long as they pass, looser ones of a fixed grid: Learn-then-Test with a fixed sequence
(Angelopoulos et al., arXiv 2110.01052), begun where the older half says. No label does both.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from semcache.calibrate.records import Record
from semcache.calibrate.scoring import COSINE, Scores
from semcache.verify.bounds import Floats, labels_needed
from semcache.verify.certify import Certificate, Terms
from semcache.verify.sample import GRID, Sample

ROWS = 16


@dataclass(frozen=True, slots=True)
class Row:
    """One point of the curve, at one threshold.

    `hits` of `labels` would be served; `wrong_rate` is what of them (or of all, per request) is
    wrong, and `upper_bound` its bound, looked at by itself.
    """

    threshold: float
    hits: int
    wrong: int
    hit_rate: float
    wrong_rate: float
    upper_bound: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the labels show. `by_time`: the halves are the older and the newer one.

    `start` is the threshold that the choosing half chose.
    """

    score: str
    start: float
    chosen_on: int
    certified_on: int
    by_time: bool
    terms: Terms
    certificate: Certificate
    curve: tuple[Row, ...]
    tried: dict[str, float]

    @property
    def threshold(self) -> float | None:
        """The certified threshold, rounded to its strict side; None where none is."""
        at = self.certificate.threshold
        return None if at is None else min(1.0, math.ceil(at * 1e6) / 1e6)


def calibrate(records: Sequence[Record], scores: Scores, terms: Terms) -> Calibration:
    """Choose a score on one half of the labels and certify its threshold on the other."""
    older, newer, by_time = halves(records)
    tried = {name: _served(older, records, values, terms) for name, values in scores.items()}
    score = max(tried, key=lambda name: (tried[name], name))
    start = chosen(_sample(older, records, scores[score]), terms)
    sample = _sample(newer, records, scores[score])
    return Calibration(
        score=score,
        start=float(GRID[start]),
        chosen_on=len(older),
        certified_on=len(newer),
        by_time=by_time,
        terms=terms,
        certificate=certified(sample, start, terms),
        curve=curve(sample, terms),
        tried=tried,
    )


def chosen(sample: Sample, terms: Terms) -> int:
    """Into GRID: where these labels speak clearest for the bound. Looser ones come after it."""
    p_values = sample.p_values(terms.max_wrong_rate, terms.per)[:-1]
    p_values[sample.at[:-1] == 0] = 2.0  # nothing is served there
    return int(np.flatnonzero(p_values == p_values.min())[-1])


def certified(sample: Sample, start: int, terms: Terms) -> Certificate:
    """The loosest threshold that passes, from `start` on, before the first one that does not."""
    passed = None
    for at in range(start, len(GRID) - 1):  # the last would serve what was refused
        if _upper(sample, at, terms) > terms.max_wrong_rate:
            break
        passed = at
    labels, wrong = sample.counts(start if passed is None else passed, terms.per)
    missing = labels_needed(terms.max_wrong_rate, terms.alpha, wrong) - labels
    return Certificate(
        threshold=None if passed is None else max(float(GRID[passed]), sample.lowest(passed)),
        delta=terms.max_wrong_rate,
        alpha=terms.alpha,
        per=terms.per,
        labels=labels,
        wrong=wrong,
        upper_bound=1.0 if passed is None else _upper(sample, passed, terms),
        state="exact-only" if passed is None else "certified",
        needed=max(1, missing) if passed is None else 0,
    )


def _upper(sample: Sample, at: int, terms: Terms) -> float:
    return sample.upper(at, terms.per, terms.alpha) if sample.at[at] else 1.0


def halves(records: Sequence[Record]) -> tuple[list[int], list[int], bool]:
    """Places of the choosing and of the certifying half, and whether they are older and newer."""
    places = list(range(len(records)))
    by_time = all(record.at is not None for record in records)
    if by_time:
        places.sort(key=lambda at: _time(records, at))
    else:
        random.Random(0).shuffle(places)  # noqa: S311 - the same lot every time
    middle = len(places) // 2
    return places[:middle], places[middle:], by_time


def _time(records: Sequence[Record], at: int) -> float:
    return records[at].at or 0.0


def _sample(places: Sequence[int], records: Sequence[Record], values: Sequence[float]) -> Sample:
    def taken(of: list[float]) -> Floats:
        return np.array(of, dtype=np.float64)

    return Sample.of(
        taken([values[at] for at in places]),
        taken([float(records[at].wrong) for at in places]),
        taken([records[at].weight for at in places]),
    )


def _served(
    places: Sequence[int], records: Sequence[Record], values: Sequence[float], terms: Terms
) -> float:
    """The largest share of these labels that a score serves at the asked rate, as it looks."""
    sample = _sample(places, records, values)
    fine = [
        sample.counts(at, "hit")[0]
        for at in range(len(GRID) - 1)  # the last serves what was refused
        if sample.rate(at, terms.per) <= terms.max_wrong_rate
    ]
    return max(fine, default=0) / max(1, len(sample))


def curve(sample: Sample, terms: Terms) -> tuple[Row, ...]:
    """Points at which about equally many more labels are served, from strict to loose."""
    ends = [at for at in range(len(GRID) - 1) if sample.at[at]]
    most = int(sample.at[ends[-1]]) if ends else 0
    rows: list[Row] = []
    for step in range(1, ROWS + 1):
        at = next((at for at in ends if int(sample.at[at]) * ROWS >= step * most), None)
        if at is not None and (not rows or rows[-1].hits != int(sample.at[at])):
            rows.append(_row(sample, at, terms))
    return tuple(rows)


def _row(sample: Sample, at: int, terms: Terms) -> Row:
    hits, wrong = sample.counts(at, "hit")
    return Row(
        threshold=max(float(GRID[at]), sample.lowest(at)),
        hits=hits,
        wrong=wrong,
        hit_rate=hits / max(1, len(sample)),
        wrong_rate=sample.rate(at, terms.per),
        upper_bound=_upper(sample, at, terms),
    )


def configuration(found: Calibration) -> dict[str, Any] | None:
    """The lines of `cache_config.yaml` that put the threshold in force, as a mapping."""
    threshold = found.threshold
    if threshold is None:
        return None
    if found.score == COSINE:  # on GPTCache's scale
        similarity = math.ceil((1.0 + threshold) / 2.0 * 1e6) / 1e6
        return {"trust": {"verifier": False}, "config": {"similarity_threshold": similarity}}
    return {"trust": {"verifier": True, "threshold": threshold}}
