"""A new answer on its way into the store, whoever had it made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from semcache import freshness, policy
from semcache.completion import Chunk, Completion, collect
from semcache.confirming import grounds_now
from semcache.decisions import Decisions
from semcache.layers import Layers
from semcache.policy import Keep, Keeping, Skip
from semcache.reply import Decided, Plan
from semcache.sharing import Sharing
from semcache.variants import variant_key
from semcache.workers import Workers


@dataclass(frozen=True, slots=True)
class Storing:
    """Judges an answer, and stores it on the writers' threads."""

    layers: Layers
    writers: Workers
    decisions: Decisions
    sharing: Sharing

    async def keep(
        self,
        plan: Plan,
        decided: Decided,
        chunks: list[Chunk],
        cost_s: float,
        pace_ms: Sequence[int] = (),
    ) -> Keeping | None:
        """What became of it, also in `decided`; None where the request wants nothing stored.

        `pace_ms`: what a `pacing.Recorder` says of the chunks.
        """
        if not plan.admission.write:
            return None
        completion = collect(chunks)
        now, settings = self.layers.clock(), self.layers.settings
        kept = policy.keep(completion, now, settings, plan.directives, plan.request)
        if not isinstance(kept, Skip):
            save = partial(self._save, plan, completion, kept, decided, cost_s, pace_ms)
            try:
                kept = await self.writers.run(save)
            except Exception:
                self.layers.failed("store")
                kept = Skip("store error")
        decided.kept = kept
        if not isinstance(kept, Skip):
            id_ = str(completion.wire.get("id"))
            key = variant_key(plan.key.exact, kept.variant)
            self.decisions.stored(plan.request.tenant, id_, key)
        self.layers.tally.add(f"skipped: {kept.reason}" if isinstance(kept, Skip) else "stored")
        return kept

    async def put(self, plan: Plan, completion: Completion) -> Keeping:
        """Store an answer from elsewhere, durable when this returns. Raises StoreError.

        It is taken to hold for the passages that its question would be given now.
        """
        if plan.admission.reason in freshness.FORBIDDEN:
            return Skip(plan.admission.reason)
        now, settings = self.layers.clock(), self.layers.settings
        kept = policy.keep(completion, now, settings, request=plan.request)
        if isinstance(kept, Skip):
            return kept
        return await self.writers.run(partial(self._put, plan, completion, kept))

    def _put(self, plan: Plan, completion: Completion, kept: Keep) -> Keeping:
        return self.layers.save(plan, replace(completion, grounds=grounds_now(plan)), kept)

    def _save(
        self,
        plan: Plan,
        completion: Completion,
        kept: Keep,
        decided: Decided,
        cost_s: float,
        pace_ms: Sequence[int],
    ) -> Keeping:
        saved = self.layers.save(plan, completion, kept, decided.encoded, cost_s, pace_ms)
        if not isinstance(saved, Skip):
            self.sharing.made(plan, completion, saved, decided)
        return saved
