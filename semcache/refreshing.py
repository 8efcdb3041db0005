"""Another answer in the background, in place of one that was served stale (RFC 5861, section 3).

One refresh for each key, a few at once. A failure leaves the stored answer as it is, and nobody
tries again for a while. It runs in the event loop of who was served: a caller's own HTTP client
belongs to that loop. For callers without one there is a loop in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from contextlib import aclosing
from typing import Any, TypeAlias, cast

from semcache.caller import paying
from semcache.completion import Chunk
from semcache.interfaces import Answerer, Miss
from semcache.layers import Layers
from semcache.loop_thread import LoopThread
from semcache.policy import Skip
from semcache.reply import Decided, Plan
from semcache.storing import Storing

log = logging.getLogger("semcache")

AT_ONCE = 16
PAUSE_S = 10.0  # after a failure
_MOST_PAUSES = 10_000

_Work: TypeAlias = "asyncio.Task[None] | Future[None]"


class Refreshing:
    """Thread-safe. Nobody waits for what it does, and what fails there is no outage."""

    def __init__(self, layers: Layers, storing: Storing) -> None:
        self._layers = layers
        self._storing = storing
        self._lock = threading.Lock()
        self._running: dict[str, _Work | None] = {}
        self._paused: OrderedDict[str, float] = OrderedDict()
        self._thread = LoopThread()
        self._closed = False

    def wanted(self, plan: Plan) -> None:
        """A stale answer is being served: have another made, unless that is under way."""
        self._layers.tally.add("stale-while-revalidate")
        if not plan.admission.write or not plan.may_be_answered:
            return
        key = plan.key.exact
        with self._lock:
            if len(self._running) >= AT_ONCE or key in self._running:
                self._forget_lost()
            busy = self._closed or key in self._running or len(self._running) >= AT_ONCE
            if busy or self._layers.clock() < self._paused.get(key, 0.0):
                return
            self._running[key] = None
        self._layers.tally.add("refresh: begun")
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            work: _Work = self._thread.start(self._refresh(plan))
        else:
            work = loop.create_task(self._refresh(plan))
        work.add_done_callback(lambda _: self._ended(key))
        with self._lock:
            if not work.done():
                self._running[key] = work

    async def settled(self) -> None:
        """Wait until no refresh is under way in this loop, or in none."""
        for work in self._works():
            if isinstance(work, Future):
                await asyncio.wait([asyncio.wrap_future(work)])
            elif work.get_loop() is asyncio.get_running_loop():
                await asyncio.wait([work])

    async def aclose(self) -> None:
        """Cancel what is under way. May be called twice."""
        with self._lock:
            self._closed = True
        for work in self._works():
            if isinstance(work, Future):
                work.cancel()
            elif not work.get_loop().is_closed():
                work.get_loop().call_soon_threadsafe(work.cancel)
        await self.settled()
        await asyncio.to_thread(self._thread.close)

    def _works(self) -> list[_Work]:
        with self._lock:
            return [work for work in self._running.values() if work is not None]

    def _forget_lost(self) -> None:
        """What ran in a loop that was closed ends without a word."""
        for key, work in list(self._running.items()):
            if isinstance(work, asyncio.Task) and work.get_loop().is_closed():
                del self._running[key]

    def _ended(self, key: str) -> None:
        with self._lock:
            self._running.pop(key, None)

    async def _refresh(self, plan: Plan) -> None:
        try:
            started = time.perf_counter()
            answerer, asked = cast(Answerer, plan.answerer), plan.request
            chunks: list[Chunk] = []
            with paying(asked.caller, asked.model, chunks):
                async with aclosing(cast(Any, answerer.answer(asked))) as made:
                    async for chunk in made:
                        chunks.append(chunk)  # noqa: PERF401 - what was begun is paid for
            decided = Decided(Miss("stale"))
            took_s = time.perf_counter() - started
            kept = await self._storing.keep(plan, decided, chunks, took_s)
            if isinstance(kept, Skip):
                self._failed(plan, kept.reason)
        except Exception as error:
            self._failed(plan, type(error).__name__)

    def _failed(self, plan: Plan, why: str) -> None:
        """The old answer stays; nobody tries for a while."""
        self._layers.tally.add("refresh: failed")
        log.info("a stale answer could not be refreshed (%s); it stays for now", why)
        with self._lock:
            self._paused[plan.key.exact] = self._layers.clock() + PAUSE_S
            self._paused.move_to_end(plan.key.exact)
            if len(self._paused) > _MOST_PAUSES:
                self._paused.popitem(last=False)
