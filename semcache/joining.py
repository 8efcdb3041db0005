"""Near-duplicates in flight: who asks the same in other words joins the answer in the making.

It is judged as a stored answer to that question would be, by gate, guards and verifier among the
same neighbours. What cannot be known is the answer itself: where it breaks off before it began, or
could not be stored, the request is answered for itself.

Without a verifier nobody joins, nor under a certificate: its labels are of answers that were there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias
from weakref import WeakKeyDictionary

from semcache import policy
from semcache.completion import Chunk, Completion, collect
from semcache.flight import Flight
from semcache.interfaces import Asked, Candidate, Entry, Hit, Miss
from semcache.layers import Layers
from semcache.nearest import judged, marked, neighbours, wishes_of
from semcache.policy import Skip
from semcache.recording import Recording
from semcache.render import fresh_id
from semcache.reply import Decided, Plan
from semcache.workers import Workers

_UNBORN = -1  # the id of an entry that is not yet one
_RETRY = "retry"


@dataclass(frozen=True, slots=True)
class _Aloft:
    """An answer in the making."""

    plan: Plan
    asked: Asked
    decided: Decided
    flight: Flight[Decided]


_InScope: TypeAlias = dict[str, list[_Aloft]]


@dataclass(frozen=True, slots=True)
class Joining:
    """Methods run on the event loop of the request; what is compared is compared in a thread."""

    layers: Layers
    workers: Workers
    recording: Recording
    certified: bool
    _aloft: WeakKeyDictionary[asyncio.AbstractEventLoop, _InScope] = field(
        default_factory=WeakKeyDictionary
    )

    @contextmanager
    def open(self, plan: Plan, decided: Decided, flight: Flight[Decided]) -> Iterator[None]:
        """While the answer is in the making others may join it."""
        asked = self._asked(plan, decided)
        if asked is None or not plan.shareable:
            yield
            return
        scopes, scope = self._scopes(), plan.key.scope.digest()
        one = _Aloft(plan, asked, decided, flight)
        scopes.setdefault(scope, []).append(one)
        try:
            yield
        finally:
            scopes[scope].remove(one)
            if not scopes[scope]:
                del scopes[scope]

    async def joined(self, plan: Plan, decided: Decided, flight: Flight[Decided]) -> bool:
        """Answer from a near-duplicate in flight; False where there is none, or it failed."""
        asked = self._asked(plan, decided)
        others = None if asked is None else self._scopes().get(plan.key.scope.digest())
        if asked is None or not others:
            return False
        try:
            found = await self.workers.run(partial(self._found, plan, asked, list(others)))
        except Exception:
            self.layers.failed("semantic")
            return False
        if found is None:
            return False
        one, similarity = found
        if not await self._shared(plan, decided, flight, one, similarity):
            decided.joined = None
            return False
        self.layers.retries.served(plan.request, plan.key, self.layers.clock())
        return True

    def _scopes(self) -> _InScope:
        return self._aloft.setdefault(asyncio.get_running_loop(), {})

    def _asked(self, plan: Plan, decided: Decided) -> Asked | None:
        """The question as the encoder sees it; None for what may not join, or be joined."""
        settings, encoded = self.layers.settings, decided.encoded
        if not settings.join_similar or self.certified or self.layers.verifier is None:
            return None
        miss = decided.decision
        if encoded is None or not isinstance(miss, Miss) or miss.reason == _RETRY:
            return None
        if encoded.vector is None or policy.matchable(encoded, settings) is not None:
            return None
        if plan.request.kind == "response" or plan.directives.exact_only:
            return None
        return Asked(plan.key.question or "", encoded.vector, encoded.sketch)

    def _found(self, plan: Plan, asked: Asked, others: list[_Aloft]) -> tuple[_Aloft, float] | None:
        """In a thread: the nearest answer in flight, if it may be served, and how near it is."""
        settings = self.layers.settings
        one = max(others, key=lambda other: float(asked.vector @ other.asked.vector))
        similarity = float(asked.vector @ one.asked.vector)
        wishes = wishes_of(plan, asked, self.layers)
        if wishes is None or similarity < policy.gate(wishes, settings):
            return None
        unborn = Candidate(self._unborn(one), similarity, one.asked.sketch)
        most = max(settings.candidates, settings.around)
        around = neighbours(plan, asked, most, self.layers)
        around = [*around, *marked(asked, [unborn], self.layers)]
        around.sort(key=lambda candidate: -candidate.similarity)
        decision = judged(plan, asked, around, wishes, self.layers)
        if not isinstance(decision, Hit) or decision.entry.id != _UNBORN:
            return None
        return one, similarity

    def _unborn(self, one: _Aloft) -> Entry:
        embedder = self.layers.embedder
        return Entry(
            key=one.plan.key.exact,
            scope=one.plan.key.scope,
            question=one.asked.question,
            completion=Completion({}),
            created_at=self.layers.clock(),
            embedder=None if embedder is None else embedder.fingerprint,
            id=_UNBORN,
        )

    async def _shared(
        self,
        plan: Plan,
        decided: Decided,
        flight: Flight[Decided],
        one: _Aloft,
        similarity: float,
    ) -> bool:
        """Hand the chunks on under an id of their own; those of a whole answer at its end."""
        if one.flight.abandoned:
            return False
        reader = one.flight.join()
        held: list[Chunk] = []
        try:
            async for chunk in reader:
                if one.decided.outage is not None:
                    return False
                held.append(chunk)
                if plan.request.stream:
                    self._hand_on(plan, decided, flight, held, similarity)
        except Exception:
            if flight.chunks:
                raise
            return False
        finally:
            reader.close()
        if not flight.chunks:
            now, settings = self.layers.clock(), self.layers.settings
            if isinstance(policy.keep(collect(held), now, settings), Skip):
                return False
        self._hand_on(plan, decided, flight, held, similarity)
        return True

    def _hand_on(
        self,
        plan: Plan,
        decided: Decided,
        flight: Flight[Decided],
        held: list[Chunk],
        similarity: float,
    ) -> None:
        for chunk in held:
            if decided.joined is None:
                decided.joined = similarity, fresh_id(Completion(chunk.wire))
                self.recording.joined(plan, similarity)
            flight.add(Chunk({**chunk.wire, "id": decided.joined[1]}))
        held.clear()
