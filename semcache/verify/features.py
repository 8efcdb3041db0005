"""What the heads look at: two questions as a row of named numbers.

Cosine and margin come from the candidates, token features and alignment from the two sketches
(see `tokens`, `alignment`), the rest from what the texts say (`semcache.lexical`). All but `margin`
are of the pair alone, and symmetric in its two questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from semcache.interfaces import Asked, Candidate
from semcache.lexical import DIFFERENCES, differences, facts
from semcache.sketch import Sketch
from semcache.verify.alignment import Alignment
from semcache.verify.tokens import TOKEN_FEATURES, Tokens, compare

Features: TypeAlias = NDArray[np.float32]

SIMILARITY_FEATURES: tuple[str, ...] = ("cosine", "cosine_squared")
FEATURES: tuple[str, ...] = (
    "margin",
    *SIMILARITY_FEATURES,
    *TOKEN_FEATURES,
    "alignment",
    *DIFFERENCES,
)
WEIGHTS = Path(__file__).resolve().parent / "weights"
ALIGNMENT = "alignment.json"
_ALONE = 1.0
_NO_TOKENS = [float("nan")] * len(TOKEN_FEATURES)


def features(
    asked: Asked,
    candidate: Candidate,
    candidates: Sequence[Candidate],
    alignment: Alignment | None = None,
) -> Features:
    """The row of one candidate, shape (len(FEATURES),), in the order of FEATURES.

    `candidates` are all that were found, this one among them. Token features and alignment are
    NaN where a sketch is missing or not to be read. `alignment` None: the one of the package.
    Raises ConfigError where its weights are damaged.
    """
    ours = read_tokens(asked.sketch)
    theirs = read_tokens(candidate.sketch)
    aligned = of_alignment(
        alignment or packaged_alignment(), ours, [theirs], [candidate.similarity]
    )
    return np.array(
        [
            margins(candidates)[list(candidates).index(candidate)],
            *of_similarity(candidate.similarity),
            *of_tokens(ours, theirs),
            aligned[0],
            *of_texts(asked.question, candidate.question),
        ],
        dtype=np.float32,
    )


def margins(candidates: Sequence[Candidate]) -> list[float]:
    """Of each, the cosine above the nearest with another answer; 1 where there is none."""
    answers = [" ".join(one.entry.completion.text.split()) for one in candidates]
    found = []
    for one, answer in zip(candidates, answers, strict=True):
        others = [
            other.similarity
            for other, said in zip(candidates, answers, strict=True)
            if said != answer
        ]
        found.append(one.similarity - max(others) if others else _ALONE)
    return found


def of_similarity(similarity: float) -> tuple[float, float]:
    """SIMILARITY_FEATURES of a cosine."""
    return similarity, similarity * similarity


def of_tokens(ours: Tokens | None, theirs: Tokens | None) -> list[float]:
    """TOKEN_FEATURES, or NaN for each."""
    if ours is None or theirs is None or ours.vectors.shape[1] != theirs.vectors.shape[1]:
        return _NO_TOKENS
    return compare(ours, theirs)


def of_alignment(
    alignment: Alignment,
    ours: Tokens | None,
    others: Sequence[Tokens | None],
    cosines: Sequence[float],
) -> list[float]:
    """The alignment's log odds for each of the others, or NaN."""
    found = [float("nan")] * len(others)
    if ours is None or ours.vectors.shape[1] != alignment.dim:
        return found
    read = {
        at: one
        for at, one in enumerate(others)
        if one is not None and one.vectors.shape[1] == alignment.dim
    }
    if read:
        logits = alignment.logits(ours, list(read.values()), [cosines[at] for at in read])
        for at, logit in zip(read, logits.tolist(), strict=True):
            found[at] = logit
    return found


def read_tokens(sketch: Sketch | None) -> Tokens | None:
    """A sketch as the comparisons read it, if there is one and it can be read."""
    return None if sketch is None else Tokens.of(sketch)


@cache
def packaged_alignment() -> Alignment:
    """The alignment that comes with the package."""
    return Alignment.load(WEIGHTS / ALIGNMENT)


def of_texts(asked: str, answered: str) -> list[float]:
    """DIFFERENCES."""
    return list(differences(facts(asked), facts(answered)).values())
