"""GPTCache's sessions over a Store: which session has asked which entry's question.

Each pair is a small entry of its own (exact only, no vector) in a scope beside the questions', so
that it is as durable as they are and no question's entry is ever rewritten for a session.
The pairs are also kept in memory, read once, and again when another process has written.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from hashlib import blake2b

from semcache.completion import Completion
from semcache.interfaces import Entry, Store
from semcache.keys import Scope, Source

_ANSWERER = "gptcache-sessions"


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One pair, named as GPTCache's session table names it; `id` and `entry` are keys."""

    id: str
    entry: str
    session_id: str
    question_id: int
    session_question: str


class Sessions:
    """The sessions of one tenant. Thread-safe; every method may raise StoreError."""

    def __init__(self, store: Store, tenant: str) -> None:
        self._store = store
        self._scope = Scope(
            tenant=tenant, model="gptcache", source=Source(_ANSWERER), context="", params=""
        )
        self._lock = threading.Lock()
        self._rows: dict[str, SessionRow] | None = None
        self._version = 0

    def add(self, session_id: str, asked: Entry, question: str, now: float) -> None:
        """Note that a session has asked an entry's question in these words."""
        key = _key(self._scope, (session_id, asked.key, question))
        row = SessionRow(key, asked.key, session_id, asked.id, question)
        wire = {
            "session": session_id,
            "entry": asked.key,
            "entry_id": asked.id,
            "question": question,
            "choices": [],
        }
        entry = Entry(
            key=key, scope=self._scope, question=None, completion=Completion(wire), created_at=now
        )
        with self._lock:
            rows = self._read()
            self._store.put(entry)
            rows[key] = row

    def rows(self, session_id: str | None = None, entry: str | None = None) -> list[SessionRow]:
        """The pairs of a session, else of an entry (by its key), else all."""
        with self._lock:
            rows = list(self._read().values())
        if session_id:
            return [row for row in rows if row.session_id == session_id]
        if entry:
            return [row for row in rows if row.entry == entry]
        return rows

    def drop(self, session_id: str) -> int:
        """Forget a session; the entries that it asked for stay. Returns how many pairs it had."""
        with self._lock:
            rows = self._read()
            keys = [row.id for row in rows.values() if row.session_id == session_id]
            self._store.remove(keys)
            for key in keys:
                del rows[key]
        return len(keys)

    def _read(self) -> dict[str, SessionRow]:
        version = self._store.version()
        if self._rows is None or version != self._version:
            self._rows = {}
            for entry in self._store.scan():
                if entry.scope == self._scope:
                    self._rows[entry.key] = _row(entry)
            self._version = version
        return self._rows


def _row(entry: Entry) -> SessionRow:
    wire = entry.completion.wire
    return SessionRow(entry.key, wire["entry"], wire["session"], wire["entry_id"], wire["question"])


def _key(scope: Scope, fields: tuple[str, ...]) -> str:
    digest = blake2b(b"gptcache-session", digest_size=32)
    for part in (scope.digest(), *fields):
        encoded = part.encode()
        digest.update(b"%d:" % len(encoded))
        digest.update(encoded)
    return digest.hexdigest()
