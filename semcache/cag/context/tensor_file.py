"""A file of tensors, written so that it is there whole or not at all: safetensors, mode 0600.

Written beside its place under a name that nobody reads, made durable, and moved into place. What a
killed process left beside is cleared after an hour.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

NAME = re.compile(r"[0-9a-f]{64}\.safetensors")
_UNFINISHED = re.compile(r"\.[0-9a-f]{64}-[0-9a-f]{8}\.tmp")
_ABANDONED_S = 3600.0


def write(path: Path, tensors: Mapping[str, Tensor], said: Mapping[str, str]) -> None:
    """Write contiguous CPU tensors; durable when this returns. Raises OSError, SafetensorError."""
    folder = path.parent
    making = folder / f".{path.stem}-{secrets.token_hex(4)}.tmp"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(making, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        save_file(dict(tensors), making, metadata=dict(said))
        making.chmod(0o600)
        _sync(making)
        making.replace(path)
        _sync(folder)
    finally:
        with contextlib.suppress(OSError):
            making.unlink(missing_ok=True)


def clear_unfinished(folder: Path, now: float) -> None:
    """Remove what was begun long before `now` (Unix seconds) and never finished."""
    for path in folder.iterdir():
        if _UNFINISHED.fullmatch(path.name):
            with contextlib.suppress(FileNotFoundError):
                if now - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
