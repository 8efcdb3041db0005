"""The memory tier: the entries used last, with their bytes, in front of the store.

Least recently used goes first; bounded by the bytes of the answers. Safe from several threads.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from semcache.interfaces import Entry
from semcache.render import Rendered


@dataclass(frozen=True, slots=True)
class Remembered:
    """An entry, its bytes, and the store's version when it was last known to be true."""

    entry: Entry
    rendered: Rendered
    version: int
    size: int


class Memory:
    """A bounded map from exact key to Remembered."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._withdrawals = 0
        self._items: OrderedDict[str, Remembered] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Remembered | None:
        """Look up, and mark as used."""
        with self._lock:
            item = self._items.get(key)
            if item is not None:
                self._items.move_to_end(key)
            return item

    def entry(self, key: str) -> Entry | None:
        """The entry under a key, where it is remembered."""
        item = self._items.get(key)
        return None if item is None else item.entry

    @property
    def withdrawals(self) -> int:
        """How often something was withdrawn: to be read before what is to be put is read."""
        return self._withdrawals

    def put(self, item: Remembered, withdrawals: int | None = None) -> None:
        """Remember, in place of what was there; an item larger than the bound is not kept.

        Nor is one that was read before the last withdrawal: it may be what was withdrawn.
        """
        with self._lock:
            self._drop(item.entry.key)
            if item.size > self._max_bytes or withdrawals not in (None, self._withdrawals):
                return
            self._items[item.entry.key] = item
            self._bytes += item.size
            while self._bytes > self._max_bytes:
                self._drop(next(iter(self._items)))

    def forget(self, key: str) -> None:
        """Drop one item, if it is there."""
        with self._lock:
            self._drop(key)

    def withdraw(self, key: str) -> None:
        """Drop one item, also from the hands of who has read it and not yet put it."""
        with self._lock:
            self._drop(key)
            self._withdrawals += 1

    def clear(self) -> None:
        """Withdraw everything."""
        with self._lock:
            self._withdrawals += 1
            self._items.clear()
            self._bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    def _drop(self, key: str) -> None:
        item = self._items.pop(key, None)
        if item is not None:
            self._bytes -= item.size
