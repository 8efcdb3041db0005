"""Servers for one name, asked in order: the next where one is down, and again where it may pass.

Only what came before the first chunk of an answer can be made up for, and only where another server
may do better: no connection, silence, a server's own failure, or too many requests. A server that
failed is passed over for a while, so that an outage costs one request its patience and not all; if
all have failed, all are asked again, until their circuits open. Who said how long to stay away is
not asked before, with that key and for that model.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

from semcache.chat import ChatRequest
from semcache.circuit import Circuit
from semcache.completion import Chunk
from semcache.errors import UpstreamDown, UpstreamError
from semcache.interfaces import Relayed
from semcache.keys import Source
from semcache.patience import ELSEWHERE, pause_s, retry_after_s

log = logging.getLogger("semcache")

DOWN_S = 10.0
_LONGEST_BAN_S = 60.0
_MOST_BANS = 1_000

_Ban: TypeAlias = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class Alternative:
    """A server, and the name that its model has there; None for the name that was asked for."""

    answerer: Relayed
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Persistence:
    """How often a request is sent again, and when nobody asks any more.

    `retries`: of all servers, where all failed in a way that may pass. `failures` in a row and a
    server is left alone for `rest_s` seconds; 0: never.
    """

    retries: int = 0
    failures: int = 5
    rest_s: float = DOWN_S


class Failover:
    """Implements `interfaces.Answerer` in the name of the first; `clock` is monotonic, seconds.

    An answer of any of them is the first one's: they are given as equals by who configures them.
    """

    def __init__(
        self,
        alternatives: Sequence[Alternative],
        clock: Callable[[], float],
        persistence: Persistence = Persistence(),
        *,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """At least one alternative. `chance` (0..1) spreads what is sent again, `sleep` waits."""
        self._alternatives = tuple(alternatives)
        self._first = alternatives[0].answerer
        self._clock = clock
        self._retries = persistence.retries
        self._chance = chance
        self._sleep = sleep
        self._lock = threading.Lock()
        self._back_at = [0.0] * len(alternatives)
        self._circuits = [
            Circuit(clock, persistence.failures, persistence.rest_s) for _ in alternatives
        ]
        self._bans: dict[_Ban, float] = {}

    @property
    def name(self) -> str:
        """The first one's."""
        return self._first.name

    def accepts(self, request: ChatRequest) -> bool:
        """Whether the first one does."""
        return self._first.accepts(request)

    def source(self, request: ChatRequest) -> Source:
        """The first one's."""
        return self._first.source(request)

    def models(self) -> Sequence[str]:
        """The first one's."""
        return self._first.models()

    async def fetch_models(self, key: str | None = None) -> list[dict[str, Any]]:
        """What the first that lists any lists; a caller's key is for the first one only."""
        if key is not None:
            return await self._first.fetch_models(key)
        for one in self._alternatives:
            if found := await one.answerer.fetch_models():
                return found
        return []

    async def knows(self, key: str, path: str) -> bool:
        """Whether the first one knows the key. Raises UpstreamError."""
        return await self._first.knows(key, path)

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """The answer of the first that can.

        Raises what the last one that was asked raises, or UpstreamDown where none may be asked.
        """
        for attempt in range(self._retries + 1):
            begun = False
            try:
                async with aclosing(self._once(request)) as chunks:
                    async for chunk in chunks:
                        begun = True
                        yield chunk
                return
            except UpstreamError as error:
                last = begun or attempt == self._retries or isinstance(error, UpstreamDown)
                wait_s = None if last else pause_s(error, attempt, self._chance())
                if wait_s is None:
                    raise
            await self._sleep(wait_s)

    async def aclose(self) -> None:
        """Close all of them."""
        for one in self._alternatives:
            await one.answerer.aclose()

    async def _once(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Each server that may be asked once, until one answers."""
        failure: UpstreamError | None = None
        for at in self._order(request):
            if not self._circuits[at].admits():
                continue
            if failure is not None:
                log.warning("status %d: the upstream %d is asked", failure.status, at + 1)
            begun = False
            try:
                async with aclosing(self._watched(at, request)) as chunks:
                    async for chunk in chunks:
                        begun = True
                        yield chunk
                return
            except UpstreamError as error:
                if begun or error.status not in ELSEWHERE:
                    raise
                failure = error
        raise failure or self._down(request)

    async def _watched(self, at: int, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """One server's answer; how it went is told to its circuit."""
        circuit, told = self._circuits[at], False
        try:
            async with aclosing(self._asked(at, request)) as chunks:
                async for chunk in chunks:
                    if not told:
                        told = True
                        circuit.good()
                        self._mark(at, 0.0)
                    yield chunk
        except UpstreamError as error:
            if not told and error.cause != "ours":
                told = True
                self._failed(at, request, error)
            raise
        finally:
            if not told:
                circuit.left()

    def _failed(self, at: int, request: ChatRequest, error: UpstreamError) -> None:
        circuit = self._circuits[at]
        if error.status not in ELSEWHERE:
            circuit.good()
            return
        self._mark(at, self._clock() + DOWN_S)
        if error.status == 500:  # it is there, and one caller's request may be what breaks it
            circuit.good()
        elif error.status == 429:  # it is there, and says who has asked too much
            circuit.good()
            self._ban(at, request, error)
        elif circuit.failed():
            log.warning("the upstream %d keeps failing: it is left alone for a while", at + 1)

    def _asked(self, at: int, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        one = self._alternatives[at]
        asked = request if one.model is None else replace(request, model=one.model)
        return cast("AsyncGenerator[Chunk, None]", one.answerer.answer(asked))

    def _order(self, request: ChatRequest) -> list[int]:
        free = [at for at, circuit in enumerate(self._circuits) if not circuit.rests_s()]
        free = [at for at in free if not self._banned_s(at, request)]
        now = self._clock()
        with self._lock:
            up = [at for at in free if self._back_at[at] <= now]
        return up or free

    def _mark(self, at: int, back_at: float) -> None:
        with self._lock:
            self._back_at[at] = back_at

    def _ban(self, at: int, request: ChatRequest, error: UpstreamError) -> None:
        asked = retry_after_s(error.headers)
        if not asked:
            return
        now = self._clock()
        with self._lock:
            if len(self._bans) >= _MOST_BANS:
                self._bans = {who: until for who, until in self._bans.items() if until > now}
            if len(self._bans) < _MOST_BANS:
                self._bans[_banned(at, request)] = now + min(asked, _LONGEST_BAN_S)

    def _banned_s(self, at: int, request: ChatRequest) -> float:
        if not self._bans:
            return 0.0
        with self._lock:
            return max(0.0, self._bans.get(_banned(at, request), 0.0) - self._clock())

    def _down(self, request: ChatRequest) -> UpstreamDown:
        waits = [
            max(circuit.rests_s(), self._banned_s(at, request))
            for at, circuit in enumerate(self._circuits)
        ]
        return UpstreamDown(retry_after_s=max(1, math.ceil(min(waits))))


def _banned(at: int, request: ChatRequest) -> _Ban:
    """Whose limit it is: that of the key the server was asked with, for one model."""
    brings_a_key = request.caller is not None and request.caller.key
    return at, request.tenant if brings_a_key else "", request.model
