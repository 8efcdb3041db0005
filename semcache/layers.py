"""The blocking half of the cache: memory, store and encoder, asked in order.

Runs on the driver's threads (`recall` on any thread). A layer that fails is a miss: it is logged
and counted, and the request goes on without it.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from semcache import freshness, policy
from semcache.completion import Completion
from semcache.confirming import Outdated, is_current, nearest_standing, standing
from semcache.interfaces import (
    Asked,
    Candidate,
    Embedder,
    Encoded,
    Entry,
    Hit,
    Miss,
    Store,
    Vector,
    Verifier,
)
from semcache.journal import Journal
from semcache.memory import Memory, Remembered
from semcache.nearest import nearest, neighbours, timeliness
from semcache.new_entry import entry_of
from semcache.policy import Keep, Keeping, PolicySettings, Skip
from semcache.render import Rendered
from semcache.render_response import rendered
from semcache.reply import Decided, Plan
from semcache.retries import Retries
from semcache.sketch import Sketch
from semcache.tally import Tally
from semcache.variants import all_keys, free_place, one_of, variant_key

log = logging.getLogger("semcache")

BATCH = 16


@dataclass(frozen=True, slots=True)
class _Look:
    """One request between the exact and the semantic layer.

    `version` was the store's before, and `withdrawals` the memory's.
    """

    plan: Plan
    version: int
    withdrawals: int
    exact: Hit | Miss
    decided: Decided


@dataclass(slots=True, eq=False)
class Layers:
    """Exact (memory, then store) and semantic (encoder, then store)."""

    store: Store
    embedder: Embedder | None
    verifier: Verifier | None
    settings: PolicySettings
    memory: Memory
    tally: Tally
    clock: Callable[[], float]
    choose: policy.Choose = policy.first
    retries: Retries = field(default_factory=Retries)
    journal: Journal = field(default_factory=Journal)
    outdated: Outdated = field(default_factory=Outdated)
    chance: Callable[[], float] = random.random
    filling: threading.Lock = field(default_factory=threading.Lock)

    def recall(self, plan: Plan) -> Decided | None:
        """An exact hit in memory that no other process has made untrue, or None."""
        item = self._variant(plan) if plan.admission.variants else self.memory.get(plan.key.exact)
        if item is None:
            return None
        now = self.clock()
        try:
            if item.version != self.store.version() or not is_current(plan, item.entry):
                return None
            decision: Hit | Miss | None = policy.judge_exact(item.entry, now, plan.directives)
            if isinstance(decision, Miss):
                decision = self._meanwhile(plan, decision, now)
            if decision is None:
                return None
            self.store.touch({item.entry.id: 1}, now)
        except Exception:
            self.failed("memory")
            return None
        return Decided(decision, item.rendered)

    def _variant(self, plan: Plan) -> Remembered | None:
        chosen = one_of(plan, self.memory.entry, self.clock(), self.chance)
        return None if chosen is None else self.memory.get(chosen.key)

    def look_up(self, plans: Sequence[Plan]) -> list[Decided]:
        """Exact, then semantic, the questions encoded together. Never raises for a broken layer."""
        looks = [self._look_exact(plan) for plan in plans]
        alike = [look for look in looks if self._may_look_alike(look)]
        encoded = self._encode([look.plan for look in alike])
        for look, one in zip(alike, encoded, strict=True):
            self._look_alike(look, one)
        for look in looks:
            self._settle(look)
            self._conclude(look)
        return [look.decided for look in looks]

    def consider(self, plan: Plan) -> Decided:
        """What `look_up` would decide now; nothing is remembered, counted as a hit or marked."""
        look = self._look_exact(plan)
        if self._may_look_alike(look):
            self._look_alike(look, self._encode([plan])[0])
        self._settle(look)
        return look.decided

    def _look_exact(self, plan: Plan) -> _Look:
        withdrawals = self.memory.withdrawals
        try:
            version = self.store.version()
            with self.tally.timing("exact", plan.trace):
                found = one_of(plan, self.store.get, self.clock(), self.chance)
        except Exception:
            self.failed("store")
            return _Look(plan, 0, 0, Miss("store error"), Decided(Miss("store error")))
        now = self.clock()
        exact = policy.judge_exact(found, now, plan.directives)
        if isinstance(exact, Miss):
            exact = self._meanwhile(plan, exact, now) or exact
        if found is None and plan.admission.variants:
            exact = Miss("variants")
        exact = standing(plan, exact, self)
        return _Look(plan, version, withdrawals, exact, Decided(exact))

    def _meanwhile(self, plan: Plan, miss: Miss, now: float) -> Hit | None:
        """The stale answer that is served while another is made, where one can be."""
        if miss.stale is None or not plan.may_be_answered:
            return None
        return freshness.while_revalidating(miss, now, plan.request, plan.directives, self.settings)

    def _may_look_alike(self, look: _Look) -> bool:
        if isinstance(look.exact, Hit) or look.exact.reason == "store error":
            return False
        plan = look.plan
        exact_only = plan.directives.exact_only or plan.admission.variants > 0
        asked = plan.key.question is not None and not exact_only
        return asked and self.settings.semantic and self.embedder is not None

    def _look_alike(self, look: _Look, encoded: Encoded | None) -> None:
        decided, question = look.decided, look.plan.key.question or ""
        decided.encoded = encoded
        if encoded is None:
            decided.decision = Miss("semantic error")
            return
        unfit = policy.matchable(encoded, self.settings)
        if unfit is not None or encoded.vector is None:
            decided.decision = Miss(unfit or "no vector")
            return
        asked = Asked(question, encoded.vector, encoded.sketch)
        try:
            found = partial(nearest, look.plan, asked, self)
            decided.decision = nearest_standing(look.plan, found, self)
        except Exception:
            self.failed("semantic")
            decided.decision = Miss("semantic error")

    def _settle(self, look: _Look) -> None:
        """The last word of all layers; a semantic hit that was served just now asks anew."""
        plan, decision = look.plan, look.decided.decision
        if not isinstance(decision, Hit):
            if look.exact != Miss("unknown"):
                look.decided.decision = look.exact
        elif (
            decision.tier == "semantic"
            and plan.may_be_answered
            and self.retries.is_retry(plan.request, plan.key, self.clock())
        ):
            look.decided.decision = Miss("retry", decision.similarity, decision.score)

    def _conclude(self, look: _Look) -> None:
        plan, decision = look.plan, look.decided.decision
        if isinstance(decision, Hit):
            entry = decision.entry
            look.decided.rendered = self._remember(entry, look.version, look.withdrawals)
            self._touch(entry)
            if decision.tier == "semantic":
                self.retries.served(plan.request, plan.key, self.clock())

    def neighbours(self, plan: Plan, asked: Asked, k: int) -> list[Candidate]:
        """The k nearest of the plan's scope; what was called wrong for this question is marked."""
        return neighbours(plan, asked, k, self)

    def save(
        self,
        plan: Plan,
        completion: Completion,
        kept: Keep,
        encoded: Encoded | None = None,
        cost_s: float = 0.0,
        pace_ms: Sequence[int] = (),
    ) -> Keeping:
        """Store an answer, durable when this returns, unless it changes too soon.

        Says until when it is kept. Raises StoreError. Without a vector (the encoder failed, the
        question is too long) it is stored exact-only.
        """
        vector = sketch = None
        if plan.admission.variants:
            encoded = None
        elif encoded is None and plan.key.question is not None:
            encoded = self._encode([plan])[0]
        if encoded is not None and policy.matchable(encoded, self.settings) is None:
            vector, sketch = encoded.vector, encoded.sketch
        now = self.clock()
        keeping = freshness.keep(kept, timeliness(plan, vector, self), now, self.settings)
        if isinstance(keeping, Skip):
            return keeping
        made_by = self.embedder.fingerprint if self.embedder and vector is not None else None
        entry = entry_of(
            plan, completion, keeping, now, embedder=made_by, cost_s=cost_s, pace_ms=pace_ms
        )
        if not plan.admission.variants:
            self._put(plan, entry, vector, sketch)
            return keeping
        with self.filling:  # of two answers made at once each has a place
            variant = free_place(plan, self.outdated.leaving(self.store.get, plan), now)
            if variant is None:
                return Skip("variants")
            key = variant_key(entry.key, variant)
            self._put(plan, replace(entry, key=key, variant=variant))
        return replace(keeping, variant=variant)

    def _put(
        self, plan: Plan, entry: Entry, vector: Vector | None = None, sketch: Sketch | None = None
    ) -> None:
        version, withdrawals = self.store.version(), self.memory.withdrawals
        self.memory.forget(entry.key)
        with self.tally.timing("store", plan.trace):
            stored = self.store.put(entry, vector, sketch)
        self._remember(stored, version, withdrawals)

    def remove(self, keys: Sequence[str]) -> int:
        """Delete by exact key, from memory too; returns how many there were, variants included."""
        most = self.settings.variants
        keys = [one for key in keys for one in all_keys(key, most)]
        removed = self.store.remove(keys)
        for key in keys:
            self.memory.withdraw(key)
        return removed

    def quarantine(self, entry_id: int) -> Entry | None:
        """Never serve an entry again, from memory neither. Raises StoreError."""
        entry = self.store.quarantine(entry_id)
        if entry is not None:
            self.memory.withdraw(entry.key)
        return entry

    def failed(self, layer: str) -> None:
        """Count and log the exception in hand."""
        self.tally.add(f"failed: {layer}")
        log.exception("the %s layer failed; this request goes on without it", layer)

    def _encode(self, plans: Sequence[Plan]) -> Sequence[Encoded | None]:
        """None for what the encoder fails at; one bad question must not fail the others."""
        if self.embedder is None or not plans:
            return [None] * len(plans)
        try:
            with self.tally.timing("encode", *(plan.trace for plan in plans)):
                return self.embedder.encode([plan.key.question or "" for plan in plans])
        except Exception:
            if len(plans) > 1:
                return [self._encode([plan])[0] for plan in plans]
            self.failed("semantic")
            return [None]

    def _remember(self, entry: Entry, version: int, withdrawals: int) -> Rendered:
        made = rendered(entry.completion, self.settings.usage)
        size = made.size_bytes + 1024
        self.memory.put(Remembered(entry, made, version, size), withdrawals)
        return made

    def _touch(self, entry: Entry) -> None:
        try:
            self.store.touch({entry.id: 1}, self.clock())
        except Exception:
            self.failed("store")
