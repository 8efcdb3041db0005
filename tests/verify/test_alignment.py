"""The alignment against its definition, token by token, and its weight file."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from semcache.verify.alignment import Alignment
from semcache.verify.features import ALIGNMENT, WEIGHTS, packaged_alignment
from semcache.verify.tokens import FUNCTION, RARITY, Tokens
from tests.verify.questions import asked

Doubles = NDArray[np.float64]
FILE: dict[str, Any] = json.loads((WEIGHTS / ALIGNMENT).read_text())


def tokens(question: str) -> Tokens:
    sketch = asked(question).sketch
    assert sketch is not None
    found = Tokens.of(sketch)
    assert found is not None
    return found


def kernel(text: str, outputs: int) -> Doubles:
    return np.frombuffer(base64.b64decode(text), "<f2").astype(np.float64).reshape(-1, outputs)


def dense(row: Doubles, data: dict[str, Any]) -> Doubles:
    found: Doubles = row @ kernel(data["kernel"], len(data["bias"])) + np.array(data["bias"])
    return found


def normal(row: Doubles) -> Doubles:
    away = row - row.mean()
    found: Doubles = away / math.sqrt(float(away @ away) / len(row) + 1e-5)
    return found


def one_block(
    rows: list[Doubles],
    data: dict[str, Any],
    side: list[int],
    at: list[int],
    one: Tokens,
    two: Tokens,
) -> list[Doubles]:
    """Self-attention, one head and one token at a time."""
    width, heads = len(rows[0]), len(data["alike"])
    size, reach = width // heads, len(data["near"][0]) // 2 - 1
    vectors = np.concatenate((one.vectors, two.vectors)).astype(np.float64)
    ids = [*one.ids, *two.ids]
    mixed = [dense(normal(row), data["inward"]).reshape(3, heads, size) for row in rows]
    after = []
    for i, row in enumerate(rows):
        joined = []
        for head in range(heads):
            logits = []
            for j in range(len(rows)):
                across = side[i] != side[j]
                away = max(-reach, min(reach, at[j] - at[i])) + reach
                logit = float(mixed[i][0, head] @ mixed[j][1, head])
                logit += data["near"][head][2 * reach + 1 if across else away]
                logit += data["alike"][head] * float(vectors[i] @ vectors[j])
                logit += data["equal"][head] * (across and ids[i] == ids[j])
                logits.append(logit)
            shares = [math.exp(logit - max(logits)) for logit in logits]
            values = (share * part[2, head] for share, part in zip(shares, mixed, strict=True))
            joined.append(sum(values, np.zeros(size)) / sum(shares))
        met = row + dense(np.concatenate(joined), data["outward"])
        after.append(met + dense(np.maximum(dense(normal(met), data["up"]), 0), data["down"]))
    return after


def slow_logit(one: str, other: str, cosine: float) -> float:
    """From the file, in double precision."""
    a, b = tokens(one), tokens(other)
    n, m = len(a.ids), len(b.ids)
    side, at = [0] * n + [1] * m, [*range(n), *range(m)]
    met = (a.vectors @ b.vectors.T).astype(np.float64)
    best = [*met.max(axis=1), *met.max(axis=0)]
    shared = [float(one in b.ids) for one in a.ids] + [float(one in a.ids) for one in b.ids]
    rows = []
    for place, (vector, token) in enumerate(
        zip([*a.vectors, *b.vectors], [*a.ids, *b.ids], strict=True)
    ):
        about = [
            best[place],
            shared[place],
            FUNCTION[token],
            RARITY[token],
            shared[place] * best[place],
        ]
        rows.append(dense(np.concatenate((vector, np.array(about, dtype=float))), FILE["inward"]))
    for block in FILE["blocks"]:
        rows = one_block(rows, block, side, at, a, b)
    last = np.array([normal(row) * FILE["scale"] + FILE["shift"] for row in rows])
    means = last[:n].mean(axis=0), last[n:].mean(axis=0)
    pooled = np.concatenate((means[0] + means[1], abs(means[0] - means[1]), last.max(axis=0)))
    pair = np.array([cosine, min(n, m) / 16, min(n, m) / max(n, m), sum(shared) / (n + m)])
    inner = np.tanh(dense(pooled, FILE["pooled"]) + pair @ kernel(FILE["pairs"], FILE["hidden"]))
    return float(dense(inner, FILE["output"])[0])


PAIRS = [
    ("How do I reset my password?", "I forgot my password, how can I get a new one?", 0.8),
    ("Convert 50 km to miles", "Convert 50 miles to km", 0.97),
    ("Why?", "Is the shop open on Sundays and on public holidays in Spain?", 0.1),
]


@pytest.mark.parametrize(("one", "other", "cosine"), PAIRS)
def test_it_computes_what_it_says(one: str, other: str, cosine: float) -> None:
    found = packaged_alignment().logits(tokens(one), [tokens(other)], [cosine])
    assert found.tolist() == pytest.approx([slow_logit(one, other, cosine)], abs=2e-3)
    back = packaged_alignment().logits(tokens(other), [tokens(one)], [cosine])
    assert back.tolist() == pytest.approx(found.tolist(), abs=1e-4)


def test_several_at_once_are_each_alone() -> None:
    ours = tokens(PAIRS[0][0])
    others, cosines = [tokens(other) for _, other, _ in PAIRS], [0.8, 0.2, 0.5]
    together = packaged_alignment().logits(ours, others, cosines).tolist()
    alone = [
        packaged_alignment().logits(ours, [other], [cosine]).tolist()[0]
        for other, cosine in zip(others, cosines, strict=True)
    ]
    assert together == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"width": FILE["width"] + 4},
        {"blocks": []},
        {"blocks": [{**FILE["blocks"][0], "alike": [0.0] * 5}]},
        {"blocks": [{**FILE["blocks"][0], "near": [[0.0] * 5] * 4}]},
        {"pairs": FILE["pairs"][:-8]},
        {"pairs": base64.b64encode(np.full(4 * FILE["hidden"], np.nan, "<f2").tobytes()).decode()},
        {"scale": [float("inf")] * FILE["width"]},
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"shape|layers|width|finite|distance"):
        Alignment.of({**FILE, **changes})
