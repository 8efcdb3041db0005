"""Which lookups are checked against a fresh answer, and whether two answers say the same. Pure.

Neyman's allocation: the probability of a check goes with sqrt(q (1 - q)), q being the predicted
probability that the cached answer is wrong, so checks gather at the margin. It never falls below a
floor, for a label that could not have been drawn proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from semcache.errors import ConfigError
from semcache.lexical import differences, facts

Judge: TypeAlias = Callable[[str, str, str], bool]
"""Whether two answers to a question say the same: question, answer, answer."""

FAILED = "judge failed"
_STEPS = 4  # probabilities are floor * 2**k: few levels keep the bound's test sharp


@dataclass(frozen=True, slots=True)
class Plan:
    """Shares of lookups to check: never below `floor`, never above `cap`. Raises ConfigError.

    `scale` is the share at q = 1/2. Equal floor and cap, the default: every lookup alike, and the
    exact bound, which in `benchmarks.certificate` needs fewer labels than weighted ones.
    """

    floor: float = 0.1
    cap: float = 0.1
    scale: float = 0.2

    def __post_init__(self) -> None:
        if not 0.0 < self.floor <= self.cap <= 1.0:
            raise ConfigError("Audit shares need 0 < floor <= cap <= 1; 0.05 and 0.2 are usual.")
        if not self.scale > 0.0:
            raise ConfigError("The audit scale must be above 0; 0.2 is usual.")

    @property
    def largest_weight(self) -> float:
        """What a label of the rarest kind stands for."""
        return 1.0 / self.floor

    def probability(self, score: float) -> float:
        """The probability that a lookup with this score (0..1) is checked."""
        wrong = min(1.0, max(0.0, 1.0 - score))
        wanted = self.scale * 2.0 * math.sqrt(wrong * (1.0 - wrong))
        level = math.floor(math.log2(max(wanted, self.floor) / self.floor) + 1e-9)
        return min(self.cap, self.floor * 2.0 ** min(_STEPS, level))

    def weight(self, score: float, drawn: float) -> float | None:
        """The label's weight where `drawn`, uniform in 0..1, chooses this lookup; else None."""
        probability = self.probability(score)
        return 1.0 / probability if drawn < probability else None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether two answers say the same; None where that cannot be told, which is no label."""

    same: bool | None
    reason: str


# Contradictions in what two answers state; more words on one side are none.
_CONTRADICTIONS = (
    "number_conflict",
    "unit_conflict",
    "date_conflict",
    "version_conflict",
    "name_conflict",
    "kind_conflict",
    "negation_parity",
    "negation_scope",
    "opposites",
    "direction",
)
_SHORT_WORDS = 40
_SAME = 0.85
_OTHER = 0.6


def compare(
    question: str, answer_a: str, answer_b: str, similarity: float, judge: Judge | None = None
) -> Agreement:
    """Compare two answers to one question; `similarity` is the cosine of their embeddings.

    A judge, where one is given, is asked for all but equal texts; if it raises, nothing is known.
    Without one: contradicting numbers, names or negation in short answers, or a low similarity,
    mean another answer; a high similarity without contradiction means the same.
    """
    if answer_a.split() == answer_b.split():
        return Agreement(True, "equal")
    if judge is not None:
        try:
            return Agreement(bool(judge(question, answer_a, answer_b)), "judge")
        except Exception:  # a judge is the caller's code, and its failure is no verdict
            return Agreement(None, FAILED)
    if similarity < _OTHER:
        return Agreement(False, "similarity")
    a, b = facts(answer_a), facts(answer_b)
    apart = differences(a, b)
    against = next((name for name in _CONTRADICTIONS if apart[name]), None)
    if against is not None:
        # Two long texts differ in some detail even where both are right.
        short = max(len(a.words), len(b.words)) <= _SHORT_WORDS
        return Agreement(False if short else None, against)
    if similarity >= _SAME:
        return Agreement(True, "similarity")
    return Agreement(None, "unclear")
