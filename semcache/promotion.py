"""Answers that several tenants were given alike, and that all of a namespace may have then.

Every caller that is not trusted writes into a tenant of its own; a namespace is a second place
where it may read. An answer that was just made for a caller is a vote, under the key that its
request has in the namespace: one vote for each writer and key, the last one. When enough different
writers agree on the very same answer to the very same request, it is stored in the namespace.

What is voted on are digests under the installation's secret, in a small SQLite file.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from semcache.completion import Completion
from semcache.sqlite_file import SqliteFile

CAPACITY = 100_000
_KEPT_S = 30 * 86_400.0
_SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS votes (
        key TEXT NOT NULL, writer TEXT NOT NULL, answer BLOB NOT NULL, at REAL NOT NULL,
        PRIMARY KEY (key, writer)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX IF NOT EXISTS votes_by_age ON votes (at)",
)
_VOTE = """
INSERT INTO votes VALUES (?, ?, ?, ?)
ON CONFLICT (key, writer) DO UPDATE SET answer = excluded.answer, at = excluded.at
"""
_AGREED = "SELECT count(*) FROM votes WHERE key = ? AND answer = ? AND at > ?"
_FORGET = "DELETE FROM votes WHERE at <= ?"
_CROWDED = """
DELETE FROM votes WHERE (SELECT count(*) FROM votes) > ?
AND at <= (SELECT at FROM votes ORDER BY at LIMIT 1 OFFSET (SELECT count(*) FROM votes) / 10)
"""


class Promotion:
    """Counts the votes. Safe for threads and processes; `clock` gives Unix seconds."""

    def __init__(
        self,
        path: Path | None,
        after: int,
        secret: bytes,
        clock: Callable[[], float],
        *,
        capacity: int = CAPACITY,
    ) -> None:
        """`after`: how many writers must agree. Raises StoreError, StoreLocked."""
        self._after = after
        self._secret = secret
        self._clock = clock
        self._capacity = capacity
        self._file = SqliteFile(path, "the votes", _SCHEMA)

    def agreed(self, key: str, writer: str, answer: Completion) -> bool:
        """Vote, and say whether enough agree now. Raises StoreError, StoreLocked."""
        now = self._clock()
        digest = hmac.digest(self._secret, b"answer:" + said(answer), "blake2b")[:32]
        with self._file.change() as db:
            db.execute(_FORGET, (now - _KEPT_S,))
            db.execute(_VOTE, (key, writer, digest, now))
            db.execute(_CROWDED, (self._capacity,))
            (votes,) = db.execute(_AGREED, (key, digest, now - _KEPT_S)).fetchone()
        return int(votes) >= self._after

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._file.close()


def said(answer: Completion) -> bytes:
    """What two answers must have in common: all but ids, times and the spaces between words."""
    return orjson.dumps([_choice(choice) for choice in answer.choices], option=orjson.OPT_SORT_KEYS)


def _choice(choice: dict[str, Any]) -> object:
    message = choice.get("message")
    if not isinstance(message, dict):
        return [choice.get("finish_reason"), _spaced(choice.get("text"))]
    calls = [call.get("function") or call for call in message.get("tool_calls") or ()]
    rest = {
        name: value
        for name, value in message.items()
        if name not in ("content", "tool_calls") and value is not None
    }
    return [choice.get("finish_reason"), _spaced(message.get("content")), calls, rest]


def _spaced(text: object) -> object:
    return " ".join(text.split()) if isinstance(text, str) else text
