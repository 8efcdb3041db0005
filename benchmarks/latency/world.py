"""What every side is filled with and asked: questions, and unit vectors that stand for them.

The vectors are made, not encoded, so that all sides look for the same neighbours at the same
cosines: a question in other words has its own at .9, the others of its cluster stay below .5, and
all the rest is far away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.generated import Question, questions

DIM = 384
NEIGHBOUR, MATE = 0.9, 0.49
CLUSTER = 20

Vectors = NDArray[np.float32]


class Encoder(Protocol):
    """A sentence encoder whose time a lookup may be made to spend."""

    def encode(self, texts: list[str]) -> object: ...


@dataclass(frozen=True, slots=True)
class World:
    """`entries` are stored; `unknown` have no neighbour; `fresh` are for puts."""

    entries: list[Question]
    unknown: list[str]
    fresh: list[Question]
    table: dict[str, Vectors]


def unit(rows: NDArray[np.float64]) -> Vectors:
    """Rows of length one."""
    scaled: Vectors = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return scaled


def make_world(size: int, extra: int, seed: int = 0) -> World:
    """`size` entries, and `extra` unknown and fresh questions each."""
    rng = np.random.default_rng(seed)
    made = questions(size + 2 * extra, seed)
    entries, rest = made[:size], made[size:]
    centres = unit(rng.normal(size=(size // CLUSTER + 1, DIM)))
    stored = near(centres[np.arange(size) % len(centres)], np.sqrt(MATE), rng)
    table = {one.stored: row for one, row in zip(entries, stored, strict=True)}
    asked = near(stored, NEIGHBOUR, rng)
    table.update({one.asked: row for one, row in zip(entries, asked, strict=True)})
    far = unit(rng.normal(size=(len(rest), DIM)))
    table.update({one.stored: row for one, row in zip(rest, far, strict=True)})
    return World(entries, [one.stored for one in rest[:extra]], rest[extra:], table)


def near(rows: Vectors, cosine: float, rng: np.random.Generator) -> Vectors:
    """A unit vector at exactly this cosine from each row, in a random direction."""
    noise = rng.normal(size=rows.shape)
    noise -= (noise * rows).sum(axis=1, keepdims=True) * rows
    return unit(cosine * rows + np.sqrt(1 - cosine**2) * unit(noise))


class Lookup:
    """Text to vector from the table; with an encoder its time is spent first, its vector unused."""

    def __init__(self, table: dict[str, Vectors]) -> None:
        self.encoder: Encoder | None = None
        self._table = table

    def vector(self, text: str) -> Vectors:
        """The vector (DIM,) of a text of the world."""
        if self.encoder is not None:
            self.encoder.encode([text])
        return self._table[text]
