"""All vectors of a store in one matrix, whatever their scope.

Slots are reused; the matrix doubles when it is full. Doubling copies into a new matrix and then
swaps it in, so a reader that holds the old one keeps reading what it knew, undisturbed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semcache.interfaces import Vector

_FIRST = 1024


class Arena:
    """Rows by slot: vector, the entry's id (0: free), its position inside its scope."""

    def __init__(self, dim: int, capacity: int = _FIRST) -> None:
        self.dim = dim
        self.vectors: Vector = np.empty((capacity, dim), dtype=np.float32)
        self.ids: NDArray[np.int64] = np.zeros(capacity, dtype=np.int64)
        self.positions: NDArray[np.int32] = np.zeros(capacity, dtype=np.int32)
        self._fresh = 0
        self._free: list[int] = []

    @classmethod
    def adopt(cls, vectors: Vector, ids: NDArray[np.int64]) -> Arena:
        """An arena whose first slots are these rows; takes the arrays over."""
        arena = cls(vectors.shape[1], 0)
        arena.vectors, arena.ids = vectors, ids
        arena.positions = np.zeros(len(ids), dtype=np.int32)
        arena._fresh = len(ids)
        return arena

    def has_room(self, count: int) -> bool:
        """Whether `count` rows can be placed without growing."""
        return len(self._free) + len(self.ids) - self._fresh >= count

    def grown(self, count: int) -> tuple[Vector, NDArray[np.int64], NDArray[np.int32]]:
        """Copies of the three arrays, with room for `count` rows more: to be given to `swap`."""
        capacity = max(_FIRST, 2 * len(self.ids), self._fresh + count)
        vectors = np.empty((capacity, self.dim), dtype=np.float32)
        ids = np.zeros(capacity, dtype=np.int64)
        positions = np.zeros(capacity, dtype=np.int32)
        vectors[: self._fresh] = self.vectors[: self._fresh]
        ids[: self._fresh] = self.ids[: self._fresh]
        positions[: self._fresh] = self.positions[: self._fresh]
        return vectors, ids, positions

    def swap(self, arrays: tuple[Vector, NDArray[np.int64], NDArray[np.int32]]) -> None:
        """Use the grown arrays from now on."""
        self.vectors, self.ids, self.positions = arrays

    def place(self, entry_id: int, vector: Vector) -> int:
        """Put a row into a free slot; returns the slot. There must be room."""
        if self._free:
            slot = self._free.pop()
        else:
            slot = self._fresh
            self._fresh += 1
        self.vectors[slot] = vector
        self.ids[slot] = entry_id
        return slot

    def release(self, slot: int) -> None:
        """Make a slot free."""
        self.ids[slot] = 0
        self._free.append(slot)
