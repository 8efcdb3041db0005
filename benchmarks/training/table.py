"""Pairs as rows of features, by the same functions that judge at run time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.training.encoding import Known
from benchmarks.training.pairs import Pair
from semcache.verify.alignment import Alignment
from semcache.verify.features import (
    FEATURES,
    of_alignment,
    of_similarity,
    of_texts,
    of_tokens,
    read_tokens,
)
from semcache.verify.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Table:
    """Rows (n, len(FEATURES)) of pairs (n) that the encoder can read; `margin` is 1 everywhere."""

    pairs: list[Pair]
    rows: NDArray[np.float32]

    @property
    def same(self) -> NDArray[np.bool_]:
        """The labels."""
        return np.array([pair.same for pair in self.pairs], dtype=bool)

    def columns(self, names: Sequence[str]) -> NDArray[np.float32]:
        """The features of these names."""
        return self.rows[:, [FEATURES.index(name) for name in names]]


def table_of(pairs: Iterable[Pair], known: Known, alignment: Alignment, what: str) -> Table:
    """The rows of all pairs that have vectors and sketches."""
    seen: dict[str, Tokens | None] = {}

    def tokens(text: str) -> Tokens | None:
        if text not in seen:
            seen[text] = read_tokens(known[text][1]) if text in known else None
        return seen[text]

    kept: list[Pair] = []
    rows: list[list[float]] = []
    for pair in tqdm(list(pairs), desc=what, disable=None, leave=False):
        ours, theirs = tokens(pair.asked), tokens(pair.answered)
        if ours is None or theirs is None:
            continue
        cosine = float(known[pair.asked][0] @ known[pair.answered][0])
        kept.append(pair)
        rows.append(
            [
                1.0,
                *of_similarity(cosine),
                *of_tokens(ours, theirs),
                of_alignment(alignment, ours, [theirs], [cosine])[0],
                *of_texts(pair.asked, pair.answered),
            ]
        )
    return Table(kept, np.array(rows, dtype=np.float32).reshape(-1, len(FEATURES)))
