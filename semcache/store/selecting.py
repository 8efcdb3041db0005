"""The rows that an operator means, newest first."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import partial
from typing import Any

import orjson

from semcache.interfaces import Entry
from semcache.selection import Holding, Selection
from semcache.store import rows

_HOLDINGS = """
SELECT tenant, model, count(*), sum(bytes) FROM entries
GROUP BY tenant, model ORDER BY count(*) DESC, tenant, model LIMIT ?
"""
_CONDITIONS = {
    "quarantined": "e.state <> ''",
    "stale": "e.state = '' AND e.expires_at <= :now",
    "fresh": "e.state = '' AND (e.expires_at IS NULL OR e.expires_at > :now)",
}
_PAGE = 200


def select(
    connection: sqlite3.Connection, wanted: Selection, before: int | None, most: int
) -> list[Entry]:
    """Entries with ids below `before` that are meant, by descending id, `most` at most."""
    where, bound = _where(wanted)
    if wanted.contains is not None:
        may = partial(_may_contain, wanted.contains.casefold())
        connection.create_function("may_contain", 2, may, deterministic=True)
    found: list[Entry] = []
    last = 2**63 - 1 if before is None else before
    while len(found) < most:
        size = most - len(found) if wanted.namespace is None else _PAGE
        page = list(_page(connection, where, {**bound, "last": last, "size": size}))
        for entry_id, entry in page:
            last = entry_id
            if entry is not None and wanted.holds(entry):
                found.append(entry)
                if len(found) == most:
                    break
        if len(page) < size:
            break
    return found


def holdings(connection: sqlite3.Connection, most: int) -> list[Holding]:
    """Who has how much of which model's answers, the most first."""
    return [Holding(*row) for row in connection.execute(_HOLDINGS, (most,)).fetchall()]


def _page(
    connection: sqlite3.Connection, where: str, bound: dict[str, Any]
) -> Iterator[tuple[int, Entry | None]]:
    query = f"{rows.SELECT}WHERE e.id < :last{where} ORDER BY e.id DESC LIMIT :size"
    for row in connection.execute(query, bound).fetchall():
        yield row[0], rows.decoded(row)


def _where(wanted: Selection) -> tuple[str, dict[str, Any]]:
    """What SQL can say of it; the predicate says the rest."""
    columns = ("tenant", "model", "answerer", "question")
    equal = {name: value for name in columns if (value := getattr(wanted, name)) is not None}
    terms = [f"e.{name} = :{name}" for name in equal]
    bound: dict[str, Any] = {"now": wanted.now, **equal}
    if wanted.key is not None:
        terms.append("e.key >= :key AND e.key < :key || 'g'")  # keys are hex digits
        bound["key"] = wanted.key
    if wanted.created_before is not None:
        terms.append("e.created_at < :created_before")
        bound["created_before"] = wanted.created_before
    if wanted.condition is not None:
        terms.append(_CONDITIONS[wanted.condition])
    if wanted.contains is not None:
        terms.append("may_contain(e.question, c.json)")
    return "".join(f" AND {term}" for term in terms), bound


def _may_contain(text: str, question: str | None, answer: bytes) -> bool:
    """Whether a folded text is in the question, or anywhere in the answer's JSON.

    Never false where the predicate is true: case is folded by the character, and escapes are JSON's
    own on both sides. It spares the reading of nearly all that does not contain it.
    """
    if question is not None and text in question.casefold():
        return True
    return orjson.dumps(text).decode()[1:-1] in answer.decode(errors="replace").casefold()
