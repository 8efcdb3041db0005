"""SemCache: carries out what policy decides. The one async driver; it owns the only thread hop.

peek    an exact hit in memory, at once, on the caller's thread
get     what is stored, from all layers, on the caller's thread
ask     exact → semantic → the first answerer that accepts → store
put     store an answer that came from elsewhere
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias
from weakref import WeakKeyDictionary

from semcache import freshness, policy
from semcache.batches import Batches
from semcache.chat import ChatRequest
from semcache.checking import Checks
from semcache.completion import Completion
from semcache.decisions import Decisions
from semcache.directives import NONE, ONLY_IF_CACHED, Directives
from semcache.feedback import FeedbackDesk
from semcache.flight import Flight, Flights, Reader
from semcache.interfaces import (
    Answerer,
    Bypass,
    Embedder,
    Hit,
    Library,
    Store,
    Supervisor,
    Verifier,
)
from semcache.joining import Joining
from semcache.journal import Journal
from semcache.keys import Extract, whole
from semcache.layers import BATCH, Layers
from semcache.leading import Leading
from semcache.memory import Memory
from semcache.planning import plan_of
from semcache.policy import Keeping, PolicySettings
from semcache.promotion import Promotion
from semcache.recording import Recording
from semcache.refreshing import Refreshing
from semcache.reply import Decided, Plan, Reply
from semcache.retries import Retries
from semcache.sharing import Sharing, recall
from semcache.storing import Storing
from semcache.tally import Tally
from semcache.workers import Workers

_Flights: TypeAlias = Flights[Decided]
_DEFAULTS = PolicySettings()
_WRITERS = 8  # they wait for the disk: as many share a commit, and no lookup waits behind them


class SemCache:
    """The cache. Thread-safe for `peek`; `ask` and `put` may be used from several event loops."""

    def __init__(
        self,
        *,
        store: Store,
        embedder: Embedder | None = None,
        answerers: Sequence[Answerer] = (),
        verifier: Verifier | None = None,
        supervisor: Supervisor | None = None,
        settings: PolicySettings = _DEFAULTS,
        extract: Extract = whole,
        choose: policy.Choose = policy.first,
        journal: Journal | None = None,
        memory_bytes: int = 64_000_000,
        threads: int = 2,
        clock: Callable[[], float] = time.time,
        sharing: frozenset[str] = frozenset(),
        library: Library | None = None,
        chance: Callable[[], float] = random.random,
        closing: Sequence[Callable[[], None]] = (),
        promotion: Promotion | None = None,
    ) -> None:
        """`sharing`: names of answerers that compute on this machine, see `Checks`.

        `library`: what they answer from; it is closed after them. `closing` is called in the end.
        """
        self._library = library
        self.closing = list(closing)
        self.answerers = tuple(answerers)
        self.supervisor = supervisor
        self.tally = Tally()
        self.recording = Recording(self.tally, supervisor, clock)
        self.recording.gauges["waiters"] = self._waiters
        self.layers = Layers(
            store,
            embedder,
            verifier,
            settings,
            Memory(memory_bytes),
            self.tally,
            clock,
            choose,
            Retries(settings.retry, settings.retry_window_s),
            journal or Journal(),
            chance=chance,
        )
        self.decisions = Decisions()
        self.feedback = FeedbackDesk(self.layers, self.decisions, supervisor, clock)
        self.checks = None if supervisor is None else Checks(self.layers, supervisor, sharing)
        self._settings = settings
        self._extract = extract
        self._clock = clock
        self._closed = False
        self._flights: WeakKeyDictionary[asyncio.AbstractEventLoop, _Flights] = WeakKeyDictionary()
        self._take_on(threads, promotion)

    def _take_on(self, threads: int, promotion: Promotion | None) -> None:
        """The threads, and what is done on them."""
        self._threads = threads
        self._callers = threading.Semaphore(threads)
        self._sharing = Sharing(self.layers, promotion)
        self._lookups = Batches(threads, self._sharing.look_up, BATCH, "semcache")
        self._writers = Workers(_WRITERS, "semcache-put")
        self.storing = Storing(self.layers, self._writers, self.decisions, self._sharing)
        self.refreshing = Refreshing(self.layers, self.storing)
        certified = self.supervisor is not None
        self._leading = Leading(
            self.layers,
            self._lookups,
            self.storing,
            self.refreshing,
            self.checks,
            self.recording,
            Joining(self.layers, self._writers, self.recording, certified),
        )

    def reconfigure(self, settings: PolicySettings, answerers: Sequence[Answerer]) -> None:
        """Decide by other settings, and ask others, from the next request on."""
        self.answerers = tuple(answerers)
        if settings.usage != self._settings.usage:
            self.layers.memory.clear()  # it holds answers as they are shown
        self._settings = self.layers.settings = settings
        self.layers.retries = Retries(settings.retry, settings.retry_window_s)

    def plan(
        self,
        request: ChatRequest,
        directives: Directives = NONE,
        via: Answerer | None = None,
    ) -> Plan:
        """Route, admit and key a request. Raises ModelNotFound where nobody would answer it."""
        return plan_of(request, directives, self.answerers, via, self._settings, self._extract)

    def peek(self, plan: Plan) -> Reply | None:
        """An exact hit in memory: no thread, no disk, no event loop."""
        if not plan.admission.read:
            return None
        decided = self.layers.recall(plan)
        if decided is None and plan.shared is not None:
            decided = recall(self.layers, plan)
        if decided is None:
            return None
        self.recording.decided(plan, decided, self._settings.prices)
        if decided.decision.reason is freshness.STALE_WHILE_REVALIDATE:
            self.refreshing.wanted(plan)
        return self._reply(plan, decided)

    async def ask(
        self,
        request: ChatRequest,
        directives: Directives = NONE,
        via: Answerer | None = None,
    ) -> Reply:
        """Answer a request from the first layer that can.

        `via` answers on a miss what no configured answerer accepts. With `only-if-cached` a miss
        has no chunks. Raises RequestError and AnswerError, as the answerer said them.
        """
        plan = self.plan(request, directives, via)
        return self.peek(plan) or await self.fly(plan)

    def look(self, plan: Plan) -> Decided:
        """What all layers say, on the caller's thread: for callers who may block.

        Two changes of threads cost as much as the rest of a lookup. A miss goes to `fly`.
        Raises RuntimeError after `aclose`.
        """
        if not plan.admission.read:
            return Decided(Bypass(plan.admission.reason))
        with self._callers:
            if self._closed:
                raise RuntimeError("the cache is closed")
            return self._sharing.look_up((plan,))[0]

    def get(self, request: ChatRequest, directives: Directives = ONLY_IF_CACHED) -> Reply:
        """What is stored for a request, for callers who may block; asks nobody on a miss.

        Raises ModelNotFound where the directives let somebody answer and nobody would.
        """
        plan = self.plan(request, directives)
        return self.peek(plan) or self.reply(plan, self.look(plan))

    def reply(self, plan: Plan, decided: Decided) -> Reply:
        """The reply that ends with what `look` decided."""
        self._leading.settled(plan, decided)
        return self._reply(plan, decided)

    async def fly(self, plan: Plan, known: Decided | None = None) -> Reply:
        """`ask`, after a `peek` that found nothing. `known`: `look` found nothing either."""
        flights = self._flights.setdefault(asyncio.get_running_loop(), Flights())
        flight = flights.joinable(plan.key.exact) if plan.shareable else None
        leads = flight is None
        if flight is None:
            flight = Flight()
        reader = flight.join()
        try:
            if leads:
                self._leading.begin(plan, flights, flight, known)
            decided = await reader.decision()
            if not leads:
                self.recording.coalesced(plan)
        except BaseException:
            reader.close()
            raise
        if decided.rendered is not None:
            reader.close()
            return self._reply(plan, decided, not leads)
        return self._reply(plan, decided, not leads, reader, flight)

    def _waiters(self) -> float:
        """How many requests share the answer to another, now."""
        return sum(flights.followers for flights in list(self._flights.values()))

    def _reply(
        self,
        plan: Plan,
        decided: Decided,
        collapsed: bool = False,
        reader: Reader[Decided] | None = None,
        flight: Flight[Decided] | None = None,
    ) -> Reply:
        hit = decided.decision if isinstance(decided.decision, Hit) else None
        name = "" if hit is None else self.decisions.note(plan.key, hit)
        certificate = "" if self.supervisor is None else self.supervisor.header()
        return Reply(plan, decided, collapsed, certificate, reader, flight, name)

    async def put(self, request: ChatRequest, completion: Completion) -> Keeping:
        """Store an answer from elsewhere, durable when this returns. Raises StoreError."""
        return await self.storing.put(self.plan(request, ONLY_IF_CACHED), completion)

    async def remove(self, keys: Sequence[str]) -> int:
        """Delete entries by exact key; returns how many there were."""
        return await self._writers.run(partial(self.layers.remove, keys))

    async def clear(self, tenant: str | None = None) -> int:
        """Delete every entry (of one tenant, if given); returns how many."""
        removed = await self._writers.run(partial(self.layers.store.clear, tenant))
        self.layers.memory.clear()
        await self._writers.run(partial(self.layers.journal.forget, tenant))
        return removed

    async def knowledge_changed(self, answerer: str, current: str) -> int:
        """Make stale what `answerer` said from other whole knowledge; returns how many entries.

        `current` is that of its sources. What it said from passages is looked at when it is found.
        """
        expire = partial(self.layers.store.expire_knowledge, answerer, current, self._clock())
        stale = await self._writers.run(expire)
        self.layers.memory.clear()
        return stale

    async def flush(self) -> None:
        """Write counters and the index file now."""
        await self._writers.run(self.layers.store.flush)

    async def aclose(self) -> None:
        """Close the answerers, finish the threads' work, close store and encoder."""
        await self.refreshing.aclose()
        if self.checks is not None:
            await asyncio.to_thread(self.checks.close)
        for answerer in self.answerers:
            await answerer.aclose()
        await asyncio.to_thread(self._close_leaves)

    def _close_leaves(self) -> None:
        self._closed = True
        for _ in range(self._threads):  # whoever looks something up has finished then
            self._callers.acquire()
        self._callers.release(self._threads)
        self._lookups.close()
        self._writers.close()
        layers = self.layers
        for leaf in (self.supervisor, self._library, layers.store, layers.journal, layers.embedder):
            if leaf is not None:
                leaf.close()
        self._sharing.close()
        for close in self.closing:
            close()
