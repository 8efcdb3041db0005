"""One block's keys and values on disk, and the folder that holds them, bounded in bytes.

    <data>/blocks/<key>.safetensors       mode 0600

All layers' keys are one tensor, and all values another, so that a block is mapped in a fraction of
a millisecond. A checksum over the words guards against a damaged disk: it takes a fifth of the
time of a copy, where a cryptographic digest would take several times the read, and is looked at
once for each state of a file. What is damaged or made from anything else is removed: a miss.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from semcache.cag.context import tensor_file
from semcache.cag.context.segments import LayerKV

log = logging.getLogger("semcache.cag")

_LAYOUT = 1
_ROW = 512
_ROOMY = 0.9
"""Down to this share of the bound, so that not every new block costs a look at all files."""


class BlockFolder:
    """Blocks by key (64 hex digits). For one writing thread; `load` from any thread."""

    def __init__(
        self, folder: Path, max_bytes: int, stored: torch.dtype, used: torch.dtype
    ) -> None:
        """`stored`: the type on disk; `used`: the type that `load` gives."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._stored = stored
        self._used = used
        self._bytes: int | None = None
        self._proved: dict[str, tuple[int, int, int]] = {}

    def has(self, key: str) -> bool:
        """Whether there is a file; it may turn out to be damaged."""
        return self._path(key).exists()

    def load(self, key: str) -> tuple[LayerKV, ...] | None:
        """Key and value of each layer, memory-mapped on the CPU, or None."""
        path = self._path(key)
        try:
            status = path.stat()
        except OSError:
            return None
        state = (status.st_ino, status.st_size, status.st_mtime_ns)
        try:
            layers = self._read(path, key, self._proved.get(key) == state)
            os.utime(path)
            status = path.stat()
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            log.warning("stored block %s refused, it is read anew: %s", path.name, error)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            return None
        self._proved[key] = (status.st_ino, status.st_size, status.st_mtime_ns)
        return layers

    def save(self, key: str, layers: tuple[LayerKV, ...]) -> bool:
        """Write a block, durable when this returns; False, and a log line, where it cannot be."""
        try:
            tensors = {
                "keys": self._joined([key for key, _ in layers]),
                "values": self._joined([value for _, value in layers]),
            }
            said = {
                "key": key,
                "layout": str(_LAYOUT),
                "sums": json.dumps({name: _checksum(one) for name, one in tensors.items()}),
            }
            path = self._path(key)
            tensor_file.write(path, tensors, said)
            self._note(path)
        except (OSError, SafetensorError, RuntimeError) as error:
            log.warning("a block cannot be stored, it is read anew when it is needed: %s", error)
            return False
        return True

    @property
    def is_full(self) -> bool:
        """Whether one more block may push out another."""
        return self.bytes() > self._max_bytes * _ROOMY

    def bytes(self) -> int:
        """Of all files. Looks at each of them the first time."""
        if self._bytes is None:
            self._bytes = sum(size for _, size, _ in self._files())
        return self._bytes

    def _note(self, path: Path) -> None:
        """Count a new file; where there are too many bytes, the least recently used go."""
        size = path.stat().st_size
        self._bytes = self.bytes() if self._bytes is None else self._bytes + size
        if self._bytes <= self._max_bytes:
            return
        files = sorted(self._files())
        self._bytes = sum(size for _, size, _ in files)
        for _, size, old in files:
            if self._bytes <= self._max_bytes * _ROOMY:
                break
            if old != path:
                old.unlink(missing_ok=True)
                self._proved.pop(old.stem, None)
                self._bytes -= size
        tensor_file.clear_unfinished(self._folder, time.time())

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """(mtime in ns, bytes, path) of every block."""
        if not self._folder.is_dir():
            return
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if tensor_file.NAME.fullmatch(entry.name):
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat()
                        yield status.st_mtime_ns, status.st_size, Path(entry.path)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.safetensors"

    def _joined(self, parts: list[Tensor]) -> Tensor:
        """(layers, kv heads, tokens, dim), on the CPU in the stored type."""
        return torch.cat(parts).to("cpu", self._stored).contiguous()

    def _read(self, path: Path, key: str, proved: bool) -> tuple[LayerKV, ...]:
        with safe_open(path, framework="pt") as file:
            said = file.metadata() or {}
            if (said["key"], said["layout"]) != (key, str(_LAYOUT)):
                raise ValueError("made from something else")
            sums = json.loads(said["sums"])
            joined = {name: file.get_tensor(name) for name in ("keys", "values")}
        for name, tensor in joined.items():
            if tensor.dtype != self._stored:
                raise ValueError("stored in another type")
            if not proved and _checksum(tensor) != sums[name]:
                raise ValueError(f"its {name} are damaged")
        keys, values = (joined[name].to(self._used).split(1) for name in ("keys", "values"))
        return tuple(zip(keys, values, strict=True))


def _checksum(tensor: Tensor) -> int:
    """A weighted sum of 64-bit words: any changed bit and any exchanged pages change it."""
    raw = tensor.reshape(-1).view(torch.uint8).numpy()
    raw = np.pad(raw, (0, -raw.size % 8)) if raw.size % 8 else raw
    words = raw.view(np.uint64)
    whole = words.size // _ROW * _ROW
    sums = words[:whole].reshape(-1, _ROW).sum(axis=1, dtype=np.uint64)
    sums = np.concatenate((sums, words[whole:]))
    odd = np.arange(1, 2 * sums.size, 2, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return int((sums * odd).sum(dtype=np.uint64))
