"""Token features against a slow oracle that follows the definitions, one token at a time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from semcache.sketch import Sketch, sketch_of
from semcache.verify.tokens import TOKEN_FEATURES, Tokens, compare

DIM = 16
FUNCTION = [1996, 2003, 1029]  # the, is, ?
CONTENT = [2600, 3007, 9000, 12044, 30000, 100]


def sketch(rng: np.random.Generator, length: int) -> Sketch:
    ids = rng.choice(FUNCTION + CONTENT, size=length)
    # Equal tokens get like vectors, as they do in a sentence.
    base = np.stack([np.random.default_rng(int(one)).standard_normal(DIM) for one in ids])
    return sketch_of(ids, (base + 0.6 * rng.standard_normal(base.shape)).astype(np.float32))


def content_of(ids: list[int]) -> list[int]:
    return [at for at, one in enumerate(ids) if one not in FUNCTION] or list(range(len(ids)))


def mean(values: list[float], empty: float) -> float:
    return float(np.mean(values)) if values else empty


def below(limit: float, values: list[float]) -> int:
    return sum(one < limit for one in values)


def left_over(
    cx: list[int],
    cy: list[int],
    x: list[int],
    y: list[int],
    left: list[float],
    right: list[float],
    between: list[float],
) -> dict[str, float]:
    """What content ids `cx`, `cy` (with their best cosines) lack in the other text's ids."""
    mine, other = [one for one in cx if one not in y], [one for one in cy if one not in x]
    far = [best for one, best in zip(cx, left, strict=True) if one not in y]
    far += [best for one, best in zip(cy, right, strict=True) if one not in x]
    rare = sorted(
        max([float(np.log1p(max(one - 1996, 0))) / 10 for one in ids], default=0.0)
        for ids in (mine, other)
    )
    return {
        "left_fewest": min(8, len(mine), len(other)) / 4,
        "left_most": min(8, max(len(mine), len(other))) / 4,
        "left_mean": mean(far, 1.0),
        "left_lowest": min(far, default=1.0),
        "left_pair_highest": max(between, default=1.0),
        "left_pair_mean": mean(between, 1.0),
        "left_rarity": rare[1],
        "left_rarity_other": rare[0],
        "left_one_each": float(len(mine) == 1 and len(other) == 1),
    }


def oracle(a: Sketch, b: Sketch) -> dict[str, float]:
    x, y = a.ids.tolist(), b.ids.tolist()
    u, v = a.vectors().astype(np.float64), b.vectors().astype(np.float64)

    def cos(i: int, j: int) -> float:
        return float(np.dot(u[i], v[j]))

    forth = [max(cos(i, j) for j in range(len(y))) for i in range(len(x))]
    back = [max(cos(i, j) for i in range(len(x))) for j in range(len(y))]
    cx, cy = content_of(x), content_of(y)
    left, right = [forth[i] for i in cx], [back[j] for j in cy]
    nearest = [max(range(len(y)), key=lambda j, i=i: cos(i, j)) for i in cx]  # type: ignore[misc]
    pairs = list(itertools.combinations(range(len(cx)), 2))
    inversions = sum(nearest[i] > nearest[j] for i, j in pairs) / len(pairs) if pairs else 0.0
    content = len({x[i] for i in cx} & {y[j] for j in cy}) / len(
        {x[i] for i in cx} | {y[j] for j in cy}
    )
    between = [cos(i, j) for i in cx for j in cy if x[i] not in y and y[j] not in x]
    same = [
        max(cos(i, j) for j in range(len(y)) if y[j] == x[i]) for i in range(len(x)) if x[i] in y
    ]
    return {
        "maxsim": (mean(forth, 0) + mean(back, 0)) / 2,
        "maxsim_gap": abs(mean(forth, 0) - mean(back, 0)),
        "content_maxsim": (mean(left, 0) + mean(right, 0)) / 2,
        "content_maxsim_low": min(mean(left, 0), mean(right, 0)),
        "lowest": min(left + right),
        "lowest_other": max(min(left), min(right)),
        "second_lowest": min(sorted(left)[:2][-1], sorted(right)[:2][-1]),
        "second_lowest_other": max(sorted(left)[:2][-1], sorted(right)[:2][-1]),
        "below_35": min(8, below(0.35, left + right)) / 4,
        "below_50": min(8, below(0.5, left + right)) / 4,
        "below_50_most": min(8, max(below(0.5, left), below(0.5, right))) / 4,
        "below_70": min(8, below(0.7, left + right)) / 4,
        "same_mean": mean(same, 0.0),
        "same_lowest": min(same, default=0.0),
        "token_jaccard": len(set(x) & set(y)) / len(set(x) | set(y)),
        "content_jaccard": content,
        "inversions": inversions,
        "inversions_jaccard": inversions * content,
        **left_over([x[i] for i in cx], [y[j] for j in cy], x, y, left, right, between),
        "tokens_fewest": min(32, len(x), len(y)) / 16,
        "tokens_ratio": min(len(x), len(y)) / max(len(x), len(y)),
    }


@pytest.mark.parametrize("seed", range(40))
def test_features_are_those_of_the_oracle(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = (sketch(rng, int(rng.integers(1, 14))) for _ in range(2))
    ours, theirs = Tokens.of(one), Tokens.of(other)
    assert ours is not None
    assert theirs is not None
    found = dict(zip(TOKEN_FEATURES, compare(ours, theirs), strict=True))
    expected = oracle(one, other)
    assert list(expected) == list(TOKEN_FEATURES)
    assert found == pytest.approx(expected, abs=1e-5)


def test_ids_of_a_larger_vocabulary_cannot_be_read() -> None:
    vectors: NDArray[np.float32] = np.ones((2, DIM), dtype=np.float32)
    assert Tokens.of(sketch_of(np.array([5, 250_000]), vectors)) is None
    assert Tokens.of(sketch_of(np.zeros(0, dtype=int), vectors[:0])) is None
