"""What was answered lately, so that a person's verdict on an answer finds what it is about.

An id is 24 hex digits: 16 that nobody can guess, new in every process, and a counter. A replayed
answer carries it as its response id too (`chatcmpl-` or `resp_` and the id), so the two are one.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import replace
from itertools import count
from typing import NamedTuple

from semcache.completion import Completion
from semcache.interfaces import Hit, Judged, Tier
from semcache.keys import RequestKey

DECISIONS = 4096
_NOTHING = Completion({})


class Served(NamedTuple):
    """A stored answer that was served.

    `asked` and `stored` are the two questions of a semantic hit, None on an exact one. `judged` is
    what a verifier saw, its entry without the answer.
    """

    tenant: str
    tier: Tier
    entry_id: int
    entry_key: str
    asked: str | None = None
    stored: str | None = None
    judged: Judged | None = None


class Decisions:
    """The last decisions, in memory. Thread-safe; `note` costs a microsecond."""

    def __init__(self, most: int = DECISIONS) -> None:
        self._most = most
        self._prefix = secrets.token_hex(8)
        self._numbers = count()
        self._served: dict[int, tuple[str, int, str] | Served] = {}  # plain ones of exact hits
        self._verdicts: dict[int, str] = {}
        self._fresh: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, key: RequestKey, hit: Hit) -> str:
        """Keep a hit; returns its id. It is of the entry's tenant, who alone may judge it."""
        number = next(self._numbers) & 0xFFFFFFFF
        entry = hit.entry
        if hit.tier == "exact":
            self._served[number] = (entry.scope.tenant, entry.id, entry.key)
        else:
            self._served[number] = _semantic(key, hit)
        gone = number - self._most
        if gone >= 0:
            self._served.pop(gone, None)
            if self._verdicts:
                self._verdicts.pop(gone, None)
        return f"{self._prefix}{number:08x}"

    def find(self, name: str) -> Served | None:
        """What was served under a decision's id, or under the id of its response."""
        number = self._number(name)
        found = None if number is None else self._served.get(number)
        if found is None or isinstance(found, Served):
            return found
        tenant, entry_id, entry_key = found
        return Served(tenant, "exact", entry_id, entry_key)

    def stored(self, tenant: str, response: str, entry_key: str) -> None:
        """A fresh answer with this response id was stored under an exact key."""
        with self._lock:
            self._fresh[tenant, response] = entry_key
            self._fresh.move_to_end((tenant, response))
            if len(self._fresh) > self._most:
                self._fresh.popitem(last=False)

    def stored_under(self, tenant: str, response: str) -> str | None:
        """The exact key under which the answer with this response id was stored."""
        return self._fresh.get((tenant, response))

    def is_news(self, name: str, verdict: str) -> bool:
        """Whether a verdict on a decision says anything new; it is remembered.

        Wrong after right is news, right after wrong is not: one doubt is enough.
        """
        number = self._number(name)
        if number is None:
            return False
        with self._lock:
            before = self._verdicts.get(number)
            if before in (verdict, "wrong"):
                return False
            self._verdicts[number] = verdict
            return True

    def _number(self, name: str) -> int | None:
        id_ = name.replace("_", "-").rpartition("-")[2]
        if len(id_) != len(self._prefix) + 8 or not id_.startswith(self._prefix):
            return None
        try:
            return int(id_[len(self._prefix) :], 16)
        except ValueError:
            return None


def _semantic(key: RequestKey, hit: Hit) -> Served:
    entry, judged = hit.entry, hit.judged
    if judged is not None:  # the answer itself may be large, and is in the store
        judged = replace(judged, entry=replace(judged.entry, completion=_NOTHING))
    stored = entry.question if judged is None else judged.question
    return Served(entry.scope.tenant, "semantic", entry.id, entry.key, key.question, stored, judged)
