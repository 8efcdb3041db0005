"""The alignment against its definition, token by token, and its weight file."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from semcache.verify.alignment import Alignment
from semcache.verify.features import ALIGNMENT, WEIGHTS, packaged_alignment
from semcache.verify.tokens import Tokens
from tests.verify.questions import asked


def tokens(question: str) -> Tokens:
    sketch = asked(question).sketch
    assert sketch is not None
    found = Tokens.of(sketch)
    assert found is not None
    return found


def slow_logit(one: str, other: str) -> float:
    """From the file, in double precision, by the formulas of decomposable attention."""
    w = {
        name: np.array(value, dtype=np.float64) if isinstance(value, list) else value
        for name, value in json.loads((WEIGHTS / ALIGNMENT).read_text()).items()
    }
    a, b = (tokens(text).vectors.astype(np.float64) @ w["projection"] for text in (one, other))
    total = np.zeros(2 * len(w["compare_bias"]))
    for ours, theirs in ((a, b), (b, a)):
        seen = []
        for x in ours:
            logits = [w["sharpness"] * float(x @ y) for y in theirs]
            top = max(logits)
            shares = [math.exp(value - top) for value in logits]
            found = sum(share * y for share, y in zip(shares, theirs, strict=True)) / sum(shares)
            joined = np.concatenate([x, abs(x - found), x * found])
            seen.append(np.maximum(joined @ w["compare"] + w["compare_bias"], 0))
        total += np.concatenate([np.mean(seen, axis=0), np.max(seen, axis=0)])
    inner = np.tanh(total @ w["hidden"] + w["hidden_bias"])
    return float((inner @ w["output"] + w["output_bias"])[0])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I reset my password?", "I forgot my password, how can I get a new one?"),
        ("Convert 50 km to miles", "Convert 50 miles to km"),
        ("Why?", "Is the shop open on Sundays and on public holidays in Spain?"),
    ],
)
def test_it_computes_what_it_says(one: str, other: str) -> None:
    learned = packaged_alignment()
    forth, back = (learned.project(tokens(text)) for text in (one, other))
    assert learned.logit(forth, back) == pytest.approx(slow_logit(one, other), abs=1e-3)
    assert learned.logit(forth, back) == pytest.approx(learned.logit(back, forth), abs=1e-4)


def test_arrays_that_do_not_fit_are_refused() -> None:
    data = json.loads((WEIGHTS / ALIGNMENT).read_text())
    with pytest.raises(ValueError, match="shape"):
        Alignment.of({**data, "rank": data["rank"] + 1})
    with pytest.raises(ValueError, match="finite"):
        Alignment.of({**data, "sharpness": float("nan")})
