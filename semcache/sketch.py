"""The token vectors of one text in a few kilobytes: what a judge of near-duplicates looks at.

They come from the encoder's own forward pass (ColBERT's late interaction, SIGIR 2020, without its
training) and are kept with the entry, so that judging costs no second pass over the stored
question. A row of 8-bit integers and one scale for each token are enough: see `sketch_of`.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

MAX_TOKENS = 64

Ints: TypeAlias = NDArray[np.int32]
Bytes: TypeAlias = NDArray[np.int8]
Floats: TypeAlias = NDArray[np.float32]

_MAGIC = b"SK"
_VERSION = 1
_HEADER = struct.Struct("<2sBBHxxI")  # magic, version, tokens, dim, CRC-32 of all the rest
_CRC_AT = 8
_MOST = 127
_MAX_DIM = 0xFFFF


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """Token ids (n,) and vectors (n, dim), special tokens left out; n is at most MAX_TOKENS.

    `rows * scales[:, None]` are unit vectors, or zero where the encoder gave a zero vector.
    """

    ids: Ints
    rows: Bytes
    scales: Floats

    def vectors(self) -> Floats:
        """The unit vectors, float32 (n, dim)."""
        return self.rows.astype(np.float32) * self.scales[:, None]

    def to_bytes(self) -> bytes:
        """A versioned little-endian form with a checksum; 12 + n * (8 + dim) bytes."""
        count, dim = self.rows.shape
        body = (
            self.ids.astype("<i4").tobytes()
            + self.scales.astype("<f4").tobytes()
            + self.rows.tobytes()
        )
        head = _HEADER.pack(_MAGIC, _VERSION, count, dim, 0)[:_CRC_AT]
        return head + struct.pack("<I", zlib.crc32(body, zlib.crc32(head))) + body

    @classmethod
    def from_bytes(cls, data: bytes) -> Sketch:
        """The inverse of `to_bytes`; the arrays are read-only. Raises ValueError."""
        if len(data) < _HEADER.size:
            raise ValueError("a sketch is longer than this")
        magic, version, count, dim, checksum = _HEADER.unpack_from(data)
        if magic != _MAGIC or version != _VERSION:
            raise ValueError("not a sketch of this version")
        if count > MAX_TOKENS or not dim or len(data) != _HEADER.size + count * (8 + dim):
            raise ValueError("a sketch of this shape has another length")
        view = memoryview(data)
        if zlib.crc32(view[_HEADER.size :], zlib.crc32(view[:_CRC_AT])) != checksum:
            raise ValueError("the sketch is damaged")
        at = _HEADER.size
        ids = _array(data, "<i4", count, at)
        scales = _array(data, "<f4", count, at + 4 * count)
        rows = _array(data, "i1", count * dim, at + 8 * count).reshape(count, dim)
        if not 0.0 <= float(scales.min(initial=0.0)) <= float(scales.max(initial=0.0)) < np.inf:
            raise ValueError("a scale of the sketch is no length")
        return cls(ids, rows, scales)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sketch):
            return NotImplemented
        return (
            np.array_equal(self.ids, other.ids)
            and np.array_equal(self.scales, other.scales)
            and np.array_equal(self.rows, other.rows)
        )

    def __hash__(self) -> int:
        return hash((self.ids.tobytes(), self.rows.tobytes()))


def sketch_of(ids: NDArray[Any], hidden: NDArray[Any]) -> Sketch:
    """The sketch of float token vectors, shape (n, dim), with their token ids, shape (n,).

    Each vector is scaled so that its largest component is 127 and rounded; the scale makes what
    is left a unit vector again. Raises ValueError for shapes that do not fit, more than MAX_TOKENS
    tokens and values that are not finite.
    """
    if hidden.ndim != 2 or ids.shape != hidden.shape[:1]:
        raise ValueError("token ids have the shape (n,), their vectors (n, dim)")
    count, dim = hidden.shape
    if count > MAX_TOKENS or not 0 < dim <= _MAX_DIM:
        raise ValueError(f"a sketch has at most {MAX_TOKENS} tokens, and {_MAX_DIM} dimensions")
    if not bool(np.isfinite(hidden).all()):
        raise ValueError("token vectors must be finite")
    largest = np.abs(hidden).max(axis=1, keepdims=True)
    largest[largest == 0] = 1
    whole = np.rint(hidden / largest * _MOST).astype(np.float32)
    lengths = np.sqrt(np.einsum("nd,nd->n", whole, whole))
    scales = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return Sketch(ids.astype(np.int32), whole.astype(np.int8), scales)


def _array(data: bytes, kind: str, count: int, at: int) -> NDArray[Any]:
    found = np.frombuffer(data, dtype=kind, count=count, offset=at)
    return found if found.dtype.isnative else found.astype(found.dtype.newbyteorder("="))
