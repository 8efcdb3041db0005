"""The graph that the encoder runs, on disk: made once, checked whenever it is opened.

It lies in a folder named by the digest of source and recipe, so another source or recipe is
another folder. It is made beside its place and renamed into it, under a lock that several
processes respect; a manifest holds its size and digest, and what does not match is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from semcache.embedding.source import READY, TOKENIZER, WEIGHTS, Source, file_digest
from semcache.errors import ConfigError

RECIPE = "rowwise-int8 1"
PLAIN_RECIPE = "fp32 1"
READY_RECIPE = "ready 1"
Say = Callable[[str], None]

_MANIFEST = "manifest.json"
_MODEL = "model.onnx"


@dataclass(frozen=True, slots=True)
class Artefact:
    """A graph that can be run. `window` in tokens; `fingerprint` 32 hex digits."""

    model: Path
    tokenizer: Path
    window: int
    fingerprint: str


def models_dir() -> Path:
    """Where prepared models lie: $SEMCACHE_CACHE_DIR, or semcache/ in the user's cache folder."""
    own = os.environ.get("SEMCACHE_CACHE_DIR")
    if own:
        return Path(own) / "models"
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "semcache" / "models"


def prepare(source: Source, cache_dir: Path, *, quantize: bool = True, say: Say) -> Artefact:
    """The artefact of a source, made unless it is there. Raises ConfigError.

    Several processes may call this at once: one makes, the others wait.
    """
    recipe = READY_RECIPE if source.ready else RECIPE if quantize else PLAIN_RECIPE
    fingerprint = hashlib.sha256(f"{recipe}\n{source.digest()}".encode()).hexdigest()[:32]
    tokenizer = source.folder / TOKENIZER
    if source.ready:
        return Artefact(source.folder / READY, tokenizer, source.window, fingerprint)
    folder = cache_dir / fingerprint
    try:
        cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _intact(folder):
            with FileLock(cache_dir / f"{fingerprint}.lock", mode=0o600):
                if not _intact(folder):
                    say(f"converting the encoder in {source.folder} (once)")
                    _make(source, folder, quantize)
    except OSError as error:
        raise ConfigError(
            f"The encoder cannot be kept in {cache_dir} ({error.strerror or error}): "
            "set SEMCACHE_CACHE_DIR to a folder that can be written."
        ) from error
    return Artefact(folder / _MODEL, tokenizer, source.window, fingerprint)


def _intact(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        model = folder / _MODEL
        if model.stat().st_size != manifest["bytes"]:
            return False
        return bool(file_digest(model).hex() == manifest["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _make(source: Source, folder: Path, quantize: bool) -> None:
    # Holding the lock: whoever left these was killed.
    for left in folder.parent.glob(f".{folder.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        content = _convert(source, quantize)
        manifest = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        _write(made / _MODEL, content)
        _write(made / _MANIFEST, json.dumps(manifest).encode())
        _sync_folder(made)
        if folder.exists():
            folder.rename(Path(tempfile.mkdtemp(prefix=made.name, dir=folder.parent)) / "damaged")
        made.replace(folder)
        _sync_folder(folder.parent)
    finally:
        for left in folder.parent.glob(f"{made.name}*"):
            shutil.rmtree(left, ignore_errors=True)


def _convert(source: Source, quantize: bool) -> bytes:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from semcache.embedding.graph import build_graph

    try:
        loaded: dict[str, Any] = load_file(source.folder / WEIGHTS)
        weights = {name.removeprefix("bert."): array for name, array in loaded.items()}
        serialized: bytes = build_graph(
            weights, source.config, quantize=quantize
        ).SerializeToString()
    except (SafetensorError, KeyError, ValueError, TypeError, IndexError) as error:
        raise ConfigError(
            f"The encoder in {source.folder} cannot be converted: {type(error).__name__}: {error}"
        ) from error
    return serialized


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot open a folder
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
