"""One bit a dimension, scanned by FAISS: the first pass over a large scope.

A vector's code is the signs of its components around a centre, four dimensions to a 4-bit
product-quantizer cell with the fixed codebook {-1, +1}^4, so nothing is trained and adding is
O(1). FAISS's FastScan (André et al., "Quicker ADC", 2018) sums exact query components over such
codes in registers; the caller ranks the nearest again with the real vectors. Removing moves the
last code into the hole, so nothing dead is ever scanned.

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
_one_thread = threading.local()


class SignCodes:
    """Codes by position 0 … len-1. Not synchronised: one writer, or many readers."""

    def __init__(self, dim: int, centre: Vector, index: Any = None) -> None:
        self._dim = dim
        self._width = -(-dim // _BLOCK) * _BLOCK
        self.centre = centre
        self._index = _new_index(self._width) if index is None else index
        self._packer = self._index.get_CodePacker()
        self._blank = np.zeros(self._packer.code_size, dtype=np.uint8)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, vectors: Vector) -> None:
        """Append the codes of vectors of shape (n, dim)."""
        use_one_thread()
        self._index.add(self._widened(vectors - self.centre))

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
        use_one_thread()
        found = self._index.search(self._widened(query[None]), min(count, len(self)))[1][0]
        positions: NDArray[np.int64] = found[found >= 0]
        return positions

    def code(self, position: int) -> NDArray[np.uint8]:
        """The code at a position: bit 1 where the component is above the centre's."""
        code = np.zeros(self._packer.code_size, dtype=np.uint8)
        self._packer.unpack_1_c(self._index.codes.get(), position, faiss.swig_ptr(code))
        return code

    def right(self, vectors: Vector) -> NDArray[np.bool_]:
        """Which of the codes belong to these vectors, of shape (len, dim), by position.

        Components on the centre, as far as float32 can tell, may have either bit.
        """
        offsets = self._widened(vectors - self.centre)
        codes = np.stack([self.code(at) for at in range(len(self))])
        bits = np.unpackbits(codes, axis=1, bitorder="little")[:, : self._width]
        wrong = (bits != (offsets > 0)) & (np.abs(offsets) > 1e-5)
        right: NDArray[np.bool_] = ~wrong.any(axis=1)
        return right

    def dump(self) -> NDArray[np.uint8]:
        """The index in FAISS's own serial form."""
        blob: NDArray[np.uint8] = faiss.serialize_index(self._index)
        return blob

    @classmethod
    def load(cls, dim: int, centre: Vector, blob: NDArray[np.uint8]) -> SignCodes:
        """From `dump`. The blob must come from a file whose checksum is right."""
        return cls(dim, centre, faiss.deserialize_index(blob))

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


def _new_index(width: int) -> Any:
    cells = width // 4
    index = faiss.IndexPQFastScan(width, cells, 4, faiss.METRIC_INNER_PRODUCT)
    signs = np.array(list(itertools.product((-1, 1), repeat=4)), dtype=np.float32)[:, ::-1]
    codebook = np.tile(signs, (cells, 1, 1)).ravel() / np.float32(np.sqrt(width))
    faiss.copy_array_to_vector(codebook, index.pq.centroids)
    index.is_trained = True
    return index
