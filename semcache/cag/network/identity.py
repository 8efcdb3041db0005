"""What a model is, in digests that are cheap at every start.

Weights: the header of each safetensors file, its size and 64 samples of 16 KiB spread evenly over
it. Training changes all of a model, so a sample sees it; a hand that edits single weights between
the samples and keeps the size is not seen. Small files (configuration, tokenizer) count whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

_SAMPLES = 64
_SAMPLE_BYTES = 16 * 1024
_MAX_HEADER_BYTES = 100_000_000
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)
_MODEL_FILES = ("config.json", "generation_config.json")


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """64 hex digits each; `template` is the chat template's, or the plain format's."""

    weights: str
    tokenizer: str
    template: str


def identify(folder: Path, template: str) -> ModelIdentity:
    """The identity of the model in a folder. Raises OSError."""
    weights = [part for path in sorted(folder.glob("*.safetensors")) for part in _sampled(path)]
    weights.extend(_whole(folder, _MODEL_FILES))
    return ModelIdentity(
        weights=digest_of(*weights),
        tokenizer=digest_of(*_whole(folder, _TOKENIZER_FILES)),
        template=digest_of(template.encode()),
    )


def digest_of(*parts: bytes) -> str:
    """BLAKE2b-256 over length-prefixed parts, 64 hex digits."""
    digest = blake2b(digest_size=32)
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()


def _sampled(path: Path) -> list[bytes]:
    size = path.stat().st_size
    parts = [path.name.encode(), b"%d" % size]
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        parts.append(file.read(min(length, _MAX_HEADER_BYTES)))
        last = max(size - _SAMPLE_BYTES, 0)
        for at in range(_SAMPLES):
            file.seek(last * at // (_SAMPLES - 1))
            parts.append(file.read(_SAMPLE_BYTES))
    return parts


def _whole(folder: Path, names: tuple[str, ...]) -> list[bytes]:
    parts = []
    for name in names:
        path = folder / name
        if path.is_file():
            parts += [name.encode(), path.read_bytes()]
    return parts
