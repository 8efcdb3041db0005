"""From an HTTP request to a plan of the cache: what both clients do before anything is sent."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import httpx2

from semcache.chat import ChatRequest
from semcache.client.attached import Attached, Ready
from semcache.client.exchange import PassOn, Whole, hit
from semcache.client.lines import Line
from semcache.client.own_server import OwnServer
from semcache.client.question import Question
from semcache.errors import RequestError
from semcache.explain import reply_headers
from semcache.interfaces import Bypass
from semcache.reply import Decided, Plan, Reply


@dataclass(frozen=True, slots=True)
class Asked:
    """A question on its way."""

    ready: Ready
    plan: Plan
    own: OwnServer

    @property
    def is_none_of_ours(self) -> bool:
        """Whether the cache neither answers nor keeps, and no engine is asked."""
        plan = self.plan
        admission = plan.admission
        takes_part = admission.read or admission.write or plan.directives.only_if_cached
        return plan.answerer is self.own and not takes_part

    def patience_s(self) -> float | None:
        """How long the caller waits for a piece of the answer."""
        timeout = self.own.request.extensions.get("timeout") or {}
        read_s: float | None = timeout.get("read")
        return read_s


class Asking:
    """What both clients do with a request before anything is sent."""

    def __init__(self, attached: Attached, *, authenticates_itself: bool) -> None:
        self.attached = attached
        # Whom an inner client's own authentication stands for cannot be known: that client shares
        # with nobody, and with itself only as long as it lives.
        self.mark = secrets.token_hex(16) if authenticates_itself else ""
        self._refusers: set[str] = set()

    def asked(
        self, ready: Ready, question: Question, request: httpx2.Request, line: Line
    ) -> Asked | None:
        """The plan of a question; None where the cache cannot make sense of it."""
        credential = f"{question.credential}\n{self.mark}" if self.mark else question.credential
        try:
            chat = ChatRequest.from_wire(
                question.body, tenant=ready.tenant_of(credential), kind=question.kind
            )
            own = OwnServer(line, request, question.server, self._refusers)
            plan = ready.cache.plan(chat, question.directives, via=own)
        except RequestError:
            return None  # the server may think otherwise
        except Exception:
            self.attached.complain()
            return None
        return Asked(ready, plan, own)

    def passed_on(self, why: PassOn) -> None:
        """Say so, where the cache is to blame."""
        if why.__cause__ is not None:
            self.attached.complain()

    def remembered(self, asked: Asked) -> Whole | None:
        """An exact hit in memory, where it is given at once."""
        if asked.plan.pace is not None:
            return None
        try:
            reply = asked.ready.cache.peek(asked.plan)
            return None if reply is None else hit(reply)
        except Exception:
            self.attached.complain()
            return None

    def looked_up(self, asked: Asked) -> Whole | Decided | None:
        """A hit, or what was decided; None where the cache failed. For callers who may block."""
        if asked.plan.directives.only_if_cached or asked.plan.pace is not None:
            return None
        cache = asked.ready.cache
        try:
            decided = cache.look(asked.plan)
            return decided if decided.rendered is None else hit(cache.reply(asked.plan, decided))
        except Exception:
            return None  # asked again in the loop, it fails there too, and is told there


def explained(asked: Asked, response: httpx2.Response) -> httpx2.Response:
    """The server's own response, with the reason why the cache had no part in it."""
    reason = asked.plan.admission.reason
    asked.ready.cache.tally.add(f"bypass: {reason}")
    reply = Reply(asked.plan, Decided(Bypass(reason)))
    for name, value in reply_headers(reply, 0.0):
        response.headers[name.decode()] = value.decode()
    return response
