"""The request that leads a flight: it looks up, has the answer made, and stores it.

Those that ask the same meanwhile follow (`flight`).
"""

from __future__ import annotations

from contextlib import aclosing, nullcontext
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, TypeAlias, cast

from semcache import freshness
from semcache.batches import Batches
from semcache.caller import paying
from semcache.checking import Checks
from semcache.completion import replay
from semcache.errors import AnswerError
from semcache.flight import Flight, Flights
from semcache.interfaces import Answerer, Bypass, Hit, Miss
from semcache.joining import Joining
from semcache.layers import Layers
from semcache.pacing import Recorder
from semcache.question_vector import known
from semcache.recording import Recording
from semcache.refreshing import Refreshing
from semcache.reply import Decided, Plan
from semcache.sharing import recall
from semcache.storing import Storing
from semcache.trace import following
from semcache.usage import shown

_Flights: TypeAlias = Flights[Decided]


@dataclass(frozen=True, slots=True)
class Leading:
    """Methods run on the event loop of the request, but for what the threads are given."""

    layers: Layers
    lookups: Batches[Plan, Decided]
    storing: Storing
    refreshing: Refreshing
    checks: Checks | None
    recording: Recording
    joining: Joining

    def begin(
        self, plan: Plan, flights: _Flights, flight: Flight[Decided], known: Decided | None
    ) -> None:
        """Look up in a thread. No task runs until there is an answer to be made."""
        if not plan.admission.read:
            known = Decided(Bypass(plan.admission.reason))
        if known is None:
            self.lookups.call(plan, partial(self._looked_up, plan, flights, flight))
        if plan.shareable:
            flights[plan.key.exact] = flight
        if known is not None:  # unless somebody has stored the answer since
            found = recall(self.layers, plan) if plan.admission.read else None
            self._decided(plan, flights, flight, found or known)

    def _looked_up(
        self,
        plan: Plan,
        flights: _Flights,
        flight: Flight[Decided],
        decided: Decided,
        error: BaseException | None,
    ) -> None:
        if error is None:
            self._decided(plan, flights, flight, decided)
        else:
            flights.land(plan.key.exact, flight)
            flight.finish(error)

    def _decided(
        self, plan: Plan, flights: _Flights, flight: Flight[Decided], decided: Decided
    ) -> None:
        self.settled(plan, decided)
        flight.decide(decided)
        done = isinstance(decided.decision, Hit) or plan.directives.only_if_cached
        if done or flight.abandoned:
            flights.land(plan.key.exact, flight)
            flight.finish()
        else:
            flight.start(partial(self._answer, plan, flights, decided))

    async def _answer(
        self, plan: Plan, flights: _Flights, decided: Decided, flight: Flight[Decided]
    ) -> None:
        try:
            if not await self.joining.joined(plan, decided, flight):
                with self.joining.open(plan, decided, flight):
                    await self._made(plan, decided, flight)
        finally:
            flights.land(plan.key.exact, flight)

    async def _made(self, plan: Plan, decided: Decided, flight: Flight[Decided]) -> None:
        started = perf_counter()
        try:
            encoder = None if self.layers.embedder is None else self.layers.embedder.fingerprint
            with known(plan.key.question, encoder, decided.encoded):
                pace_ms = await self._asked(plan, flight)
        except AnswerError as error:
            self.layers.tally.add(f"answer failed: {error.status}")
            if not self._stands_in(plan, decided, flight, error):
                raise
            flight.finish()
            return
        flight.finish()
        took_s = perf_counter() - started
        await self.storing.keep(plan, decided, flight.chunks, took_s, pace_ms)
        if self.checks is not None:
            self.checks.missed(plan, decided, flight.chunks)

    async def _asked(self, plan: Plan, flight: Flight[Decided]) -> list[int]:
        """Have the answer made; says how it came in time, where that is to be kept."""
        recorder = Recorder() if plan.request.stream and plan.admission.write else None
        answerer, tally = cast(Answerer, plan.answerer), self.layers.tally
        paid = paying(plan.request.caller, plan.request.model, flight.chunks)
        started = perf_counter()
        watched = nullcontext() if self.checks is None else self.checks.answering(answerer.name)
        with paid, watched, following(plan.trace, "answer"):
            async with aclosing(cast(Any, answerer.answer(plan.request))) as chunks:
                async for chunk in chunks:
                    if not flight.chunks:
                        tally.took(f"first token: {answerer.name}", perf_counter() - started)
                    flight.add(chunk)
                    if recorder is not None:
                        recorder.add(chunk)
        tally.took(f"answer: {answerer.name}", perf_counter() - started)
        return [] if recorder is None else recorder.times_ms()

    def _stands_in(
        self, plan: Plan, decided: Decided, flight: Flight[Decided], error: AnswerError
    ) -> bool:
        """Whether a stale answer is given for an error that came before the first chunk."""
        miss, layers = decided.decision, self.layers
        if flight.chunks or not isinstance(miss, Miss):
            return False
        now, settings = layers.clock(), layers.settings
        entry = freshness.instead_of_an_error(
            miss, error.status, now, plan.request, plan.directives, settings
        )
        if entry is None:
            return False
        decided.outage = entry, error.status
        for chunk in replay(shown(entry.completion, settings.usage)):
            flight.add(chunk)
        self.recording.stood_in(plan, entry)
        return True

    def settled(self, plan: Plan, decided: Decided) -> None:
        """Count a decision, and tell who checks what is served."""
        self.recording.decided(plan, decided, self.layers.settings.prices)
        if decided.decision.reason is freshness.STALE_WHILE_REVALIDATE:
            self.refreshing.wanted(plan)
        if self.checks is not None:
            self.checks.served(plan, decided)
