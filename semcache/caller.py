"""Who asks, as the authentication found it.

All of it follows from the authenticated key: no other header, and nothing in a body, can name
another tenant, account or upstream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from semcache.completion import Chunk


class Account(Protocol):
    """What a key may spend. Quick: it is asked on the event loop. See `quotas`."""

    @property
    def counts_hits(self) -> bool:
        """Whether answers from the cache are paid for as well."""
        ...

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left: only what costs nothing may still be had."""
        ...

    def require(self) -> None:
        """Raises QuotaExceeded where nothing is left."""
        ...

    def spend(self, model: str, usage: Mapping[str, Any], *, requests: int = 1) -> None:
        """Take the cost of an answer off. `usage` is OpenAI's object."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """One authenticated caller.

    `tenant` is the part of the cache that is the caller's. `account` pays, where there is a quota.
    `key` is the caller's own key for the upstream, where callers bring theirs. `shared` is another
    tenant, whose answers this caller may read and never write; "" for nobody's.
    """

    tenant: str
    account: Account | None = None
    key: str = field(default="", repr=False)
    shared: str = ""


@contextmanager
def paying(caller: Caller | None, model: str, chunks: Sequence[Chunk]) -> Iterator[None]:
    """Around the making of an answer, whose `chunks` grow meanwhile: the caller pays for it.

    What was begun is paid for, also where it breaks off. Raises QuotaExceeded.
    """
    account = None if caller is None else caller.account
    if account is None:
        yield
        return
    account.require()
    try:
        yield
    finally:
        account.spend(model, _usage(chunks), requests=0 if account.counts_hits else 1)


def _usage(chunks: Sequence[Chunk]) -> Mapping[str, Any]:
    """As the answerer says it; where it does not, every chunk is a token."""
    for chunk in reversed(chunks):
        told = chunk.wire.get("response") or chunk.wire  # a response's last event holds it whole
        if isinstance(told, dict) and isinstance(usage := told.get("usage"), dict):
            return usage
    return {"completion_tokens": len(chunks), "total_tokens": len(chunks)}
