"""The HTTP client under `openai.OpenAI`: questions go through the cache, all else is passed on.

It holds an inner client and leaves it as it is: transports, proxies, mounts, hooks and
authentication are that client's own. `build_request` is the inner client's too.
"""

from __future__ import annotations

import concurrent.futures
import contextvars
from typing import Any

import httpx2

from semcache.client.asking import Asked, Asking, explained
from semcache.client.attached import Attached
from semcache.client.calls import answer_call, read_call
from semcache.client.exchange import Live, PassOn, Whole, exchange
from semcache.client.lines import LineError, Options, ThreadLine
from semcache.client.question import read_question
from semcache.client.response import BlockingEvents, Clock, live_response, whole_response
from semcache.reply import Decided

_DEFAULT = httpx2.USE_CLIENT_DEFAULT


class CachingClient(httpx2.Client):
    """For `openai.OpenAI`. Thread-safe."""

    def __init__(self, inner: httpx2.Client, attached: Attached) -> None:
        super().__init__(transport=_Through(inner), timeout=inner.timeout, trust_env=False)
        self.inner = inner
        self.attached = attached
        self._released = False
        self._asking = Asking(attached, authenticates_itself=inner.auth is not None)

    @property
    def is_closed(self) -> bool:
        """Whether it can send no more."""
        return self.inner.is_closed

    def build_request(self, *args: Any, **kwargs: Any) -> httpx2.Request:
        """As the inner client builds it: with its headers, parameters and cookies."""
        return self.inner.build_request(*args, **kwargs)

    def send(
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        auth: Any = _DEFAULT,
        follow_redirects: Any = _DEFAULT,
    ) -> httpx2.Response:
        """Answer from the cache, through it, or without it. Raises as httpx2.Client.send."""
        options: Options = {"auth": auth, "follow_redirects": follow_redirects}
        clock = Clock()
        question = None if self.inner.is_closed else read_question(request, self.inner.cookies)
        if question is None:
            answered = self._called(request, clock, options, stream=stream)
            return answered or self.inner.send(request, stream=stream, **options)
        ready = self.attached.get()
        if ready is None:
            return self.inner.send(request, stream=stream, **options)
        line = ThreadLine(self.inner, options, contextvars.copy_context())
        asked = self._asking.asked(ready, question, request, line)
        if asked is None:
            return self.inner.send(request, stream=stream, **options)
        if asked.is_none_of_ours:
            return explained(asked, self.inner.send(request, stream=stream, **options))
        found = self._asking.remembered(asked) or self._asking.looked_up(asked)
        if isinstance(found, Whole):
            return whole_response(found, request, clock, stream=stream)
        try:
            response = self._fetch(asked, found, clock, stream=stream)
        except PassOn as why:
            self._asking.passed_on(why)
            return self.inner.send(request, stream=stream, **options)
        if not stream:
            response.read()
        return response

    def _called(
        self, request: httpx2.Request, clock: Clock, options: Options, *, stream: bool
    ) -> httpx2.Response | None:
        """The answer to a call for the cache itself."""
        call = None if self.inner.is_closed else read_call(request, self.inner.cookies)
        ready = None if call is None else self.attached.get()
        if call is None or ready is None:
            return None
        line = ThreadLine(self.inner, options, contextvars.copy_context())
        whole = answer_call(call, ready, self._asking.mark, line)
        return None if whole is None else whole_response(whole, request, clock, stream=stream)

    def _fetch(
        self, asked: Asked, known: Decided | None, clock: Clock, *, stream: bool
    ) -> httpx2.Response:
        request = asked.own.request
        try:
            outcome = self.attached.loop.run(_blocking(asked, known, clock))
        except LineError as failure:
            broken = failure.error
        except concurrent.futures.CancelledError:
            broken = httpx2.ReadError("The cache was closed.", request=request)
        else:
            if isinstance(outcome, Whole):
                return whole_response(outcome, request, clock, stream=stream)
            live, events = outcome
            return live_response(live, events, request)
        raise broken

    def close(self) -> None:
        """Close the inner client, and the cache if this was its last client."""
        self.inner.close()
        super().close()
        self.detach()

    def detach(self) -> None:
        """Let go of the cache, and leave the inner client open. May be called twice."""
        if self._released:
            return
        self._released = True
        left = self.attached.release()
        if left.cache is not None:
            self.attached.loop.run(left.cache.aclose())
        if left.last:
            self.attached.loop.close()

    def __enter__(self) -> CachingClient:
        self.inner.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.inner.__exit__(*error)
        self.close()


async def _blocking(
    asked: Asked, known: Decided | None, clock: Clock
) -> Whole | tuple[Live, BlockingEvents]:
    """`exchange` for a thread that waits: a live answer is read in the loop from here on."""
    outcome = await exchange(asked.ready.cache, asked.plan, asked.own, asked.patience_s(), known)
    if isinstance(outcome, Live):
        return outcome, BlockingEvents(outcome, clock)
    return outcome


class _Through(httpx2.BaseTransport):
    """For code that reaches below `send`: what the inner client does, without the cache."""

    def __init__(self, inner: httpx2.Client) -> None:
        self._inner = inner

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self._inner.send(request, stream=True, auth=httpx2.Auth(), follow_redirects=False)
