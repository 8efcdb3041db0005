"""From what was found for each question to the table: pure.

right       a paraphrase got the answer of its own question
wrong       any question got another question's answer
miss        nothing was served
hit rate        (right + wrong on paraphrases) / paraphrases
false-hit rate  wrong on traps and unseen questions / traps and unseen questions
precision       right / (right + wrong)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from benchmarks.hit_rate.questions import Case
from semcache.interfaces import Asked, Candidate, Hit, Miss


@dataclass(frozen=True, slots=True)
class Found:
    """A case as it was asked, and what the store holds near it, nearest first."""

    case: Case
    asked: Asked
    candidates: Sequence[Candidate]


Judge = Callable[[Found], Hit | Miss]


@dataclass(frozen=True, slots=True)
class Row:
    """The outcome at one threshold, given on GPTCache's scale and as a cosine."""

    gptcache_threshold: float
    cosine: float
    right: int
    wrong_on_paraphrases: int
    wrong_on_traps: int
    wrong_on_unseen: int
    missed: int
    hit_rate: float
    false_hit_rate: float
    precision: float

    def as_json(self) -> dict[str, float]:
        """All fields, rounded for reading."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def is_right(case: Case, hit: Hit) -> bool:
    """Whether the served entry is the one stored for this paraphrase."""
    return case.kind == "paraphrase" and hit.entry.question == case.stored


def tally(found: Sequence[Found], judge: Judge, gptcache_threshold: float, cosine: float) -> Row:
    """Judge every case and count."""
    counts = {"right": 0, "paraphrase": 0, "trap": 0, "unseen": 0, "missed": 0}
    asked = {"paraphrase": 0, "trap": 0, "unseen": 0}
    for one in found:
        asked[one.case.kind] += 1
        decision = judge(one)
        if isinstance(decision, Miss):
            counts["missed"] += one.case.kind == "paraphrase"
        elif is_right(one.case, decision):
            counts["right"] += 1
        else:
            counts[one.case.kind] += 1
    others = asked["trap"] + asked["unseen"]
    served = counts["right"] + counts["paraphrase"]
    wrong = counts["paraphrase"] + counts["trap"] + counts["unseen"]
    return Row(
        gptcache_threshold=gptcache_threshold,
        cosine=cosine,
        right=counts["right"],
        wrong_on_paraphrases=counts["paraphrase"],
        wrong_on_traps=counts["trap"],
        wrong_on_unseen=counts["unseen"],
        missed=counts["missed"],
        hit_rate=_share(served, asked["paraphrase"]),
        false_hit_rate=_share(counts["trap"] + counts["unseen"], others),
        precision=_share(counts["right"], counts["right"] + wrong),
    )


def by_category(found: Sequence[Found], judge: Judge) -> dict[str, dict[str, int]]:
    """For each category of trap: how many there are, and how many were served wrongly."""
    table: dict[str, dict[str, int]] = {}
    for one in found:
        if one.case.kind != "trap":
            continue
        row = table.setdefault(one.case.category, {"asked": 0, "wrong": 0})
        row["asked"] += 1
        row["wrong"] += isinstance(judge(one), Hit)
    return dict(sorted(table.items()))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
