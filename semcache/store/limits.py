"""How much a store may hold, and in which order entries leave it. Eviction as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from semcache.errors import ConfigError

Eviction: TypeAlias = Literal["lru", "lfu", "fifo", "cost"]

ORDER: Mapping[str, str] = {
    "lru": "used_at, id",
    "lfu": "hits, used_at, id",
    "fifo": "id",
    "cost": "cost_s * (hits + 1) / bytes, used_at, id",
}
"""The ORDER BY of each policy over the entries table: the first row leaves first.

`fifo` goes by when an entry was put (a replacing put counts anew). `cost` is the frequency-size
value of GreedyDual-Size-Frequency without its ageing: seconds saved for each byte held.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a store; None is no bound. Bytes are of completions, questions and vectors."""

    max_entries: int | None = None
    max_bytes: int | None = None
    max_entries_per_tenant: int | None = None
    max_bytes_per_tenant: int | None = None
    eviction: Eviction = "lru"

    def __post_init__(self) -> None:
        for name in ("max_entries", "max_bytes", "max_entries_per_tenant", "max_bytes_per_tenant"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, or null for no limit.")
        if self.eviction not in ORDER:
            raise ConfigError(f"eviction must be one of {', '.join(ORDER)}.")

    @property
    def per_tenant(self) -> bool:
        """Whether a tenant has bounds of its own."""
        return self.max_entries_per_tenant is not None or self.max_bytes_per_tenant is not None


NO_LIMITS = Limits()
