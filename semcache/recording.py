"""What was decided of each request: counted, and kept for who watches.

An exact hit is noted in a quarter of a microsecond and counted later, with its neighbours: when a
few are together, when something else is decided, or when somebody reads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import TypeAlias

from semcache.freshness import STALE_WHILE_REVALIDATE
from semcache.interfaces import Bypass, Decision, Entry, Hit, Miss, Supervisor
from semcache.observed import Observed
from semcache.prices import Prices, Saved, saved
from semcache.recent import Members, Recent
from semcache.reply import Decided, Plan
from semcache.tally import Tally
from semcache.timeline import Outcome, Timeline

_TOGETHER = 16  # exact hits that are counted at once: more would make one request wait
_Noted: TypeAlias = tuple[float, float, Plan, Hit, Saved]


class Recording:
    """Counts decisions. Thread-safe. `clock` says Unix seconds.

    `gauges` are asked when somebody reads. `others` is what other processes have counted.
    """

    def __init__(
        self, tally: Tally, supervisor: Supervisor | None, clock: Callable[[], float]
    ) -> None:
        self.tally = tally
        self.timeline = Timeline()
        self.recent = Recent()
        self.gauges: dict[str, Callable[[], float]] = {}
        self.others: Callable[[], Iterable[Observed]] = tuple
        self._supervisor = supervisor
        self._clock = clock
        self.started_at = clock()
        self._noted: deque[_Noted] = deque()
        tally.before_reading = self._catch_up

    def observed(self) -> Observed:
        """A copy of all that was counted, by every process that shares this port."""
        return self.own().with_others(self.others())

    def own(self) -> Observed:
        """A copy of all that was counted here."""
        self._catch_up()
        gauges = {name: ask() for name, ask in self.gauges.items()}
        return Observed.of(self.tally, self.timeline, self.recent, gauges)

    def decided(self, plan: Plan, decided: Decided, prices: Prices) -> None:
        """Count a decision, and what a hit has saved; tell it who follows the request."""
        decision = decided.decision
        took_s, now = perf_counter() - plan.started, self._clock()
        if self._supervisor is not None:
            self.tally.add(f"certificate: {self._supervisor.header().split(';')[0]}")
        match decision:
            case Hit() as hit:
                decided.saved = _saved(hit.entry, decided, plan.request.model, prices)
                self._noted.append((now, took_s, plan, hit, decided.saved))
                if len(self._noted) >= _TOGETHER:
                    self._catch_up()
            case Miss(reason=reason, nearest=nearest):
                self.tally.add(f"miss: {reason}")
                self.tally.took("lookup: miss", took_s)
                if nearest is not None:
                    self.tally.observe("miss", nearest)
                self._seen(now, took_s, plan, "miss", reason, nearest)
            case Bypass(reason=reason):
                self.tally.add(f"bypass: {reason}")
                self._seen(now, took_s, plan, "bypass", reason)
        if plan.trace is not None:
            plan.trace.note(**_told(plan, decision))

    def coalesced(self, plan: Plan) -> None:
        """Count a request that shares the answer to another."""
        self.tally.add("coalesced")
        took_s = perf_counter() - plan.started
        self._seen(self._clock(), took_s, plan, "coalesced", "in flight")
        if plan.trace is not None:
            plan.trace.note(outcome="coalesced", reason="in flight", **_whose(plan))

    def joined(self, plan: Plan, similarity: float) -> None:
        """A miss shares the answer to a near-duplicate in flight."""
        self.tally.add("joined")
        took_s, now = perf_counter() - plan.started, self._clock()
        self.timeline.move(now, "miss", "coalesced")
        members = self._members(now, took_s, plan, "coalesced", "similar in flight", similarity)
        self.recent.add([members])
        if plan.trace is not None:
            plan.trace.note(outcome="coalesced", reason="similar in flight")

    def stood_in(self, plan: Plan, entry: Entry) -> None:
        """A miss got a stale answer, as the answerer failed."""
        self.tally.add("stale-if-error")
        took_s, now = perf_counter() - plan.started, self._clock()
        self.timeline.move(now, "miss", "stale")
        members = self._members(now, took_s, plan, "stale", "stale-if-error", entry_id=entry.id)
        self.recent.add([members])
        if plan.trace is not None:
            plan.trace.note(outcome="stale", reason="stale-if-error")

    def _seen(
        self,
        now: float,
        took_s: float,
        plan: Plan,
        outcome: Outcome,
        reason: str,
        nearest: float | None = None,
    ) -> None:
        self._catch_up()
        self.timeline.add(now, outcome)
        self.recent.add([self._members(now, took_s, plan, outcome, reason, nearest)])

    def _catch_up(self) -> None:
        """Count the hits that were noted."""
        noted = self._noted
        exact: list[_Noted] = []
        stale: list[_Noted] = []
        alike: list[_Noted] = []
        while noted:
            try:
                one = noted.popleft()
            except IndexError:  # another thread was quicker
                break
            late = one[3].reason is STALE_WHILE_REVALIDATE
            (stale if late else exact if one[3].tier == "exact" else alike).append(one)
        if exact:
            self._hits(exact, "exact", "hit")
        if stale:
            self._hits(stale, "exact", "stale")
        if alike:
            self._hits(alike, "semantic", "semantic")
            for _, _, _, hit, _ in alike:
                self.tally.observe("hit", hit.similarity)

    def _hits(self, noted: list[_Noted], tier: str, outcome: Outcome) -> None:
        together = Saved(*map(sum, zip(*(made for *_, made in noted), strict=True)))
        self.tally.add_all(
            [
                (f"hit: {tier}", len(noted)),
                ("saved: prompt_tokens", together.prompt_tokens),
                ("saved: completion_tokens", together.completion_tokens),
            ]
        )
        self.tally.took_all(f"lookup: {tier}", [took_s for _, took_s, *_ in noted])
        self.tally.add_sum("saved: seconds", together.seconds)
        self.tally.add_sum("saved: usd", together.usd)
        self.timeline.add(noted[-1][0], outcome, together, len(noted))
        members, shown = [], self.recent.shown
        for now, took_s, plan, hit, _ in noted:  # in place: a call for each costs as much again
            key, id_ = plan.key, hit.entry.id
            scope, told = key.scope, (outcome, hit.reason, tier, hit.similarity, 1e3 * took_s, id_)
            members.append((now, scope.tenant, *told, scope.source.answerer, shown(key.question)))
        self.recent.add(members)

    def _members(
        self,
        now: float,
        took_s: float,
        plan: Plan,
        outcome: Outcome,
        reason: str,
        similarity: float | None = None,
        entry_id: int = 0,
    ) -> Members:
        scope, question = plan.key.scope, self.recent.shown(plan.key.question)
        told = (outcome, reason, "", similarity, 1e3 * took_s, entry_id)
        return now, scope.tenant, *told, scope.source.answerer, question


def _saved(entry: Entry, decided: Decided, model: str, prices: Prices) -> Saved:
    if decided.rendered is not None:
        return decided.rendered.saved(model, prices, entry.cost_s)
    return saved(entry.completion.wire, model, prices, entry.cost_s)


def _told(plan: Plan, decision: Decision) -> dict[str, str | float]:
    """A decision without the question's text."""
    line = _whose(plan)
    line["outcome"] = type(decision).__name__.lower()
    line["reason"] = decision.reason
    if isinstance(decision, Hit):
        line["similarity"] = round(decision.similarity, 4)
        line["entry_id"] = decision.entry.id
    elif isinstance(decision, Miss) and decision.nearest is not None:
        line["nearest"] = round(decision.nearest, 4)
    return line


def _whose(plan: Plan) -> dict[str, str | float]:
    return {"tenant": plan.request.tenant[:8], "key": plan.key.exact[:12]}
