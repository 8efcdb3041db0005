"""Checks of what is judged against fresh answers: where a certificate's labels come from.

    missed   the engine has answered a near-duplicate that was not served: would it have been right?
    served   of what is served a share is answered by the engine too, in the background

All of it runs in one thread with an event loop of its own. Nobody waits for it, and what fails
there is logged and counted, never an outage. Audits wait for idle engines: what was drawn and
could not be checked is owed, and made up by a later hit.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import aclosing, contextmanager, suppress
from functools import partial
from typing import Any, cast

from semcache import policy
from semcache.answer_learning import Learning
from semcache.completion import collect
from semcache.interfaces import Answerer, Hit, Judged, Miss, Supervisor
from semcache.layers import Layers
from semcache.policy import Keep, Skip
from semcache.reply import Decided, Plan

log = logging.getLogger("semcache")

AUDITS_AT_ONCE = 2
WAITING_AT_MOST = 256
OWED_AT_MOST = 1_000
_OWED_IS_MUCH = 20  # beyond, misses are not drawn either: hits must not be the rarer ones
_GROWTH_EVERY = 64
_NOTHING_NEAR = frozenset({"no neighbour", "below threshold"})


class Checks:
    """Labels for a supervisor. Thread-safe; the thread starts with the first check.

    `sharing`: names of answerers that compute on this machine. Their audits yield to users.
    """

    def __init__(
        self, layers: Layers, supervisor: Supervisor, sharing: frozenset[str] = frozenset()
    ) -> None:
        self._layers = layers
        self._supervisor = supervisor
        self._learning = Learning(layers, supervisor)
        self._sharing = sharing
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._waiting = 0
        self._stored = 0
        self._owed: deque[float] = deque(maxlen=OWED_AT_MOST)
        self._busy: Counter[str] = Counter()
        self._audits: dict[asyncio.Task[None], str] = {}
        self._running = 0

    def served(self, plan: Plan, decided: Decided) -> None:
        """A hit: draw whether it is checked. Costs microseconds."""
        hit = decided.decision
        if not isinstance(hit, Hit) or hit.judged is None:
            return
        weight = self._supervisor.audit(hit.judged)
        with self._lock:
            if weight is None and self._owed:
                weight = self._owed.popleft()
            if weight is None:
                return
            if not self._may_audit(plan.answerer):
                self._owed.append(weight)
                return
            self._running += 1
        if not self._call(partial(self._begin, plan, decided, hit.judged, weight)):
            self._given_up(weight)

    def missed(self, plan: Plan, decided: Decided, chunks: list[Any]) -> None:
        """The answer to a miss is there, and stored if it may be."""
        miss = decided.decision
        self._stored += isinstance(decided.kept, Keep)
        if self._stored >= _GROWTH_EVERY:
            self._stored = 0
            self._call(self._grown)
        if not isinstance(miss, Miss):
            return
        if miss.judged is None:
            if miss.reason in _NOTHING_NEAR and not self._owes_much():
                self._call(partial(self._supervisor.passed, plan.key.question or ""))
            return
        weight = self._supervisor.audit(miss.judged) or 0.0
        if self._owes_much():
            weight = 0.0
        fresh = collect(chunks)
        self._call(partial(self._learning.shadow, plan, decided, miss.judged, weight, fresh))

    @contextmanager
    def answering(self, name: str) -> Iterator[None]:
        """A user waits for this answerer: audits on the same machine make way."""
        with self._lock:
            self._busy[name] += 1
            yielding = list(self._audits.items()) if name in self._sharing else []
            loop = self._loop
        for task, of in yielding:
            if of == name and loop is not None:
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(task.cancel)
        try:
            yield
        finally:
            with self._lock:
                self._busy[name] -= 1

    def close(self) -> None:
        """Cancel audits, finish the labels that wait, end the thread. May be called twice."""
        with self._lock:
            self._closed = True
            loop, thread = self._loop, self._thread
            self._loop = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def settle(self) -> None:
        """Wait until every check that was begun is done. Not from the thread of the checks."""
        while True:
            done: Future[None] = Future()
            with self._lock:
                loop, audits = self._loop, list(self._audits)
            if loop is None:
                return
            loop.call_soon_threadsafe(done.set_result, None)
            done.result()
            with self._lock:
                if not self._waiting and not self._running and not audits:
                    return

    # ------------------------------------------------------------------------------- the thread

    def _call(self, job: Callable[[], None]) -> bool:
        """Do a job in the thread; False where too many wait or it is closed."""
        with self._lock:
            if self._closed or self._waiting >= WAITING_AT_MOST:
                self._layers.tally.add("label: skipped")
                return False
            self._waiting += 1
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._run, args=(self._loop,), name="semcache-checks", daemon=True
                )
                self._thread.start()
            self._loop.call_soon_threadsafe(self._do, job)
        return True

    def _do(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception:
            self._layers.failed("checks")
        finally:
            with self._lock:
                self._waiting -= 1

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            for task in (tasks := asyncio.all_tasks(loop)):
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()

    def _grown(self) -> None:
        self._supervisor.grown(self._layers.store.stats().entries)

    # ------------------------------------------------------------------------------------ audits

    def _may_audit(self, answerer: Answerer | None) -> bool:
        if answerer is None or self._closed or self._running >= AUDITS_AT_ONCE:
            return False
        return answerer.name not in self._sharing or not self._busy[answerer.name]

    def _begin(self, plan: Plan, decided: Decided, judged: Judged, weight: float) -> None:
        task = asyncio.get_running_loop().create_task(self._audit(plan, decided, judged, weight))
        with self._lock:
            self._audits[task] = cast(Answerer, plan.answerer).name
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        with self._lock:
            self._audits.pop(task, None)
            self._running -= 1

    async def _audit(self, plan: Plan, decided: Decided, judged: Judged, weight: float) -> None:
        self._layers.tally.add("audit: begun")
        try:
            answerer = cast(Answerer, plan.answerer)
            async with aclosing(cast(Any, answerer.answer(plan.request))) as chunks:
                fresh = collect([chunk async for chunk in chunks])
            now, settings = self._layers.clock(), self._layers.settings
            kept = policy.keep(fresh, now, settings, plan.directives, plan.request)
            if isinstance(kept, Skip):  # a broken answer says nothing of the stored one
                self._owe(weight)
                return
            self._learning.audited(plan, decided, judged, weight, fresh, kept)
        except asyncio.CancelledError:
            self._layers.tally.add("audit: made way")
            self._owe(weight)
            raise
        except Exception:
            self._layers.failed("checks")
            self._owe(weight)

    def _given_up(self, weight: float) -> None:
        with self._lock:
            self._running -= 1
        self._owe(weight)

    def _owes_much(self) -> bool:
        return len(self._owed) >= _OWED_IS_MUCH

    def _owe(self, weight: float) -> None:
        with self._lock:
            self._owed.append(weight)
