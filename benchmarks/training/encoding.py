"""Vectors and sketches of all texts, encoded once and kept in a file if one is named."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from semcache.embedding import SentenceEncoder
from semcache.sketch import Sketch

Known: TypeAlias = dict[str, tuple[NDArray[np.float32], Sketch | None]]
_CALL = 256


def encode_all(encoder: SentenceEncoder, texts: Sequence[str], cache: Path | None) -> Known:
    """Unit vector and sketch of each text that fits the encoder's window."""
    name = f"{encoder.fingerprint}.npz"
    known = _read(cache / name) if cache and (cache / name).exists() else {}
    missing = sorted(set(texts) - known.keys())
    for at in tqdm(range(0, len(missing), _CALL), desc="encode", disable=None, leave=False):
        part = missing[at : at + _CALL]
        for text, one in zip(part, encoder.encode(part), strict=True):
            if one.vector is not None:
                known[text] = (one.vector, one.sketch)
    if cache and missing:
        cache.mkdir(parents=True, exist_ok=True)
        write(cache / name, known)
    return known


def write(path: Path, known: Known) -> None:
    """Keep encodings: arrays only, no pickle."""
    sketches = [sketch for _, sketch in known.values()]
    lengths = [-1 if one is None else len(one.ids) for one in sketches]
    some = [one for one in sketches if one is not None]
    np.savez(
        path,
        texts=np.frombuffer(json.dumps(list(known)).encode(), dtype=np.uint8),
        vectors=np.stack([vector for vector, _ in known.values()]),
        lengths=np.array(lengths),
        ids=np.concatenate([one.ids for one in some]),
        rows=np.concatenate([one.rows for one in some]),
        scales=np.concatenate([one.scales for one in some]),
    )


def _read(path: Path) -> Known:
    with np.load(path, allow_pickle=False) as file:
        data = {name: file[name] for name in file.files}
    known: Known = {}
    begin = 0
    texts = json.loads(data["texts"].tobytes())
    for text, vector, length in zip(texts, data["vectors"], data["lengths"].tolist(), strict=True):
        if length < 0:
            known[text] = (vector, None)
            continue
        end = begin + length
        part = (data[name][begin:end] for name in ("ids", "rows", "scales"))
        known[text] = (vector, Sketch(*part))
        begin = end
    return known
