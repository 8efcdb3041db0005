"""A request on its way through the cache: its plan, what was decided, the reply, the log line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from time import perf_counter

from semcache.chat import ChatRequest
from semcache.completion import Chunk, Completion, collect
from semcache.directives import NONE, Directives, Pace
from semcache.flight import Flight, Reader
from semcache.interfaces import Answerer, Decision, Encoded, Entry
from semcache.keys import RequestKey
from semcache.policy import Admission, Keeping
from semcache.prices import Saved
from semcache.render import Rendered
from semcache.trace import Trace
from semcache.volatile import LASTING, Timeliness


@dataclass(frozen=True, slots=True)
class Plan:
    """A request, where it belongs, and who would answer it.

    `pace` is how fast a stored answer is streamed, None for at once. `shared` is the key that the
    request has in the namespace that its caller may read, if there is one. `started` is when it was
    planned, in seconds of `time.perf_counter`; `trace` follows it.
    """

    request: ChatRequest
    directives: Directives
    admission: Admission
    answerer: Answerer | None
    key: RequestKey
    timeliness: Timeliness = LASTING
    pace: Pace | None = None
    shared: RequestKey | None = None
    started: float = field(default_factory=perf_counter, compare=False)
    trace: Trace | None = field(default=None, compare=False, repr=False)

    @property
    def shareable(self) -> bool:
        """Whether identical requests in flight may share this one's answer."""
        asked = self.directives
        # The key knows the namespace, and the pace is each reader's own.
        wants_any = asked == NONE or replace(asked, replay=None, namespace="") == NONE
        return self.admission.read and not self.admission.variants and wants_any

    @property
    def may_be_answered(self) -> bool:
        """Whether somebody is asked on a miss."""
        return self.answerer is not None and not self.directives.only_if_cached


@dataclass(slots=True)
class Decided:
    """What became of one request.

    `kept` is filled in when its answer has been judged, `outage` where a stale answer stands in for
    an error: that answer, and the error's status. `saved`: what a hit has saved. `joined`: the
    answer is that to a near-duplicate in flight: how near it is, and the id it has here.
    """

    decision: Decision
    rendered: Rendered | None = None
    encoded: Encoded | None = None
    kept: Keeping | None = None
    outage: tuple[Entry, int] | None = None
    saved: Saved | None = None
    joined: tuple[float, str] | None = None


@dataclass(slots=True)
class Reply:
    """The answer to one `ask`. Close it, also when not all of it was read.

    On a hit `rendered` holds the stored answer. Otherwise iterate over the reply: it yields the
    chunks of the answer, live. `collapsed`: the answer is shared with an identical request that
    was there first. `certificate` says what is known of wrong answers, where a bound is asked for.
    `decision_id` names a hit, for feedback.
    """

    plan: Plan
    decided: Decided
    collapsed: bool = False
    certificate: str = ""
    _reader: Reader[Decided] | None = None
    _flight: Flight[Decided] | None = field(default=None, repr=False)
    decision_id: str = ""

    @property
    def decision(self) -> Decision:
        """Hit, Miss or Bypass, with its reason."""
        return self.decided.decision

    @property
    def rendered(self) -> Rendered | None:
        """The stored answer's bytes, on a hit."""
        return self.decided.rendered

    @property
    def answerer(self) -> str:
        """Who answers, or would; empty where nobody does."""
        chunks = () if self._flight is None else self._flight.chunks
        named = chunks[0].answerer if chunks else ""
        return named or ("" if self.plan.answerer is None else self.plan.answerer.name)

    def __aiter__(self) -> AsyncIterator[Chunk]:
        if self._reader is None:
            raise RuntimeError("a hit has no stream of its own: use Reply.rendered")
        return self._reader

    async def completion(self) -> Completion:
        """The whole answer, stored or live."""
        if self.decided.rendered is not None:
            return self.decided.rendered.completion
        return collect([chunk async for chunk in self])

    async def stored(self) -> Keeping | None:
        """Wait until the answer is stored or refused; None where nothing was to be stored."""
        if self._flight is not None:
            await self._flight.settled()
        return self.decided.kept

    def close(self) -> None:
        """Leave: an answer that nobody waits for any more is cancelled."""
        if self._reader is not None:
            self._reader.close()
