"""What a store says of itself: its sizes, and what a check of it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class StoreStats:
    """Sizes of a store.

    `bytes` counts completions, questions, vectors, sketches and the like, not the file.
    """

    entries: int
    vectors: int
    bytes: int
    expired: int
    hits: int
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found, a line for each problem, and how many of them it repaired."""

    entries: int
    vectors: int
    problems: tuple[str, ...]
    repaired: int

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong now."""
        return len(self.problems) == self.repaired
