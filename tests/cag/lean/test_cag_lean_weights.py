"""Weights as whole numbers, against GGUF's own quantization."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from semcache.cag.lean.weights import Packed, on_grid, rounded
from tests.cag.grid_models import on_a_grid


def drawn(rows: int = 24, columns: int = 96) -> NDArray[np.float32]:
    return np.random.default_rng(7).normal(size=(rows, columns)).astype(np.float32)


def multiplied_back(packed: Packed) -> NDArray[Any]:
    """What the kernel's documentation says that the numbers mean, in float32."""
    codes = packed.codes
    if packed.bits == 4:
        codes = np.stack((codes & 15, codes >> 4), axis=-1).reshape(*codes.shape[:2], -1)
    middle = 8 if packed.bits == 4 else 128
    blocks = (codes.astype(np.float64) - middle) * packed.scales[..., None]
    if packed.offsets is not None:
        blocks = blocks + packed.offsets.T[..., None]
    return blocks.reshape(len(blocks), -1)


@pytest.mark.parametrize(("eight", "bits"), [(False, 4), (True, 8)])
def test_quantized_weights_are_found_again(eight: bool, bits: int) -> None:
    weights = on_a_grid(drawn(), eight)
    packed = on_grid(weights)
    assert packed is not None
    assert packed.bits == bits
    np.testing.assert_allclose(multiplied_back(packed), weights, rtol=0, atol=1e-6)


def test_one_weight_off_the_grid_is_seen() -> None:
    weights = on_a_grid(drawn(rows=64))
    at = np.argsort(weights[40, :32])[16]  # neither its block's least nor its largest
    weights[40, at] = np.nextafter(weights[40, at], np.float32(9))
    assert on_grid(weights) is None


def test_weights_of_training_are_on_no_grid() -> None:
    assert on_grid(drawn()) is None


def test_a_block_of_zeros_is_on_the_grid() -> None:
    weights = on_a_grid(drawn())
    weights[3, 32:64] = 0
    packed = on_grid(weights)
    assert packed is not None
    np.testing.assert_allclose(multiplied_back(packed), weights, rtol=0, atol=1e-6)


def test_rounding_is_off_by_half_a_step_at_most() -> None:
    weights = drawn()
    packed = rounded(weights)
    largest = np.abs(weights.reshape(24, 3, 32)).max(-1, keepdims=True)
    error = np.abs(multiplied_back(packed) - weights).reshape(24, 3, 32)
    assert packed.bits == 8
    assert (error <= largest / 254 * 1.001).all()
    assert error.max() > 0
