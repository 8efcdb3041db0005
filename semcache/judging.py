"""Judging a near-duplicate: what is asked, what a verifier says, and who keeps watch over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from semcache.completion import Completion
from semcache.entry import Candidate, Entry, Vector
from semcache.sketch import Sketch

LabelSource: TypeAlias = Literal["shadow", "audit", "feedback"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a candidate's answer may be served, and the name of what refused it.

    `slice`: the kind of lookup that has a threshold of its own, where there are several.
    """

    serve: bool
    score: float
    reason: str
    features: Mapping[str, float] = field(default_factory=dict)
    slice: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """The question in hand, with what the encoder says of it."""

    question: str
    vector: Vector
    sketch: Sketch | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What a verifier thought best for one lookup, kept until somebody knows whether it is right.

    `question` is the stored one that matched, `score` the probability of a right answer, 0..1.
    """

    entry: Entry
    question: str
    score: float
    slice: str
    features: Mapping[str, float]
    served: bool
    reason: str

    @classmethod
    def of(cls, candidate: Candidate, verdict: Verdict) -> Judged:
        """What is kept of a candidate and the verdict on it."""
        return cls(
            entry=candidate.entry,
            question=candidate.question,
            score=verdict.score,
            slice=verdict.slice,
            features=verdict.features,
            served=verdict.serve,
            reason=verdict.reason,
        )


def by_answer(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The first candidate of each answer: equal texts are one answer.

    What is more, or other, than one text (tool calls, several choices) stands for itself.
    """
    found: dict[object, Candidate] = {}
    for candidate in candidates:
        found.setdefault(answer_of(candidate), candidate)
    return list(found.values())


def answer_of(candidate: Candidate) -> object:
    """What is equal for two candidates with the same answer, and for no others."""
    completion = candidate.entry.completion
    return str(completion.text) if is_one_text(completion) else candidate.entry.id


def is_one_text(completion: Completion) -> bool:
    """Whether an answer is one text and nothing else: no tool call, no second choice."""
    if len(completion.choices) != 1 or not completion.text:
        return False
    message = completion.choices[0].get("message") or {}
    return not message.get("tool_calls") and not message.get("function_call")


class Verifier(Protocol):
    """Judges whether candidates' answers are right for a question."""

    def judge(
        self, asked: Asked, candidates: Sequence[Candidate], around: Sequence[Candidate] = ()
    ) -> Sequence[Verdict]:
        """One verdict for each candidate, in order. Pure and quick: it runs on every lookup.

        Candidates come nearest first, and no two have the same answer. `around` are all
        neighbours that were found, nearest first, whatever guards say of them. A verdict's
        `score` is the probability that the cached answer is right, 0..1.
        """
        ...


class Supervisor(Protocol):
    """Watches what is served of near-duplicates: chooses what to check, takes what was found.

    Safe to call from several threads, and never raises. `audit` and `header` are quick; `record`
    and `grown` may take a while, and are for the writers' threads.
    """

    def audit(self, judged: Judged) -> float | None:
        """The label's weight where this lookup is to be checked against a fresh answer, or None.

        1 / the probability with which it was chosen.
        """
        ...

    def same(self, question: str, answer: str, fresh: str, similarity: float) -> bool | None:
        """Whether two answers to a question say the same; None where that cannot be told, which is
        no label.

        `similarity` is the cosine of their embeddings.
        """
        ...

    def record(self, judged: Judged, weight: float, wrong: bool, source: LabelSource) -> None:
        """Take a label: whether the judged answer was wrong. Durable when this returns."""
        ...

    def passed(self, question: str) -> None:
        """Told of a lookup that found nothing to judge: a request without a wrong answer."""
        ...

    def grown(self, entries: int) -> None:
        """Told now and then how many entries the store has."""
        ...

    def status(self) -> Mapping[str, Any]:
        """For JSON: state ("certified", "packaged", "fallback", "exact-only", "off"), threshold,
        labels, delta, alpha, per.
        """
        ...

    def header(self) -> str:
        """The status in one line of printable ASCII, for `x-semcache-certificate`."""
        ...

    def close(self) -> None: ...
