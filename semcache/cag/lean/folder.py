"""The parts of lean networks on disk, made once.

    <cache>/models/lean-<digest of weights, kind and layout>/00.onnx …

A folder appears there whole or not at all.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from filelock import FileLock

from semcache.cag.network.identity import digest_of

_LAYOUT = b"semcache-lean-1"


def lean_parts(
    cache_dir: Path, weights: str, kind: str, build: Callable[[], Iterable[Any]]
) -> list[Path]:
    """The files of the parts, in order; `build` gives the graphs where there are none yet.

    `weights` is the model's identity, `kind` how they are packed. Raises OSError, and what `build`
    raises.
    """
    models = cache_dir / "models"
    models.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"lean-{digest_of(weights.encode(), kind.encode(), _LAYOUT)[:32]}"
    folder = models / name
    if not folder.is_dir():
        with FileLock(models / f"{name}.lock"):
            if not folder.is_dir():
                _make(folder, build())
    return sorted(folder.glob("*.onnx"))


def _make(folder: Path, graphs: Iterable[Any]) -> None:
    making = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    making.mkdir(mode=0o700)
    try:
        for number, graph in enumerate(graphs):
            with (making / f"{number:03d}.onnx").open("wb") as file:
                file.write(graph.SerializeToString())
                file.flush()
                os.fsync(file.fileno())
        making.replace(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
