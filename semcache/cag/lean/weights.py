"""A matrix in whole numbers of 4 or 8 bits with a scale for each 32 of them, as kernels want it.

A model that was once stored so (a quantized GGUF) has weights that lie on such a grid: the numbers
are found again, and proved by multiplying them back, bit by bit. Then nothing is lost, and a step
reads a fifth of the bytes. Grids: Q4_1 of GGUF, w = scale · q + low with q in 0 … 15, and Q8_0,
w = scale · q with q in -127 … 127; scales are float16 there. Any other matrix can be rounded to 8
bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 32

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """w[row, column] = scale · (code - middle) + offset, with the scale and offset of its block.

    `codes` (rows, blocks, BLOCK · bits / 8) uint8, low half first; the middle is 8 or 128.
    `scales` (rows, blocks); `offsets` (blocks, rows), or None where they are 0.
    """

    bits: int
    codes: NDArray[np.uint8]
    scales: Floats
    offsets: Floats | None


def on_grid(weights: Floats) -> Packed | None:
    """The same weights (rows, columns), to the last bit; None where they lie on neither grid."""
    blocks = _blocks(weights)
    head = blocks[:8]  # most matrices that are on no grid show it at once
    for packing in (_eight_bits, _four_bits):
        if packing(head) is not None:
            found = packing(blocks)
            if found is not None:
                return found
    return None


def rounded(weights: Floats) -> Packed:
    """The nearest weights with 8 bits: off by at most 1/254 of the block's largest."""
    blocks = _blocks(weights)
    scales = np.abs(blocks).max(-1) / np.float32(127)
    return _from_eight(_quotients(blocks, scales), scales)


def _eight_bits(blocks: Floats) -> Packed | None:
    scales = _half(np.abs(blocks).max(-1) / np.float32(127))
    codes = _quotients(blocks, scales)
    if np.abs(codes).max() > 127 or not np.array_equal(codes * scales[..., None], blocks):
        return None
    return _from_eight(codes, scales)


def _from_eight(codes: Floats, scales: Floats) -> Packed:
    return Packed(8, (codes + 128).astype(np.uint8), scales, None)


def _four_bits(blocks: Floats) -> Packed | None:
    low = blocks.min(-1)
    scales = _half((blocks.max(-1) - low) / np.float32(15))
    codes = _quotients(blocks - low[..., None], scales)
    if codes.max() > 15 or not np.array_equal(codes * scales[..., None] + low[..., None], blocks):
        return None
    halves = codes.astype(np.uint8)
    pairs = halves[..., 0::2] | (halves[..., 1::2] << np.uint8(4))
    return Packed(4, pairs.astype(np.uint8), scales, np.ascontiguousarray((low + 8 * scales).T))


def _blocks(weights: Floats) -> Floats:
    rows, columns = weights.shape
    return weights.reshape(rows, columns // BLOCK, BLOCK)


def _half(scales: Floats) -> Floats:
    return scales.astype(np.float16).astype(np.float32)


def _quotients(values: Floats, scales: Floats) -> Floats:
    whole: Floats = np.rint(values / np.where(scales > 0, scales, np.float32(1))[..., None])
    return whole
