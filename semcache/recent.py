"""The last decisions, one by one, for who watches: in memory, and nowhere else."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

MOST = 512
MOST_CHARACTERS = 500


class Seen(NamedTuple):
    """A request that was decided.

    `at` is Unix seconds, `tenant` a digest, `outcome` one of `timeline.OUTCOMES`. `tier` is
    "exact" or "semantic" on a hit. `similarity` is a cosine: of what was served, or of the nearest
    entry; None where nothing was compared. `question` is empty unless questions may be shown.
    `entry_id` is 0 where no entry was served; `answerer` made the answer, or is asked for it.
    """

    at: float
    tenant: str
    outcome: str
    reason: str
    tier: str
    similarity: float | None
    lookup_ms: float
    entry_id: int
    answerer: str
    question: str


Members: TypeAlias = tuple[float, str, str, str, str, float | None, float, int, str, str]
"""A Seen that is not one yet: a plain tuple is made in a fifth of the time."""


class Recent:
    """A ring of what was seen. Appending is atomic and costs no lock."""

    def __init__(self, most: int = MOST, *, show_questions: bool = True) -> None:
        self._seen: deque[Members] = deque(maxlen=most)
        self.show_questions = show_questions

    def add(self, seen: Iterable[Members]) -> None:
        """Keep some; the oldest go."""
        self._seen.extend(seen)

    def shown(self, question: str | None) -> str:
        """What is kept of a question: its beginning, or nothing."""
        return question[:MOST_CHARACTERS] if question and self.show_questions else ""

    def latest(self, most: int = MOST) -> tuple[Seen, ...]:
        """The last ones, newest first."""
        return tuple(map(Seen._make, reversed(self._seen.copy())))[:most]
