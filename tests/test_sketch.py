"""Sketches: what is kept of token vectors, and that nothing damaged is read."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from semcache.sketch import MAX_TOKENS, Sketch, sketch_of

counts = st.integers(0, MAX_TOKENS)
dims = st.sampled_from([1, 2, 3, 16, 384])
seeds = st.integers(0, 2**32 - 1)


def hidden(seed: int, count: int, dim: int) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed)
    spread = 10.0 ** drawn.uniform(-6, 6, size=(count, 1))
    return np.asarray(drawn.standard_normal((count, dim)) * spread, dtype=np.float32)


def units(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True))


def sample(seed: int = 1, count: int = 9, dim: int = 384) -> Sketch:
    return sketch_of(np.arange(100, 100 + count), hidden(seed, count, dim))


@given(seed=seeds, count=counts, dim=dims)
def test_bytes_come_back_as_the_same_sketch(seed: int, count: int, dim: int) -> None:
    sketch = sample(seed, count, dim)
    data = sketch.to_bytes()
    again = Sketch.from_bytes(data)
    assert again == sketch
    assert again.to_bytes() == data
    assert len(data) == 12 + count * (8 + dim)
    assert again.ids.dtype == np.int32
    assert again.rows.dtype == np.int8
    assert again.scales.dtype == np.float32
    assert again.rows.shape == (count, dim)
    assert np.array_equal(again.vectors(), sketch.vectors())


@given(seed=seeds, count=st.integers(1, MAX_TOKENS), dim=dims)
def test_vectors_are_the_float_vectors_directions(seed: int, count: int, dim: int) -> None:
    vectors = hidden(seed, count, dim)
    sketch = sketch_of(np.zeros(count, dtype=np.int64), vectors)
    found, true = sketch.vectors(), units(vectors)
    assert found.dtype == np.float32
    assert np.allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    # Rounding moves each of dim components by at most half of 1/127 of the largest.
    moved = np.abs(true).max(axis=1) / 127 / 2 * np.sqrt(dim)
    assert np.all(np.linalg.norm(found - true, axis=1) <= 2 * moved + 1e-5)


def test_cosines_between_tokens_are_kept_to_a_hundredth() -> None:
    vectors = hidden(7, MAX_TOKENS, 384)
    found = sketch_of(np.zeros(MAX_TOKENS), vectors).vectors()
    true = units(vectors)
    assert np.abs(found @ found.T - true @ true.T).max() < 0.005


def test_a_zero_vector_stays_zero() -> None:
    sketch = sketch_of(np.array([1, 2]), np.array([[0.0, 0.0], [0.0, -3.0]]))
    assert sketch.vectors().tolist() == [[0.0, 0.0], [0.0, -1.0]]
    assert Sketch.from_bytes(sketch.to_bytes()) == sketch


@pytest.mark.parametrize(
    ("ids", "vectors"),
    [
        (np.zeros(2), np.zeros((3, 4))),
        (np.zeros(3), np.zeros(3)),
        (np.zeros(MAX_TOKENS + 1), np.zeros((MAX_TOKENS + 1, 4))),
        (np.zeros(2), np.zeros((2, 0))),
        (np.zeros(1), np.zeros((1, 65_536))),
        (np.zeros(1), np.array([[1.0, np.nan]])),
        (np.zeros(1), np.array([[1.0, np.inf]])),
    ],
)
def test_what_is_no_sketch_is_refused(
    ids: NDArray[np.float64], vectors: NDArray[np.float64]
) -> None:
    with pytest.raises(ValueError, match=r"sketch|shape|finite"):
        sketch_of(ids, vectors)


@settings(max_examples=300)
@given(at=st.integers(0, 3539), flip=st.integers(1, 255))
def test_a_changed_byte_is_refused(at: int, flip: int) -> None:
    data = bytearray(sample().to_bytes())
    data[at] ^= flip
    with pytest.raises(ValueError, match="sketch"):
        Sketch.from_bytes(bytes(data))


@given(keep=st.integers(0, 3539))
def test_a_shortened_sketch_is_refused(keep: int) -> None:
    with pytest.raises(ValueError, match="sketch"):
        Sketch.from_bytes(sample().to_bytes()[:keep])


@given(more=st.binary(min_size=1, max_size=400))
def test_a_lengthened_sketch_is_refused(more: bytes) -> None:
    with pytest.raises(ValueError, match="sketch"):
        Sketch.from_bytes(sample().to_bytes() + more)


@given(data=st.binary(max_size=200))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="sketch"):
        Sketch.from_bytes(data)


def sealed(head: bytes, body: bytes) -> bytes:
    return head + struct.pack("<I", zlib.crc32(body, zlib.crc32(head))) + body


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (struct.pack("<2sBBHxx", b"SK", 2, 0, 4), b""),  # a later version
        (struct.pack("<2sBBHxx", b"SK", 1, 65, 1), bytes(65 * 9)),  # more tokens than there may be
        (struct.pack("<2sBBHxx", b"SK", 1, 1, 0), bytes(8)),  # no dimensions
        (struct.pack("<2sBBHxx", b"SK", 1, 1, 1), struct.pack("<ifb", 1, float("nan"), 1)),
        (struct.pack("<2sBBHxx", b"SK", 1, 1, 1), struct.pack("<ifb", 1, -1.0, 1)),
    ],
)
def test_a_right_checksum_alone_is_not_enough(head: bytes, body: bytes) -> None:
    with pytest.raises(ValueError, match="sketch"):
        Sketch.from_bytes(sealed(head, body))


def test_the_form_is_little_endian_and_does_not_change() -> None:
    sketch = sketch_of(np.array([258]), np.array([[3.0, -4.0]]))
    body = struct.pack("<if", 258, float(sketch.scales[0])) + struct.pack("bb", 95, -127)
    assert sketch.to_bytes() == sealed(struct.pack("<2sBBHxx", b"SK", 1, 1, 2), body)


def test_equal_sketches_are_equal_and_others_are_not() -> None:
    assert sample() == sample()
    assert hash(sample()) == hash(sample())
    assert sample(1) != sample(2)
    assert sample() != "a sketch"
