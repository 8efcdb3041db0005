"""Nearest vectors inside one scope, exactly filtered: every scope has its own slots.

Conversations make very many scopes of one to three entries: such a scope is a dict entry and a
small array of slots into the common arena, searched with numpy. From `LARGE` entries on a scope
also has codes (see `codes`), whose best are ranked again with the real vectors. Either way
the similarity is the cosine of the stored float32 vector.

Any number of threads may search while one updates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semcache.interfaces import Vector
from semcache.store.arena import Arena
from semcache.store.codes import ScanCodes
from semcache.store.rwlock import ReadWriteLock

LARGE = 256
_SMALL_AGAIN = LARGE // 2
_RERANKED = 64
_RERANKED_PER_RESULT = 8
_UPDATES_AT_ONCE = 256


class Members:
    """The slots of one scope, by position; with codes where there are many."""

    __slots__ = ("codes", "count", "slots")

    def __init__(self, slots: NDArray[np.int32], codes: ScanCodes | None = None) -> None:
        self.slots = slots
        self.count = len(slots)
        self.codes = codes

    @property
    def live(self) -> NDArray[np.int32]:
        """The slots in use, by position."""
        return self.slots[: self.count]

    def candidates(self, query: Vector, k: int) -> NDArray[np.int32]:
        """The slots to rank exactly for the k nearest."""
        if self.codes is None:
            return self.live
        return self.slots[self.codes.nearest(query, max(_RERANKED, _RERANKED_PER_RESULT * k))]

    def append(self, slot: int) -> int:
        """Add a slot; returns its position."""
        if self.count == len(self.slots):
            wider = np.zeros(max(2, 2 * self.count), dtype=np.int32)
            wider[: self.count] = self.slots
            self.slots = wider
        self.slots[self.count] = slot
        self.count += 1
        return self.count - 1

    def remove(self, position: int) -> int:
        """Take a slot out; returns the slot that moved to its position."""
        self.count -= 1
        self.slots[position] = self.slots[self.count]
        if self.codes is not None:
            self.codes.remove(position)
        return int(self.slots[position])


@dataclass(frozen=True, slots=True)
class Packed:
    """The rows of an index grouped by scope, for a file: `counts` rows for each of `scopes`.

    `codes` holds (ordinal of the scope, frame, serial form) of each large scope.
    """

    ids: NDArray[np.int64]
    vectors: Vector
    scopes: Sequence[str]
    counts: Sequence[int]
    codes: Sequence[tuple[int, Vector, NDArray[np.uint8]]]


class VectorIndex:
    """Entry ids by nearness of their vectors (unit length, shape (dim,)) inside a scope."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._lock = ReadWriteLock()
        self._arena = Arena(dim)
        self._scopes: dict[str, Members] = {}
        self._scope_of: dict[int, str] = {}
        self._slots: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def search(self, scope: str, query: Vector, k: int) -> list[tuple[int, float]]:
        """(id, cosine) of the k nearest of a scope, nearest first; equal ones by id."""
        with self._lock.reading():
            members = self._scopes.get(scope)
            if members is None:
                return []
            slots = members.candidates(query, k)
            similarities = self._arena.vectors[slots] @ query
            ids = self._arena.ids[slots]
        if k == 1:
            top = similarities.max()
            nearest = ids[similarities == top].min()
            return [(int(nearest), min(1.0, max(-1.0, float(top))))]
        best = np.lexsort((ids, -similarities))[:k]
        cosines = np.clip(similarities[best], -1.0, 1.0)
        return list(zip(ids[best].tolist(), cosines.tolist(), strict=True))

    # ------------------------------------------------------------------------------- updating

    def apply(self, added: Sequence[tuple[int, str, Vector]], removed: Iterable[int]) -> None:
        """Remove ids, then add (id, scope, vector). From one thread at a time.

        Ids already gone or already there are passed over: an id always means the same vector.
        """
        gone = list(removed)
        leaving = set(gone)
        coming = [row for row in added if row[0] not in leaving]
        for at in range(0, len(gone), _UPDATES_AT_ONCE):
            with self._lock.writing():
                for entry_id in gone[at : at + _UPDATES_AT_ONCE]:
                    self._remove(entry_id)
        for at in range(0, len(coming), _UPDATES_AT_ONCE):
            rows = coming[at : at + _UPDATES_AT_ONCE]
            larger = None if self._arena.has_room(len(rows)) else self._arena.grown(len(rows))
            with self._lock.writing():
                if larger is not None:
                    self._arena.swap(larger)
                for entry_id, scope, vector in rows:
                    if entry_id not in self._slots:
                        self._add(entry_id, scope, vector)

    def _add(self, entry_id: int, scope: str, vector: Vector) -> None:
        members = self._scopes.get(scope)
        if members is None:
            members = self._scopes[scope] = Members(np.empty(0, dtype=np.int32))
        slot = self._arena.place(entry_id, vector)
        self._slots[entry_id] = slot
        self._scope_of[entry_id] = scope
        self._arena.positions[slot] = members.append(slot)
        if members.codes is not None:
            members.codes.add(vector[None])
        elif members.count >= LARGE:
            members.codes = self._coded(members)

    def _remove(self, entry_id: int) -> None:
        slot = self._slots.pop(entry_id, None)
        if slot is None:
            return
        scope = self._scope_of.pop(entry_id)
        members = self._scopes[scope]
        position = int(self._arena.positions[slot])
        moved = members.remove(position)
        self._arena.positions[moved] = position
        self._arena.release(slot)
        if not members.count:
            del self._scopes[scope]
        elif members.count < _SMALL_AGAIN:
            members.codes = None

    def _coded(self, members: Members) -> ScanCodes:
        return ScanCodes.of(self._arena.vectors[members.live])

    # ---------------------------------------------------------------------------- whole index

    @classmethod
    def build(cls, packed: Packed) -> VectorIndex:
        """An index from rows grouped by scope; takes the arrays over. Codes missing are made."""
        index = cls(packed.vectors.shape[1])
        index._arena = Arena.adopt(packed.vectors, packed.ids)
        ids = packed.ids.tolist()
        index._slots = dict(zip(ids, range(len(ids)), strict=True))
        known = {ordinal: (frame, blob) for ordinal, frame, blob in packed.codes}
        start = 0
        for ordinal, (scope, count) in enumerate(zip(packed.scopes, packed.counts, strict=True)):
            end = start + count
            members = Members(np.arange(start, end, dtype=np.int32))
            index._arena.positions[start:end] = np.arange(count, dtype=np.int32)
            index._scope_of.update(dict.fromkeys(ids[start:end], scope))
            index._scopes[scope] = members
            if ordinal in known:
                members.codes = ScanCodes.load(*known[ordinal])
            elif count >= LARGE:
                members.codes = index._coded(members)
            start = end
        return index

    def pack(self) -> Packed:
        """A copy of everything. No update may run meanwhile; searches may."""
        scopes = list(self._scopes)
        slots = [self._scopes[scope].live for scope in scopes]
        order = np.concatenate(slots) if slots else np.empty(0, dtype=np.int32)
        codes = []
        for ordinal, scope in enumerate(scopes):
            coded = self._scopes[scope].codes
            if coded is not None:
                codes.append((ordinal, coded.frame, coded.dump()))
        return Packed(
            ids=self._arena.ids[order],
            vectors=self._arena.vectors[order],
            scopes=scopes,
            counts=[len(each) for each in slots],
            codes=codes,
        )

    def shape(self) -> tuple[int, int]:
        """(scopes, scopes with codes)."""
        members = list(self._scopes.values())
        return len(members), sum(each.codes is not None for each in members)

    def row(self, entry_id: int) -> tuple[str, Vector] | None:
        """Scope and vector under which a search finds this id, or None. No update meanwhile."""
        slot = self._slots.get(entry_id)
        if slot is None or self._arena.ids[slot] != entry_id:
            return None
        scope = self._scope_of.get(entry_id, "")
        members = self._scopes.get(scope)
        position = int(self._arena.positions[slot])
        if members is None or position >= members.count or members.slots[position] != slot:
            return None
        return scope, self._arena.vectors[slot]

    def ids(self) -> set[int]:
        """All ids that a search can find. No update meanwhile."""
        found = set(self._slots)
        for members in self._scopes.values():
            found.update(self._arena.ids[members.live].tolist())
        return found

    def wrong_codes(self) -> list[int]:
        """The ids whose code does not belong to their vector. No update meanwhile."""
        wrong: list[int] = []
        for members in self._scopes.values():
            if members.codes is None:
                continue
            right = np.zeros(members.count, dtype=np.bool_)
            if len(members.codes) == members.count:
                right = members.codes.right(self._arena.vectors[members.live])
            wrong.extend(self._arena.ids[members.live[~right]].tolist())
        return wrong
