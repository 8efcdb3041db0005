"""The tails of several requests side by side, so that one operation serves them all.

Each tail has a slot: a row of one buffer per layer. The tail itself goes on from views of its slot,
so it can be read alone as before; one that grows beyond its slot moves out into buffers of its own,
and the next turn lays all of them side by side anew.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence

from torch import Tensor

from semcache.cag.context.segments import LayerKV
from semcache.cag.context.tail import TailCache

_BLOCK = 64
_SPARSE = 4
"""Slots for each tail beyond which the buffers are made anew, smaller."""


class TailBatch:
    """`layers`: keys and values of each layer, (slots, kv heads, room, dim); room in tokens.

    A slot is free again when its tail has moved out or is gone: a tail that sits out a turn keeps
    its own.
    """

    def __init__(self, caches: Sequence[TailCache], more: int) -> None:
        """Lay `caches`, all begun, side by side with room for `more` tokens each."""
        longest = max(cache.length for cache in caches) + more
        self.room = (longest // _BLOCK + 1) * _BLOCK
        slots = 1 << (len(caches) - 1).bit_length()
        self.layers: tuple[LayerKV, ...] = tuple(
            (_zeros(keys, slots, self.room), _zeros(values, slots, self.room))
            for keys, values in (tail.written for tail in caches[0].tails)
        )
        self._held: list[weakref.ref[TailCache] | None] = [None] * slots
        for slot, cache in enumerate(caches):
            self._place(cache, slot)

    def slots(self, caches: Sequence[TailCache], more: int) -> list[int] | None:
        """Each tail's slot, newcomers placed; None where they do not fit, or far too well."""
        there: dict[int, int] = {}
        free = []
        for slot in range(len(self._held)):
            cache = self._tenant(slot)
            if cache is None:
                free.append(slot)
            else:
                there[id(cache)] = slot
        new = [cache for cache in caches if id(cache) not in there]
        if len(new) > len(free) or len(caches) * _SPARSE < len(self._held):
            return None
        if any(cache.length + more > self.room for cache in caches):
            return None
        for cache, slot in zip(new, free, strict=False):
            self._place(cache, slot)
            there[id(cache)] = slot
        return [there[id(cache)] for cache in caches]

    def _tenant(self, slot: int) -> TailCache | None:
        held = self._held[slot]
        cache = None if held is None else held()
        if cache is not None:
            begins = cache.tails[0].written[0].data_ptr()
            if begins == self.layers[0][0][slot].data_ptr():
                return cache
        self._held[slot] = None
        return None

    def _place(self, cache: TailCache, slot: int) -> None:
        for tail, (keys, values) in zip(cache.tails, self.layers, strict=True):
            tail.move_to((keys[slot : slot + 1], values[slot : slot + 1]))
        self._held[slot] = weakref.ref(cache)


def _zeros(like: Tensor, slots: int, room: int) -> Tensor:
    """Zeros, as a weight of zero times what lies there by chance may be no number."""
    return like.new_zeros((slots, like.shape[1], room, like.shape[3]))
