"""A caller's own part of the cache first, then the namespace that it may read.

Reading is all that a caller who is not trusted can do there: what it asks, stores, confirms or
calls wrong has the keys and the scope of its own tenant.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from semcache.completion import Completion
from semcache.errors import StoreError
from semcache.interfaces import Hit
from semcache.layers import Layers
from semcache.policy import Keep
from semcache.promotion import Promotion
from semcache.reply import Decided, Plan

log = logging.getLogger("semcache")


def in_namespace(plan: Plan) -> Plan | None:
    """The same request, as one of the namespace; None where the caller reads none."""
    return None if plan.shared is None else replace(plan, key=plan.shared, shared=None)


def recall(layers: Layers, plan: Plan) -> Decided | None:
    """An exact hit in memory, the caller's own or the namespace's."""
    decided = layers.recall(plan)
    if decided is None and plan.shared is not None:
        decided = layers.recall(replace(plan, key=plan.shared, shared=None))
    return decided


@dataclass(frozen=True, slots=True)
class Sharing:
    """What both parts of the cache say. `promotion` moves answers from the one to the other."""

    layers: Layers
    promotion: Promotion | None = None

    def look_up(self, plans: Sequence[Plan]) -> list[Decided]:
        """As `Layers.look_up`; of the namespace only hits count."""
        found = self.layers.look_up(plans)
        again = [
            (at, there)
            for at, plan in enumerate(plans)
            if not isinstance(found[at].decision, Hit) and (there := in_namespace(plan))
        ]
        if again:
            shared = self.layers.look_up([plan for _, plan in again])
            for (at, _), decided in zip(again, shared, strict=True):
                if isinstance(decided.decision, Hit):
                    found[at] = decided
        return found

    def made(self, plan: Plan, answer: Completion, kept: Keep, decided: Decided) -> None:
        """An answer was made for this very caller, and stored: its vote. Never raises."""
        caller, there = plan.request.caller, in_namespace(plan)
        if self.promotion is None or caller is None or there is None:
            return
        if plan.timeliness.kind == "personal":
            return
        try:
            if self.promotion.agreed(there.key.exact, caller.tenant, answer):
                self.layers.save(there, answer, kept, decided.encoded)
                self.layers.tally.add("promoted")
        except StoreError as error:
            log.warning("%s The answer is not promoted.", error)

    def close(self) -> None:
        """Close the votes."""
        if self.promotion is not None:
            self.promotion.close()
