"""A learned reading of two questions' tokens: a small transformer over both at once.

Two layers of self-attention over the encoder's token vectors of both questions, 64 wide, four
heads. What a head attends to is biased by four things it could not learn from so little data: how
far apart two tokens of one question stand (Shaw et al. 2018, arXiv 1803.02155), whether they are of
the same question, their cosine, and whether they are the same word. So a token finds its
counterpart, then compares what stands next to both: it sees which words were exchanged where
features see only that some were. Symmetric in the two questions by construction: nothing says which
of them came first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from semcache.onnx_graph import open_session
from semcache.verify.alignment_graph import build_graph, means_of
from semcache.verify.tokens import FUNCTION, RARITY, Tokens
from semcache.verify.weight_file import Floats, array, packed, read

FORMAT = "semcache alignment 2"
ABOUT_TOKENS, ABOUT_PAIRS = 5, 4
"""How many numbers go with each token (best cosine in the other question, whether its word stands
there, the two multiplied; function word; rarity), and with each pair (cosine of the questions,
tokens of the shorter, their ratio, share of tokens that stand in both)."""

_NEVER = np.float32(-1e4)

Bools: TypeAlias = NDArray[np.bool_]
Dense: TypeAlias = tuple[Floats, Floats]
"""Kernel (inputs, outputs) and bias."""


@dataclass(frozen=True, slots=True)
class Block:
    """One layer; `near` (heads, 2 * reach + 2): biases by distance, then for the other question.

    Normalisation's scales are part of the kernels after it.

    `alike` (heads,) multiplies cosines, `equal` (heads,) is for one word in two places.
    """

    inward: Dense
    outward: Dense
    up: Dense
    down: Dense
    near: Floats
    alike: Floats
    equal: Floats


@dataclass(frozen=True, slots=True)
class _Beside:
    """k pairs: our n tokens and then theirs, in rows of N. Token pairs have an axis for heads."""

    vectors: Floats
    there: Bools
    about: Floats
    places: NDArray[np.intp]
    cosines: Floats
    equal: Floats
    about_pairs: Floats


@dataclass(frozen=True, slots=True)
class Alignment:
    """Some 90,000 weights. `inward` takes vectors and what is about tokens, side by side.

    `last` (scale and shift) goes with the last normalisation.
    """

    inward: Dense
    blocks: tuple[Block, ...]
    last: Dense
    hidden: Dense
    pairs: Floats
    output: Dense
    session: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "session", open_session(build_graph(self)))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a weight file. Raises ConfigError where it is not whole, or not of this form."""
        return read(path, FORMAT, cls.of)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        """From the parsed file. Raises ValueError, KeyError or TypeError."""
        dim, width, hidden = (int(data[name]) for name in ("dim", "width", "hidden"))
        blocks = tuple(_block(one, width) for one in data["blocks"])
        if not blocks:
            raise ValueError("it has no layers")
        return cls(
            _dense(data["inward"], dim + ABOUT_TOKENS, width),
            blocks,
            (array(data["scale"], width), array(data["shift"], width)),
            _dense(data["pooled"], 3 * width, hidden),
            packed(data["pairs"], ABOUT_PAIRS, hidden),
            _dense(data["output"], hidden, 1),
        )

    @property
    def dim(self) -> int:
        """The length of the token vectors that it reads."""
        return len(self.inward[0]) - ABOUT_TOKENS

    def logits(self, ours: Tokens, others: Sequence[Tokens], cosines: Sequence[float]) -> Floats:
        """Log odds (k,) that a question shares its answer with each of k others.

        `cosines`: of the questions' own vectors. Symmetric in the two questions.
        """
        beside = _beside(ours, others, cosines, self.blocks[0].near.shape[1] // 2 - 1)
        there = beside.there.astype(np.float32)
        given = {
            "vectors": beside.vectors,
            "about": beside.about,
            "places": beside.places,
            "cosines": beside.cosines,
            "equal": beside.equal,
            "closed": (1 - there) * _NEVER,
            "means": means_of(there, len(ours.ids)),
            "pairs": beside.about_pairs,
        }
        found: Floats = self.session.run(None, given)[0][:, 0]
        return found


def _beside(
    ours: Tokens, others: Sequence[Tokens], cosines: Sequence[float], reach: int
) -> _Beside:
    split, counts = len(ours.ids), np.array([len(one.ids) for one in others])
    shape = len(others), split + int(counts.max())
    vectors = np.empty((*shape, ours.vectors.shape[1]), dtype=np.float32)
    ids = np.full(shape, -1)
    ids[:, :split], vectors[:, :split] = ours.ids, ours.vectors
    for at, one in enumerate(others):
        end = split + len(one.ids)
        ids[at, split:end], vectors[at, split:end], vectors[at, end:] = one.ids, one.vectors, 0
    there = ids >= 0
    near = vectors @ vectors.transpose(0, 2, 1)
    met = np.where(there[:, None, split:], near[:, :split, split:], np.float32(-1))
    same = ids[:, :split, None] == ids[:, None, split:]
    equal = np.zeros(near.shape, dtype=np.float32)
    equal[:, :split, split:], equal[:, split:, :split] = same, same.transpose(0, 2, 1)
    best = np.concatenate((met.max(axis=2), met.max(axis=1)), axis=1) * there
    known = np.concatenate((same.any(axis=2), same.any(axis=1)), axis=1)
    words = FUNCTION[ids] & there, RARITY[ids] * there
    about = np.empty((*shape, ABOUT_TOKENS), dtype=np.float32)
    for at, part in enumerate((best, known, *words, known * best)):
        about[..., at] = part
    longer = np.maximum(counts, split)
    shorter = np.minimum(counts, split)
    pairs = (cosines, shorter / 16, shorter / longer, known.sum(axis=1) / (counts + split))
    return _Beside(
        vectors,
        there,
        about,
        _places(split, shape[1], reach),
        near[:, None],
        equal[:, None],
        np.stack(pairs, axis=1).astype(np.float32),
    )


def _places(split: int, count: int, reach: int) -> NDArray[np.intp]:
    """Which bias each token (row) has for each other (column)."""
    at = np.arange(count)
    at[split:] -= split
    found: NDArray[np.intp] = np.clip(at[None] - at[:, None], -reach, reach) + reach
    found[:split, split:] = found[split:, :split] = 2 * reach + 1
    return found


def _dense(data: Any, inputs: int, outputs: int) -> Dense:
    return packed(data["kernel"], inputs, outputs), array(data["bias"], outputs)


def _block(data: Any, width: int) -> Block:
    heads, inner = len(data["alike"]), len(data["up"]["bias"])
    if not heads or width % heads:
        raise ValueError("the heads do not share the width")
    near = array(data["near"], heads, len(data["near"][0]))
    if near.shape[1] < 4 or near.shape[1] % 2:
        raise ValueError("the biases by distance do not fit together")
    return Block(
        _dense(data["inward"], width, 3 * width),
        _dense(data["outward"], width, width),
        _dense(data["up"], width, inner),
        _dense(data["down"], inner, width),
        near,
        array(data["alike"], heads),
        array(data["equal"], heads),
    )
