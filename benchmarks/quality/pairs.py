"""Pairs: of what share of paraphrases the answer is served where some share of traps is, by score.

A score is compared at its best threshold for each share of traps, as if that were known; the
`fixed` points are what the rule serves as it comes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.hit_rate.questions import Case
from benchmarks.quality.rates import Floats, auc, least_above, share_above
from benchmarks.quality.stream import Flags
from semcache.chat import text_request
from semcache.completion import text_completion_of
from semcache.gptcache.threshold import cosine_threshold
from semcache.guards import GUARDS, refusal
from semcache.interfaces import Asked, Candidate, Encoded, Entry, Verifier
from semcache.keys import request_key

LIMITS = (0.01, 0.05, 0.11)
GPTCACHE = (0.8, 0.9, 0.95)
REFUSED = 2.0
ASKED_OF = "benchmark"


@dataclass(frozen=True, slots=True)
class Judged:
    """One score for all pairs: (n,) scores, and what is served as it comes, by name."""

    scores: Floats
    fixed: Mapping[str, Flags]


def judge_all(
    cases: Sequence[Case], encoded: Mapping[str, Encoded], verifier: Verifier | None
) -> dict[str, Judged]:
    """Every score of the pairs. A text beyond the encoder's window is never served."""
    cosines = np.array([_cosine(case, encoded) for case in cases])
    at = {t: cosine_threshold(t) for t in GPTCACHE}
    refused = np.array(
        [refusal(tuple(GUARDS), case.asked, case.stored or "") is not None for case in _seen(cases)]
    )
    guarded = cosines - REFUSED * refused
    judged = {
        "cosine": Judged(cosines, {f"GPTCache {t}": cosines >= cos for t, cos in at.items()}),
        "guards + cosine": Judged(
            guarded, {f"guards, GPTCache {t}": guarded >= cos for t, cos in at.items()}
        ),
    }
    if verifier is not None:
        judged["ours"] = _verified(cases, encoded, cosines, verifier)
    return judged


def _seen(cases: Sequence[Case]) -> Any:
    return tqdm(cases, desc="judging", disable=None, unit="pair", leave=False)


def _cosine(case: Case, encoded: Mapping[str, Encoded]) -> float:
    asked, stored = encoded[case.asked].vector, encoded[case.stored or ""].vector
    return -1.0 if asked is None or stored is None else float(asked @ stored)


def _verified(
    cases: Sequence[Case], encoded: Mapping[str, Encoded], cosines: Floats, verifier: Verifier
) -> Judged:
    scores, served = np.zeros(len(cases)), np.zeros(len(cases), dtype=np.bool_)
    for at, case in enumerate(_seen(cases)):
        asked = encoded[case.asked]
        if asked.vector is None or encoded[case.stored or ""].vector is None:
            continue
        candidate = candidate_of(case.stored or "", encoded, float(cosines[at]))
        question = Asked(case.asked, asked.vector, asked.sketch)
        verdict = verifier.judge(question, [candidate])[0]
        scores[at], served[at] = verdict.score, verdict.serve
    return Judged(scores, {"ours": served})


def candidate_of(question: str, encoded: Mapping[str, Encoded], cosine: float) -> Candidate:
    """A stored question as a verifier sees it; its answer names it."""
    key = request_key(text_request(question, tenant=ASKED_OF, model=ASKED_OF))
    answer = text_completion_of(
        f"The answer to: {question}", id="chatcmpl-0", created=0, model=ASKED_OF
    )
    entry = Entry(key.exact, key.scope, question, answer, created_at=0.0)
    return Candidate(entry, cosine, encoded[question].sketch)


def table(cases: Sequence[Case], judged: Mapping[str, Judged]) -> dict[str, Any]:
    """Served shares of one data set, by score and by class of trap."""
    right = np.array([case.kind == "paraphrase" for case in cases])
    result: dict[str, Any] = {"paraphrases": int(right.sum()), "traps": int((~right).sum())}
    classes = _classes(cases, right)
    for name, one in judged.items():
        traps = one.scores[~right]
        row: dict[str, Any] = {"auc": _rounded(auc(one.scores[right], traps)), "hits_at_traps": {}}
        for limit in LIMITS:
            bound = least_above(traps, limit)
            row["hits_at_traps"][f"{limit:.0%}"] = _rounded(share_above(one.scores[right], bound))
        above = one.scores > least_above(traps, 0.05)
        row["traps_by_class_at_5%"] = by_class(above, classes)
        row["fixed"] = {
            point: {
                "hits": _rounded(share_above(served[right].astype(float), 0.5)),
                "traps": _rounded(share_above(served[~right].astype(float), 0.5)),
                "traps_by_class": by_class(served.astype(bool), classes),
            }
            for point, served in one.fixed.items()
        }
        result[name] = row
    return result


def _classes(cases: Sequence[Case], right: Floats) -> dict[str, list[int]]:
    classes: dict[str, list[int]] = {}
    for at, case in enumerate(cases):
        if not right[at]:
            classes.setdefault(case.category, []).append(at)
    return dict(sorted(classes.items()))


def by_class(served: Any, classes: Mapping[str, Sequence[int]]) -> dict[str, float | None]:
    """The share of each class of traps that is served."""
    return {name: _rounded(float(served[list(rows)].mean())) for name, rows in classes.items()}


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)
