"""Which entries an operator means: a value, and what it says of an entry.

The predicate is the meaning; a store may narrow the rows down before it asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from semcache.entry import Entry

Condition: TypeAlias = Literal["fresh", "stale", "quarantined"]


@dataclass(frozen=True, slots=True)
class Selection:
    """All that is not None must hold. `now` is what entries are fresh or stale at, Unix seconds.

    `key` is the beginning of an exact key. `question` is the whole text, `contains` a part of the
    question or of the answer, in any case. `namespace` is that of `x-semcache-namespace`.
    `created_before` is in Unix seconds.
    """

    now: float
    key: str | None = None
    tenant: str | None = None
    model: str | None = None
    answerer: str | None = None
    namespace: str | None = None
    condition: Condition | None = None
    question: str | None = None
    contains: str | None = None
    created_before: float | None = None

    def holds(self, entry: Entry) -> bool:
        """Whether an entry is meant."""
        scope = entry.scope
        equal = (
            (self.tenant, scope.tenant),
            (self.model, scope.model),
            (self.answerer, scope.source.answerer),
            (self.namespace, entry.detail.get("namespace")),
            (self.condition, condition_of(entry, self.now)),
            (self.question, entry.question),
        )
        if any(wanted is not None and wanted != found for wanted, found in equal):
            return False
        if self.key is not None and not entry.key.startswith(self.key):
            return False
        if self.created_before is not None and entry.created_at >= self.created_before:
            return False
        return self.contains is None or _contains(entry, self.contains)


def condition_of(entry: Entry, now: float) -> Condition:
    """Whether an entry may be served: what is kept from being served is that first."""
    if entry.state:
        return "quarantined"
    return "stale" if entry.expires_at is not None and entry.expires_at <= now else "fresh"


def _contains(entry: Entry, text: str) -> bool:
    wanted = text.casefold()
    return any(wanted in said.casefold() for said in (entry.question or "", entry.completion.text))


@dataclass(frozen=True, slots=True)
class Holding:
    """What a tenant has stored of a model's answers. `bytes` as in StoreStats."""

    tenant: str
    model: str
    entries: int
    bytes: int
