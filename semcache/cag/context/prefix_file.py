"""A prefix on disk: safetensors, with what it was made from in the header.

    <data>/prefixes/<digest of what it was made from>.safetensors       mode 0600

Written beside and moved into place. Read by memory map, so that a large prefix is there at once
and processes share it; each tensor's bytes are checked against the SHA-256 in the header. A file
that is damaged, or was made from anything else, is refused and logged: the prefix is read anew.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from semcache.cag.context import tensor_file
from semcache.cag.context.prefix import Prefix
from semcache.cag.context.segments import LayerKV
from semcache.cag.network.identity import digest_of

log = logging.getLogger("semcache.cag")

_LAYOUT = 1


@dataclass(frozen=True, slots=True)
class PrefixHeader:
    """What a prefix was made from; two that differ anywhere are two prefixes. Digests are hex."""

    weights: str
    tokenizer: str
    template: str
    knowledge: str
    token_ids: str
    tokens: int
    dtype: str
    stored_dtype: str
    sharing: str
    layout: int = _LAYOUT

    def digest(self) -> str:
        """64 hex digits: the file's name."""
        return digest_of(*(f"{name}={value}".encode() for name, value in asdict(self).items()))


class PrefixFolder:
    """The saved prefixes; the `kept` most recently used stay."""

    def __init__(self, folder: Path, kept: int) -> None:
        self._folder = folder
        self._kept = kept

    def path_of(self, header: PrefixHeader) -> Path:
        """Where this prefix lies."""
        return self._folder / f"{header.digest()}.safetensors"

    def load(self, header: PrefixHeader) -> tuple[LayerKV, ...] | None:
        """Keys and values of each layer, on the CPU, or None where there is no fitting file."""
        path = self.path_of(header)
        if not path.exists():
            return None
        try:
            layers = _read(path, header)
            os.utime(path)
        except (OSError, SafetensorError, ValueError, KeyError) as error:
            log.warning("saved prefix %s refused, it is read anew: %s", path.name, error)
            return None
        return layers

    def save(self, header: PrefixHeader, prefix: Prefix) -> Path | None:
        """Write the file, durable when this returns; None, and a log line, where it cannot be."""
        path = self.path_of(header)
        try:
            _write(path, header, prefix)
            self._prune(path)
        except (OSError, SafetensorError) as error:
            log.warning("the prefix cannot be saved, the next start reads it anew: %s", error)
            return None
        return path

    def _prune(self, current: Path) -> None:
        newest_first = sorted(
            (path for path in self._folder.iterdir() if tensor_file.NAME.fullmatch(path.name)),
            key=lambda path: (path == current, path.stat().st_mtime),
            reverse=True,
        )
        for path in newest_first[self._kept :]:
            path.unlink(missing_ok=True)
        tensor_file.clear_unfinished(self._folder, current.stat().st_mtime)


def _write(path: Path, header: PrefixHeader, prefix: Prefix) -> None:
    stored = getattr(torch, header.stored_dtype)
    tensors = {
        name: tensor.to("cpu", stored).contiguous() for name, tensor in _named(prefix.layers)
    }
    said = {
        "made_from": json.dumps(asdict(header)),
        "sha256": json.dumps({name: _sha256(tensor) for name, tensor in tensors.items()}),
    }
    tensor_file.write(path, tensors, said)


def _read(path: Path, header: PrefixHeader) -> tuple[LayerKV, ...]:
    with safe_open(path, framework="pt") as file:
        said = file.metadata() or {}
        if json.loads(said["made_from"]) != asdict(header):
            raise ValueError("made from something else")
        digests: dict[str, str] = json.loads(said["sha256"])
        parts = {}
        for name in file.keys():  # noqa: SIM118 - the handle is no mapping
            parts[name] = file.get_tensor(name)
            if _sha256(parts[name]) != digests[name]:
                raise ValueError(f"{name} is damaged")
    dtype = getattr(torch, header.dtype)
    layers = tuple(
        (parts[f"{at}.key"].to(dtype), parts[f"{at}.value"].to(dtype))
        for at in range(len(parts) // 2)
    )
    if len(layers) * 2 != len(digests):
        raise ValueError("it is incomplete")
    return layers


def _named(layers: tuple[LayerKV, ...]) -> Iterator[tuple[str, torch.Tensor]]:
    for at, (key, value) in enumerate(layers):
        yield f"{at}.key", key
        yield f"{at}.value", value


def _sha256(tensor: torch.Tensor) -> str:
    return sha256(tensor.reshape(-1).view(torch.uint8).numpy().data).hexdigest()
