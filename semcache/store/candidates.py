"""From what the index found to candidates: each entry once, by the nearest of its questions."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from semcache.interfaces import Candidate, Vector
from semcache.keys import Scope
from semcache.sketch import Sketch
from semcache.store import rows
from semcache.store.vector_index import VectorIndex

log = logging.getLogger("semcache.store")

_ALIASES = "SELECT id, entry, question FROM aliases WHERE id IN ("
_SKETCHES = "SELECT id, sketch FROM sketches WHERE id IN ("
_ALIAS_SKETCHES = "SELECT -id, sketch FROM aliases WHERE sketch IS NOT NULL AND id IN ("


class _Near(NamedTuple):
    """A vector that was found: the id in the index, whose it is, how near."""

    index_id: int
    entry_id: int
    similarity: float
    alias: str | None


def search(
    connection: sqlite3.Connection,
    index: VectorIndex,
    scope: Scope,
    query: Vector,
    k: int,
    with_sketches: bool,
) -> tuple[list[Candidate], bool]:
    """The k nearest entries, and whether all that was found is (still) there."""
    found = index.search(scope.digest(), query, k)
    if not found:
        return [], True
    if min(found)[0] < 0:
        near, whole = _nearest(connection, index, scope.digest(), query, k)
    elif with_sketches:
        near, whole = [_Near(at, at, similarity, None) for at, similarity in found], True
    else:  # what every lookup without a verifier does: nothing that it does not need
        entries = rows.by_ids(connection, [at for at, _ in found], scope)
        plain = [Candidate(entries[at], cosine) for at, cosine in found if at in entries]
        return plain, len(plain) == len(found)
    entries = rows.by_ids(connection, [each.entry_id for each in near], scope)
    sketches = _sketches(connection, [each.index_id for each in near]) if with_sketches else {}
    candidates = [
        Candidate(entries[each.entry_id], each.similarity, sketches.get(each.index_id), each.alias)
        for each in near
        if each.entry_id in entries
    ]
    return candidates, whole and len(candidates) == len(near)


def _nearest(
    connection: sqlite3.Connection, index: VectorIndex, digest: str, query: Vector, k: int
) -> tuple[list[_Near], bool]:
    """The nearest vector of each of the k nearest entries, where some have several."""
    wanted = k
    while True:
        found = index.search(digest, query, wanted)
        owners = _owners(connection, [-index_id for index_id, _ in found if index_id < 0])
        near: dict[int, _Near] = {}
        for index_id, similarity in found:
            entry_id, alias = (index_id, None) if index_id > 0 else owners.get(-index_id, (0, None))
            if entry_id:
                near.setdefault(entry_id, _Near(index_id, entry_id, similarity, alias))
        if len(near) >= k or len(found) < wanted:
            whole = len(owners) == sum(index_id < 0 for index_id, _ in found)
            return list(near.values())[:k], whole
        wanted *= 2


def _owners(
    connection: sqlite3.Connection, aliases: Sequence[int]
) -> dict[int, tuple[int, str | None]]:
    query = _ALIASES + ",".join("?" * len(aliases)) + ")"
    return {row[0]: (row[1], row[2]) for row in connection.execute(query, aliases).fetchall()}


def _sketches(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, Sketch]:
    """By id in the index. One that cannot be read is left out: the candidate has none then."""
    found: dict[int, Sketch] = {}
    own = [each for each in ids if each > 0]
    others = [-each for each in ids if each < 0]
    for query, some in ((_SKETCHES, own), (_ALIAS_SKETCHES, others)):
        if not some:
            continue
        marks = ",".join("?" * len(some)) + ")"
        for index_id, data in connection.execute(query + marks, some).fetchall():
            try:
                found[index_id] = Sketch.from_bytes(data)
            except ValueError as error:
                log.warning("the sketch of %d cannot be read (%s): run `check`", index_id, error)
    return found
