"""Questions asked through the cache before anybody asks them, so that their answers are there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from semcache.cache import SemCache
from semcache.directives import NONE, ONLY_IF_CACHED
from semcache.errors import AnswerError, RequestError, SemcacheError
from semcache.interfaces import Hit
from semcache.policy import Keeping, Skip
from semcache.transfer.asked import Asked, Asker, asked_of

_TRIES = 4
_PATIENCE_S = 30.0
_IN_A_ROW = 10
_TRY_AGAIN = frozenset({429, 503})


@dataclass(slots=True)
class Warmed:
    """What became of the questions. `asked` counts those that an engine was asked."""

    read: int = 0
    exact: int = 0
    semantic: int = 0
    asked: int = 0
    stored: int = 0
    not_stored: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def complete(self) -> bool:
        """Whether there is an answer for each."""
        return not self.not_stored and not self.failed

    def as_json(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "read": self.read,
            "hits_exact": self.exact,
            "hits_semantic": self.semantic,
            "asked": self.asked,
            "stored": self.stored,
            "not_stored": dict(self.not_stored),
            "failed": dict(self.failed),
        }


@dataclass(slots=True)
class Warming:
    """Asks `concurrency` questions at a time. What is there is a hit: run again, it goes on.

    `dry`: nobody is asked and nothing is stored; `asked` says how many would be. `complain` hears
    the number of each line without an answer, and why; `tell` of each line that is done.
    """

    cache: SemCache
    asker: Asker
    concurrency: int = 4
    dry: bool = False
    complain: Callable[[int, str], None] = lambda number, reason: None
    tell: Callable[[], None] = lambda: None
    warmed: Warmed = field(default_factory=Warmed)
    _failures: int = 0

    async def run(self, lines: Iterator[tuple[int, bytes]]) -> Warmed:
        """All lines. Raises AnswerError, where the engines seem to be down."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.concurrency):
                group.create_task(self._work(lines))
        if self._failures >= _IN_A_ROW:
            reason = self.warmed.failed.most_common(1)[0][0]
            raise AnswerError(f"{_IN_A_ROW} questions in a row had no answer: {reason}")
        return self.warmed

    def refuse(self, number: int, reason: str) -> None:
        """Name a line that has no answer."""
        self.warmed.failed[reason] += 1
        self.complain(number, reason)

    async def _work(self, lines: Iterator[tuple[int, bytes]]) -> None:
        for number, line in lines:
            try:
                asked = asked_of(number, line, self.asker)
                if asked is not None:
                    self.warmed.read += 1
                    await self._one(asked)
                    self._failures = 0
            except SemcacheError as error:
                self._failures += not isinstance(error, RequestError)
                self.refuse(number, error.message)
            self.tell()
            if self._failures >= _IN_A_ROW:
                return

    async def _one(self, asked: Asked) -> None:
        told = NONE if asked.answer is None else ONLY_IF_CACHED
        plan = self.cache.plan(asked.request, told)
        if not plan.admission.write:
            self._not_stored(asked.number, plan.admission.reason)
            return
        decided = await asyncio.to_thread(self.cache.layers.consider, plan)
        if isinstance(decided.decision, Hit):
            tier = decided.decision.tier
            self.warmed.exact += tier == "exact"
            self.warmed.semantic += tier == "semantic"
        elif asked.answer is not None:
            if not self.dry:
                self._kept(asked.number, await self.cache.put(asked.request, asked.answer))
        else:
            self.warmed.asked += 1
            if not self.dry:
                self._kept(asked.number, await self._asked(asked))

    async def _asked(self, asked: Asked) -> Keeping:
        """Ask; again, where the engine or its server says that it is busy."""
        for left in reversed(range(_TRIES)):
            try:
                reply = await self.cache.ask(asked.request)
                try:
                    await reply.completion()
                    kept = await reply.stored()
                finally:
                    reply.close()
            except AnswerError as error:
                if error.status not in _TRY_AGAIN or not left:
                    raise
                await asyncio.sleep(min(_PATIENCE_S, float(getattr(error, "retry_after_s", 1))))
            else:  # nothing is kept of what is not new: a stale answer in place of an error
                return kept or Skip("not a new answer")
        raise AssertionError("the last try returns or raises")

    def _kept(self, number: int, kept: Keeping) -> None:
        if isinstance(kept, Skip):
            self._not_stored(number, kept.reason)
        else:
            self.warmed.stored += 1

    def _not_stored(self, number: int, reason: str) -> None:
        self.warmed.not_stored[reason] += 1
        self.complain(number, f"Its answer may not be stored: {reason}.")
