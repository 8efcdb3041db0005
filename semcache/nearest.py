"""The semantic layer after the encoder: what is near a question, and whether it may answer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from semcache import freshness, policy
from semcache.confirming import Outdated
from semcache.directives import Directives
from semcache.interfaces import Asked, Candidate, Embedder, Hit, Miss, Store, Vector, Verifier
from semcache.journal import Journal
from semcache.policy import PolicySettings
from semcache.reply import Plan
from semcache.tally import Tally
from semcache.volatile import Timeliness


class Searching(Protocol):
    """What a search needs; `layers.Layers` has it."""

    @property
    def store(self) -> Store: ...
    @property
    def embedder(self) -> Embedder | None: ...
    @property
    def verifier(self) -> Verifier | None: ...
    @property
    def settings(self) -> PolicySettings: ...
    @property
    def tally(self) -> Tally: ...
    @property
    def clock(self) -> Callable[[], float]: ...
    @property
    def choose(self) -> policy.Choose: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def outdated(self) -> Outdated: ...


def nearest(plan: Plan, asked: Asked, at: Searching) -> Hit | Miss:
    """The nearest alone is read first: the others matter only where it is refused.

    A verifier sees them all: how near another answer is says much about the nearest one.
    """
    wishes = wishes_of(plan, asked, at)
    if wishes is None:
        return Miss("volatile")
    most = at.settings.candidates
    if at.verifier is None and at.choose is policy.first and most > 1:
        decision = judged(plan, asked, neighbours(plan, asked, 1, at), wishes, at)
        near = decision.nearest if isinstance(decision, Miss) else None
        if near is None or near < at.settings.threshold:
            return decision
    around = neighbours(plan, asked, max(most, at.settings.around), at)
    return judged(plan, asked, around, wishes, at)


def wishes_of(plan: Plan, asked: Asked, at: Searching) -> Directives | None:
    """What a near-duplicate has to satisfy; None where none may be served."""
    found = timeliness(plan, asked.vector, at)
    if freshness.refuses(found, at.settings):
        return None
    return freshness.wishes(plan.directives, found, at.settings)


def judged(
    plan: Plan, asked: Asked, around: Sequence[Candidate], wishes: Directives, at: Searching
) -> Hit | Miss:
    """What policy says of the candidates, nearest first."""
    now = at.clock()
    with at.tally.timing("judge", plan.trace):
        return policy.judge_semantic(
            asked, around, now, wishes, at.settings, at.verifier, at.choose
        )


def neighbours(plan: Plan, asked: Asked, k: int, at: Searching) -> list[Candidate]:
    """The k nearest of the plan's scope; what was called wrong for this question is marked."""
    with at.tally.timing("search", plan.trace):
        found = at.store.search(plan.key.scope, asked.vector, k)
    return marked(asked, at.outdated.without(found, plan), at)


def marked(asked: Asked, found: list[Candidate], at: Searching) -> list[Candidate]:
    """The candidates; what was called wrong for this question says so."""
    wrong = at.journal.refuted(asked.question)
    if not wrong:
        return found
    return [
        replace(one, entry=replace(one.entry, state="refuted")) if one.entry.key in wrong else one
        for one in found
    ]


def timeliness(plan: Plan, vector: Vector | None, at: Searching) -> Timeliness:
    """Of a plan's question, by the rules and by its vector."""
    encoder = None if at.embedder is None else at.embedder.fingerprint
    return freshness.by_vector(plan.timeliness, plan.key.question, vector, encoder, at.settings)
