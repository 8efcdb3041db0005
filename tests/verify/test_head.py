"""Heads: what they compute, against scikit-free oracles, and which files they refuse."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semcache.errors import ConfigError
from semcache.verify.features import FEATURES, WEIGHTS
from semcache.verify.head import FORMAT, Head
from semcache.verify.verifier import BLIND, FIRST, FULL
from semcache.verify.weight_file import sealed

LAYERS = {
    "kind": "layers",
    "kernels": [[[1.0, -1.0], [0.5, 2.0]], [[1.5], [-0.5]]],
    "biases": [[0.1, -0.2], [0.3]],
}
TREES = {
    "kind": "trees",
    "feature": [[0, 1, 0, 0, 0]],
    "threshold": [[0.0, 1.0, 0, 0, 0]],
    "left": [[1, 3, 2, 3, 4]],
    "right": [[2, 4, 2, 3, 4]],
    "value": [[0, 0, 0.7, -0.4, 0.2]],
    "base": -0.1,
    "depth": 2,
}


def data(**changes: Any) -> dict[str, Any]:
    whole = {
        "format": FORMAT,
        "inputs": ["cosine", "maxsim"],
        "mean": [0.5, 0.0],
        "scale": [0.5, 1.0],
        "members": [LAYERS, TREES],
        "threshold": 0.5,
        "encoders": ["e"],
    }
    return {**whole, **changes}


def by_hand(cosine: float, maxsim: float) -> float:
    x, y = (cosine - 0.5) / 0.5, maxsim
    hidden = [math.tanh(x + 0.5 * y + 0.1), math.tanh(-x + 2 * y - 0.2)]
    layers = 1.5 * hidden[0] - 0.5 * hidden[1] + 0.3
    tree = 0.7 if x > 0 else (-0.4 if y <= 1 else 0.2)
    return 1 / (1 + math.exp(-(layers + tree - 0.1) / 2))


def test_probability_is_that_of_the_mean_log_odds() -> None:
    head = Head.of(data())
    rows = [(0.9, 0.2), (0.3, 0.9), (0.3, 1.4), (-0.5, -2.0)]
    found = head.probability(np.array(rows, dtype=np.float32))
    assert found.tolist() == pytest.approx([by_hand(*row) for row in rows], abs=1e-6)


def test_what_is_not_finite_is_a_refusal() -> None:
    rows = np.array([[0.9, np.nan], [np.inf, 0.2]], dtype=np.float32)
    assert Head.of(data()).probability(rows).tolist() == [0.0, 0.0]


def test_members_leave_another_model_its_share() -> None:
    rows = np.array([[0.9, 0.2], [0.3, np.nan]], dtype=np.float32)
    whole = Head.of(data()).log_odds(rows)
    part = Head.of(data(outside=0.4)).log_odds(rows)
    assert part[0] == pytest.approx(0.6 * whole[0])
    assert part[1] == whole[1] == -np.inf


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        Head.of(data()).probability(np.zeros((1, 3), dtype=np.float32))


def test_a_file_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "head.json"
    path.write_text(sealed(data()))
    assert Head.load(path).inputs == ("cosine", "maxsim")


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "another format"},
        {"mean": [0.5]},
        {"mean": [0.5, float("inf")]},
        {"scale": [0.5, 0.0]},
        {"threshold": 0.0},
        {"threshold": 2.0},
        {"members": []},
        {"members": [{"kind": "pickle"}]},
        {"members": [{**LAYERS, "kernels": LAYERS["kernels"][:1]}]},
        {"members": [{**TREES, "left": [[1, 3, 2, 3, 9]]}]},
        {"members": [{**TREES, "feature": [[5, 1, 0, 0, 0]]}]},
        {"members": [{**TREES, "left": [[-1, 3, 2, 3, 4]]}]},
        {"members": [{**TREES, "depth": 1000}]},
        {"members": [{**TREES, "depth": 1}]},
        {"members": [{**TREES, "left": [[1, 0, 2, 3, 4]]}]},
        {"inputs": None},
        {"outside": 1.0},
        {"outside": -0.1},
    ],
)
def test_a_foreign_file_is_refused_with_what_to_do(changes: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "head.json"
    path.write_text(sealed(data(**changes)))
    with pytest.raises(ConfigError, match=r"damaged or of another kind.*Reinstall"):
        Head.load(path)


@pytest.mark.parametrize("name", [FULL, BLIND, FIRST])
def test_one_changed_digit_is_found(name: str, tmp_path: Path) -> None:
    text = (WEIGHTS / name).read_text()
    at = next(i for i in range(len(text) // 2, len(text)) if text[i] in "123456789")
    path = tmp_path / name
    path.write_text(text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1 :])
    with pytest.raises(ConfigError, match="digest"):
        Head.load(path)
    path.write_text(text[: len(text) // 2])
    with pytest.raises(ConfigError, match="damaged"):
        Head.load(path)
    path.write_bytes(b"\x80\x04pickle")
    with pytest.raises(ConfigError, match="damaged"):
        Head.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.json"):
        Head.load(tmp_path / "none.json")


@pytest.mark.parametrize("name", [FULL, BLIND, FIRST])
def test_the_packaged_weights_ask_for_features_that_are_there(name: str) -> None:
    head = Head.load(WEIGHTS / name)
    assert set(head.inputs) <= set(FEATURES)
    assert (WEIGHTS / name).stat().st_size < 600_000
    assert json.loads((WEIGHTS / name).read_text())["format"] == FORMAT
