"""Policies that learn nothing: exact text, and one cosine for everything."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.quality.stream import Near


@dataclass(frozen=True, slots=True)
class Exact:
    """Serves the very same text only."""

    def serve(self, near: Near) -> bool:
        """Whether the nearest is the same text."""
        return near.same_text

    def audit(self, near: Near) -> bool:
        """Never."""
        return False

    def learn(self, near: Near, served: bool, right: bool) -> bool:
        """Everything that missed is stored."""
        return not served


@dataclass(frozen=True, slots=True)
class Static:
    """Serves from a cosine on, as GPTCache does; everything that missed is stored."""

    cosine: float

    def serve(self, near: Near) -> bool:
        """Whether the nearest reaches the threshold."""
        return near.same_text or float(near.similarities[0]) >= self.cosine

    def audit(self, near: Near) -> bool:
        """Never."""
        return False

    def learn(self, near: Near, served: bool, right: bool) -> bool:
        """Everything that missed is stored."""
        return not served
