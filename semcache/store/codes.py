"""A few bits a dimension, scanned by FAISS: the first pass over a large scope.

FAISS's FastScan (André et al., "Quicker ADC", 2018) sums exact query components over 4-bit
product-quantizer cells in registers; the caller ranks the nearest again with the real vectors.
Here the codebook is fixed, so nothing is trained and adding is O(1). From 256 dimensions on a cell
holds the signs of four components around a centre; below, where signs say too little, one
component in sixteen steps. Removing moves the last code into the hole, so nothing dead is scanned.

Why this and not Flat, binary codes or HNSW: at 100k x 384 on one thread it scans in a quarter of
a millisecond (binary codes 0.45, Flat 16), finds every neighbour worth serving, and needs no
building, no tombstones and no second structure while it is rebuilt.
"""

from __future__ import annotations

import itertools
import threading
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from semcache.interfaces import Vector

_BLOCK = 8
_SIGNS_FROM = 256
_one_thread = threading.local()


class ScanCodes:
    """Codes by position 0 … len-1. Not synchronised: one writer, or many readers.

    `frame`, of shape (2, dim), is the centre of the vectors and their spread around it.
    """

    def __init__(self, frame: Vector, index: Any = None) -> None:
        self.frame = frame
        self._dim = frame.shape[1]
        self._width = -(-self._dim // _BLOCK) * _BLOCK
        self._levels = _levels(self._widened(frame)[1])
        self._index = _new_index(self._levels) if index is None else index
        self._packer = self._index.get_CodePacker()
        self._blank = np.zeros(self._packer.code_size, dtype=np.uint8)

    @classmethod
    def of(cls, vectors: Vector) -> ScanCodes:
        """The codes of vectors of shape (n, dim), framed by them."""
        codes = cls(np.stack([vectors.mean(axis=0), vectors.std(axis=0)]))
        codes.add(vectors)
        return codes

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, vectors: Vector) -> None:
        """Append the codes of vectors of shape (n, dim)."""
        use_one_thread()
        self._index.add(self._widened(vectors - self.frame[0]))

    def remove(self, position: int) -> None:
        """Move the last code to `position`, and shorten by one."""
        last = len(self) - 1
        codes = self._index.codes.get()
        moved = self.code(last)
        self._packer.pack_1_c(faiss.swig_ptr(moved), position, codes)
        # FAISS adds by OR-ing into the block: what stays behind must be zero.
        self._packer.pack_1_c(faiss.swig_ptr(self._blank), last, codes)
        self._index.ntotal = last

    def nearest(self, query: Vector, count: int) -> NDArray[np.int64]:
        """The positions of about the `count` nearest to a query of shape (dim,)."""
        if count >= len(self):
            return np.arange(len(self))
        use_one_thread()
        found = self._index.search(self._widened(query[None]), count)[1][0]
        positions: NDArray[np.int64] = found[found >= 0]
        return positions

    def code(self, position: int) -> NDArray[np.uint8]:
        """The packed code at a position."""
        code = np.zeros(self._packer.code_size, dtype=np.uint8)
        self._packer.unpack_1_c(self._index.codes.get(), position, faiss.swig_ptr(code))
        return code

    def right(self, vectors: Vector) -> NDArray[np.bool_]:
        """Which of the codes belong to these vectors, of shape (len, dim), by position.

        A component between two levels, as far as float32 can tell, may have either.
        """
        offsets = self._widened(vectors - self.frame[0])
        packed = np.stack([self.code(at) for at in range(len(self))])
        bits = np.unpackbits(packed, axis=1, bitorder="little")
        each = 1 if self._levels.shape[1] == 2 else 4
        bits = bits[:, : each * self._width].reshape(len(self), self._width, each)
        steps = bits @ (1 << np.arange(each))
        chosen = np.abs(offsets - np.take_along_axis(self._levels, steps.T, axis=1).T)
        nearest = np.min([np.abs(offsets - level) for level in self._levels.T], axis=0)
        right: NDArray[np.bool_] = (chosen < nearest + 1e-5).all(axis=1)
        return right

    def dump(self) -> NDArray[np.uint8]:
        """The index in FAISS's own serial form."""
        blob: NDArray[np.uint8] = faiss.serialize_index(self._index)
        return blob

    @classmethod
    def load(cls, frame: Vector, blob: NDArray[np.uint8]) -> ScanCodes:
        """From `frame` and `dump`. The blob must come from a file whose checksum is right."""
        return cls(frame, faiss.deserialize_index(blob))

    def _widened(self, vectors: Vector) -> Vector:
        if self._width == self._dim:
            return np.ascontiguousarray(vectors, dtype=np.float32)
        wide = np.zeros((len(vectors), self._width), dtype=np.float32)
        wide[:, : self._dim] = vectors
        return wide


def use_one_thread() -> None:
    """OpenMP's thread count belongs to the calling thread: set it once in each."""
    if not getattr(_one_thread, "set", False):
        faiss.omp_set_num_threads(1)
        _one_thread.set = True


def _levels(spread: Vector) -> Vector:
    """The values that a component may take in a code: shape (width, 2) or (width, 16)."""
    if len(spread) >= _SIGNS_FROM:
        return np.tile(np.array([-1, 1], dtype=np.float32), (len(spread), 1))
    steps = np.linspace(-2.4, 2.4, 16, dtype=np.float32)
    return np.maximum(spread, 1e-6)[:, None] * steps


def _new_index(levels: Vector) -> Any:
    width, count = levels.shape
    together = 4 if count == 2 else 1
    index = faiss.IndexPQFastScan(width, width // together, 4, faiss.METRIC_INNER_PRODUCT)
    cells = levels.reshape(width // together, together, count)
    choices = np.array(list(itertools.product(range(count), repeat=together)))[:, ::-1]
    codebook = cells[:, np.arange(together), choices]
    faiss.copy_array_to_vector(codebook.ravel(), index.pq.centroids)
    index.is_trained = True
    return index
