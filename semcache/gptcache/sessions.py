"""GPTCache's sessions over a Store: which sessions have asked for an entry, and in which words.

Each entry that a session asked for has one record beside it: a small entry of its own (exact only,
no vector) whose key follows from the asked entry's key. So a lookup is one exact `get`, a record is
as durable as any entry, and no answer is ever rewritten for a session. What asks about all
sessions (listing them, dropping one) reads the whole store.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from semcache.completion import Completion
from semcache.interfaces import Entry, Store
from semcache.keys import Scope, Source

MAX_PER_ENTRY = 1000
"""Sessions that an entry remembers; the first ones are forgotten first."""

_WRITING = threading.Lock()


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session that asked for an entry, named as GPTCache's session table names it."""

    id: str
    session_id: str
    question_id: int
    session_question: str


class Sessions:
    """The sessions of one tenant. Thread-safe; every method may raise StoreError.

    Two processes that add a session to the same entry at the same instant may lose one of the two:
    that session may then be given the entry's answer again.
    """

    def __init__(self, store: Store, tenant: str) -> None:
        self._store = store
        self._scope = Scope(
            tenant=tenant,
            model="gptcache",
            source=Source("gptcache-sessions"),
            context="",
            params="",
        )

    def add(self, session_id: str, asked: Entry, question: str, now: float) -> None:
        """Note that a session has asked for an entry in these words."""
        pair = [session_id, question]
        with _WRITING:
            record = self._store.get(self._key(asked.key))
            pairs = [] if record is None else list(record.completion.wire["sessions"])
            if pair in pairs:
                return
            pairs.append(pair)
            self._write(asked.key, asked.id, pairs[-MAX_PER_ENTRY:], now)

    def of_entry(self, asked: Entry) -> list[SessionRow]:
        """Who asked for an entry, first to last."""
        record = self._store.get(self._key(asked.key))
        return [] if record is None else _rows(record)

    def every(self) -> list[SessionRow]:
        """Every session with every entry that it asked for. Reads the whole store."""
        return [row for record in self._records() for row in _rows(record)]

    def drop(self, session_id: str, now: float) -> None:
        """Forget a session; what it asked for stays. Reads the whole store."""
        with _WRITING:
            for record in list(self._records()):
                wire = record.completion.wire
                left = [pair for pair in wire["sessions"] if pair[0] != session_id]
                if not left:
                    self._store.remove([record.key])
                elif len(left) < len(wire["sessions"]):
                    self._write(wire["entry"], wire["entry_id"], left, now)

    def _records(self) -> Iterator[Entry]:
        return (entry for entry in self._store.scan() if entry.scope == self._scope)

    def _write(self, asked: str, asked_id: int, pairs: Sequence[Sequence[str]], now: float) -> None:
        wire = {"entry": asked, "entry_id": asked_id, "sessions": list(pairs), "choices": []}
        self._store.put(
            Entry(
                key=self._key(asked),
                scope=self._scope,
                question=None,
                completion=Completion(wire),
                created_at=now,
            )
        )

    def _key(self, asked: str) -> str:
        text = f"gptcache-sessions:{self._scope.digest()}:{asked}"
        return blake2b(text.encode(), digest_size=32).hexdigest()


def _rows(record: Entry) -> list[SessionRow]:
    wire = record.completion.wire
    return [
        SessionRow(f"{record.key}/{at}", name, wire["entry_id"], question)
        for at, (name, question) in enumerate(wire["sessions"])
    ]
