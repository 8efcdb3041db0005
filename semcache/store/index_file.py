"""The vector index on disk: a copy to start from, never the truth.

Layout: a checksum of the rest; one line of JSON (the stamp and the sizes); scope digests as text,
ids (int64), vectors (float32) and, for each large scope, its frame and FAISS's serial form, all
little-endian. It is written beside and renamed, so that a file is whole or absent. It is used
only when its stamp names the same database, schema, encoder and dimension.
"""

from __future__ import annotations

import json
import logging
import os
import time
import zlib
from dataclasses import asdict, dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcache.store.vector_index import Packed, VectorIndex

log = logging.getLogger("semcache.store")

FORMAT = 1
_HEADER_LIMIT = 64 << 20
_CHECKSUM_LIMIT = 16
_ABANDONED_AFTER_S = 3600.0


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an index file belongs to. `seq` is the last transaction that it knows."""

    epoch: str
    schema: int
    embedder: str
    dim: int
    seq: int


def save(path: Path, index: Packed, stamp: Stamp) -> None:
    """Write the file, durably, in place of the old one. Raises OSError."""
    parts: list[NDArray[Any]] = [
        np.frombuffer("\n".join(index.scopes).encode(), dtype=np.uint8),
        np.ascontiguousarray(index.ids, dtype="<i8"),
        np.ascontiguousarray(index.vectors, dtype="<f4"),
    ]
    for _, frame, blob in index.codes:
        parts += [np.ascontiguousarray(frame, dtype="<f4"), blob]
    header = {
        "format": FORMAT,
        **asdict(stamp),
        "count": len(index.ids),
        "scope_bytes": parts[0].nbytes,
        "counts": list(index.counts),
        "codes": [(ordinal, blob.nbytes) for ordinal, _, blob in index.codes],
    }
    line = json.dumps(header).encode() + b"\n"
    checksum = zlib.crc32(line)
    for part in parts:
        checksum = zlib.crc32(part.data, checksum)
    _replace(path, b"%08x\n%b" % (checksum, line), parts)


def _replace(path: Path, header: bytes, parts: list[NDArray[Any]]) -> None:
    for stray in path.parent.glob(f"{path.name}.*.tmp"):
        if time.time() - stray.stat().st_mtime > _ABANDONED_AFTER_S:
            stray.unlink(missing_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(header)
            for part in parts:
                file.write(part.data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def load(path: Path, wanted: Stamp) -> tuple[VectorIndex, int] | None:
    """The index and the last transaction it knows, or None, logged, where it is of no use.

    `wanted.seq` is where the database is: a file that knows more is of another history.
    """
    try:
        with path.open("rb") as file:
            return _read(file, wanted)
    except FileNotFoundError:
        log.info("no index file: the index is built from the rows")
    except Exception as error:  # whatever it is, the rows are the truth
        log.warning("the index file is of no use (%s): built again from the rows", error)
    return None


def _read(file: BufferedReader, wanted: Stamp) -> tuple[VectorIndex, int]:
    promised = file.readline(_CHECKSUM_LIMIT)
    line = file.readline(_HEADER_LIMIT)
    header = json.loads(line)
    if not isinstance(header, dict) or header["format"] != FORMAT:
        raise ValueError("another format")
    for name in ("epoch", "schema", "embedder", "dim"):
        if header[name] != getattr(wanted, name):
            raise ValueError(f"another {name}")
    if header["seq"] > wanted.seq:
        raise ValueError("it knows more than the database")
    count, dim, checksum = header["count"], header["dim"], zlib.crc32(line)
    size = header["scope_bytes"] + count * (8 + 4 * dim)
    size += sum(8 * dim + held for _, held in header["codes"])
    if os.fstat(file.fileno()).st_size - file.tell() != size:
        raise ValueError("truncated, or too long")

    def part(kind: str, *shape: int) -> NDArray[Any]:
        nonlocal checksum
        array = np.empty(shape, dtype=kind)
        file.readinto(array.data)
        checksum = zlib.crc32(array.data, checksum)
        return array

    text = part("u1", header["scope_bytes"]).tobytes()
    ids, vectors = part("<i8", count), part("<f4", count, dim)
    codes = [(at, part("<f4", 2, dim), part("u1", held)) for at, held in header["codes"]]
    if promised != b"%08x\n" % checksum:
        raise ValueError("damaged")
    scopes = text.decode().split("\n") if text else []
    packed = Packed(ids, vectors, scopes, header["counts"], codes)
    return VectorIndex.build(packed), int(header["seq"])
