"""Blocks that were read once: in memory while they are used, on disk after, both bounded in bytes.

A block is the keys and values of some tokens, read after certain others: both are in its key, so
one store serves every mode. Whoever uses blocks holds them in a `Lease`, and what is held is not
evicted. A block is written by a thread of the store's own, so that no answer waits for the disk.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from semcache.cag.blocks.block_file import BlockFolder
from semcache.cag.context.segments import LayerKV
from semcache.cag.network.identity import ModelIdentity, digest_of

log = logging.getLogger("semcache.cag")

_LAYOUT = b"blocks-1"
_WAITING = 64
"""Blocks that may wait to be written; one more is read anew when it is needed again."""


class BlockKeys:
    """Names what was read by what it was made from; each name is 64 hex digits."""

    def __init__(self, identity: ModelIdentity, dtype: torch.dtype, attention: str) -> None:
        made_from = (identity.weights, identity.tokenizer, str(dtype), attention)
        self.root = digest_of(_LAYOUT, *(part.encode() for part in made_from))

    def after(self, before: str, ids: Sequence[int]) -> str:
        """The key of `ids` read after what `before` names (`root`: after nothing)."""
        return digest_of(before.encode(), b",".join(b"%d" % token for token in ids))


@dataclass(slots=True)
class _Kept:
    layers: tuple[LayerKV, ...]
    bytes: int


class BlockStore:
    """Thread-safe. `device` is where the blocks are used."""

    def __init__(self, folder: BlockFolder, max_bytes: int, device: torch.device) -> None:
        """`max_bytes`: of blocks in memory, those in use included while others can go."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._device = device
        self._lock = threading.RLock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0
        self._pins: Counter[str] = Counter()
        self._writing: queue.Queue[str | None] = queue.Queue()
        self._room = threading.Semaphore(_WAITING)
        self._writer = threading.Thread(target=self._write, name="semcache-blocks", daemon=True)
        self._writer.start()

    def lease(self) -> Lease:
        """What a request takes is its own until it closes the lease."""
        return Lease(self)

    @property
    def is_full(self) -> bool:
        """Whether the disk holds about as much as it may."""
        return self._folder.is_full

    def catch_up(self, seconds: float) -> bool:
        """Wait until one more block can be written; whether it can."""
        there = self._room.acquire(timeout=seconds)
        if there:
            self._room.release()
        return there

    @property
    def bytes(self) -> int:
        """Of all blocks in memory."""
        return self._bytes

    def close(self) -> None:
        """Write what waits, and end the thread. May be called twice."""
        self._writing.put(None)
        self._writer.join()

    def _take(self, key: str) -> tuple[LayerKV, ...] | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                self._pins[key] += 1
                return kept.layers
        found = self._folder.load(key)
        if found is None:
            return None
        layers = tuple((k.to(self._device), v.to(self._device)) for k, v in found)
        return self._keep(key, layers)[0]

    def _put(self, key: str, layers: tuple[LayerKV, ...]) -> tuple[LayerKV, ...]:
        layers, is_new = self._keep(key, _compact(layers))
        if is_new and self._room.acquire(blocking=False):
            with self._lock:
                self._pins[key] += 1  # until it is written
            self._writing.put(key)
        return layers

    def _keep(self, key: str, layers: tuple[LayerKV, ...]) -> tuple[tuple[LayerKV, ...], bool]:
        """Pinned once for the caller; who comes second gets what the first one brought."""
        size = sum(part.numel() * part.element_size() for kv in layers for part in kv)
        with self._lock:
            self._pins[key] += 1
            there = self._kept.get(key)
            if there is not None:
                return there.layers, False
            self._kept[key] = _Kept(layers, size)
            self._bytes += size
            self._shrink()
            return layers, True

    def _release(self, keys: Sequence[str]) -> None:
        with self._lock:
            for key in keys:
                self._pins[key] -= 1
                if not self._pins[key]:
                    del self._pins[key]
            self._shrink()

    def _shrink(self) -> None:
        """The least recently used that nobody holds go."""
        if self._bytes <= self._max_bytes:
            return
        for key in [key for key in self._kept if key not in self._pins]:
            self._bytes -= self._kept.pop(key).bytes
            if self._bytes <= self._max_bytes:
                return

    def _write(self) -> None:
        while (key := self._writing.get()) is not None:
            try:
                self._folder.save(key, self._kept[key].layers)
            except Exception:
                log.exception("a block could not be stored")
            self._room.release()
            self._release([key])


class Lease:
    """The blocks of one request. Not for sharing between threads, but for `close`."""

    def __init__(self, store: BlockStore) -> None:
        self._store = store
        self._held: list[str] = []
        self._closed = False

    def take(self, key: str) -> tuple[LayerKV, ...] | None:
        """Key and value of each layer, or None where the block must be read."""
        layers = self._store._take(key)
        if layers is not None:
            self._hold(key)
        return layers

    def put(self, key: str, layers: tuple[LayerKV, ...]) -> tuple[LayerKV, ...]:
        """A block that was just read; returns the one to use, as another may have been quicker."""
        layers = self._store._put(key, layers)
        self._hold(key)
        return layers

    def close(self) -> None:
        """Give all back, and what is still to come at once. On any thread, more than once."""
        with self._store._lock:
            self._closed = True
            held, self._held = self._held, []
            self._store._release(held)

    def _hold(self, key: str) -> None:
        with self._store._lock:
            if self._closed:
                self._store._release([key])
            else:
                self._held.append(key)


def _compact(layers: Sequence[LayerKV]) -> tuple[LayerKV, ...]:
    """A copy without the room that a growing buffer has beyond its last token."""
    if len({(key.shape, value.shape) for key, value in layers}) > 1:
        return tuple((key.clone(), value.clone()) for key, value in layers)
    keys = torch.cat([key for key, _ in layers])
    values = torch.cat([value for _, value in layers])
    return tuple(zip(torch.split(keys, 1), torch.split(values, 1), strict=True))
