"""What one client, one tenant and all of them together may ask of the server at a time.

Hits that are answered at once are not counted: they are over before another request is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from semcache.chat import ChatRequest
from semcache.errors import AnswerTimeout, RequestError, ServerBusy, TooManyRequests

_RETRY_AFTER_S = 1


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of a server; see `server:` in the configuration. Times in seconds, sizes in bytes.

    `max_head_bytes`: request line and headers. `read_timeout_s`: from the first byte of a request
    to the last of its body. `request_timeout_s`: for the whole of an answer. None is no bound.
    """

    max_messages: int = 4096
    max_in_flight: int | None = 1000
    max_in_flight_per_tenant: int | None = 250
    request_timeout_s: float = 1800.0
    max_head_bytes: int = 65_536
    read_timeout_s: float = 60.0

    def check(self, request: ChatRequest) -> None:
        """Raise RequestError for a conversation that is too long."""
        if len(request.messages) > self.max_messages:
            message = f"'messages' may hold at most {self.max_messages} on this server."
            raise RequestError(message, param="messages")


DEFAULT_BOUNDS = Bounds()


class InFlight:
    """The requests whose answers are looked up or made now. For one event loop."""

    def __init__(self, most: int | None = None, most_of_tenant: int | None = None) -> None:
        self.count = 0
        self._most = most
        self._most_of_tenant = most_of_tenant
        self._of_tenant: dict[str, int] = {}

    @contextmanager
    def one(self, tenant: str) -> Iterator[None]:
        """Around one more. Raises ServerBusy, TooManyRequests."""
        if self._most is not None and self.count >= self._most:
            raise ServerBusy(
                f"The server is answering {self._most} requests: try again.",
                retry_after_s=_RETRY_AFTER_S,
            )
        mine = self._of_tenant.get(tenant, 0)
        if self._most_of_tenant is not None and mine >= self._most_of_tenant:
            raise TooManyRequests(
                f"{mine} requests of yours are being answered: wait for one of them.",
                retry_after_s=_RETRY_AFTER_S,
            )
        self.count += 1
        self._of_tenant[tenant] = mine + 1
        try:
            yield
        finally:
            self.count -= 1
            left = self._of_tenant[tenant] - 1
            if left:
                self._of_tenant[tenant] = left
            else:
                del self._of_tenant[tenant]


@asynccontextmanager
async def by(deadline_s: float) -> AsyncIterator[None]:
    """Around what must be done by then, in the event loop's time. Raises AnswerTimeout."""
    try:
        async with asyncio.timeout_at(deadline_s):
            yield
    except TimeoutError:
        raise AnswerTimeout("The answer took too long; ask for a shorter one.") from None
