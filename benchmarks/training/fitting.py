"""Fit the members of a head with scikit-learn, and write them as plain arrays."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from benchmarks.training.aligning import rounded
from semcache.verify.head import FORMAT

Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rows:
    """Standardised features (n, inputs), labels (n,) and weights (n,)."""

    features: Floats
    same: NDArray[np.bool_]
    weights: Floats


def scales_of(features: Floats) -> tuple[Floats, Floats]:
    """Mean and scale of each column, in float32."""
    spread = features.std(axis=0)
    return features.mean(axis=0), np.where(spread > 1e-6, spread, 1.0).astype(np.float32)


def logistic(rows: Rows) -> dict[str, Any]:
    """Logistic regression: one layer."""
    model = LogisticRegression(C=0.3, max_iter=500)
    model.fit(rows.features, rows.same, sample_weight=rows.weights)
    return _layers([model.coef_.T], [model.intercept_])


def perceptron(rows: Rows, width: int, seed: int) -> dict[str, Any]:
    """One hidden layer with tanh."""
    model = MLPClassifier(
        (width,),
        activation="tanh",
        alpha=3e-3,
        batch_size=512,
        max_iter=12,
        learning_rate_init=3e-3,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # twelve rounds are meant
        model.fit(rows.features, rows.same, sample_weight=rows.weights)
    return _layers(model.coefs_, model.intercepts_)


def boosted(rows: Rows, rounds: int, leaves: int, seed: int) -> dict[str, Any]:
    """Gradient-boosted trees."""
    model = HistGradientBoostingClassifier(
        max_iter=rounds,
        learning_rate=0.08,
        max_leaf_nodes=leaves,
        max_depth=6,
        l2_regularization=5,
        min_samples_leaf=60,
        early_stopping=False,
        random_state=seed,
    )
    model.fit(rows.features, rows.same, sample_weight=rows.weights)
    trees = [predictors[0].nodes for predictors in model._predictors]
    return _trees(trees, float(np.ravel(model._baseline_prediction)[0]))


def head_data(
    names: Sequence[str],
    scales: tuple[Floats, Floats],
    members: Sequence[dict[str, Any]],
    threshold: float,
    encoders: Sequence[str],
) -> dict[str, Any]:
    """The content of a weight file, not sealed yet."""
    return {
        "format": FORMAT,
        "inputs": list(names),
        "mean": rounded(scales[0]),
        "scale": rounded(scales[1]),
        "members": list(members),
        "threshold": threshold,
        "encoders": list(encoders),
    }


def _layers(kernels: Sequence[NDArray[Any]], biases: Sequence[NDArray[Any]]) -> dict[str, Any]:
    return {
        "kind": "layers",
        "kernels": [rounded(kernel) for kernel in kernels],
        "biases": [rounded(bias) for bias in biases],
    }


def _trees(trees: Sequence[Any], base: float) -> dict[str, Any]:
    """Arrays (trees, nodes); a leaf leads to itself, and so do the places that fill a row up."""
    size = max(len(tree) for tree in trees)
    itself = np.arange(size)
    data: dict[str, Any] = {name: [] for name in ("feature", "threshold", "left", "right", "value")}
    for tree in trees:
        count, leaf = len(tree), tree["is_leaf"].astype(bool)
        for side in ("left", "right"):
            places = itself.copy()
            places[:count] = np.where(leaf, itself[:count], tree[side])
            data[side].append(places.tolist())
        feature, threshold, value = np.zeros(size, dtype=int), np.zeros(size), np.zeros(size)
        feature[:count] = np.where(leaf, 0, tree["feature_idx"])
        threshold[:count] = np.where(leaf, 0, tree["num_threshold"])
        value[:count] = np.where(leaf, tree["value"], 0)
        data["feature"].append(feature.tolist())
        data["threshold"].append([float(f"{one:.7g}") for one in threshold])
        data["value"].append(rounded(value))
    depth = max(int(tree["depth"].max()) for tree in trees)
    return {"kind": "trees", **data, "base": round(base, 6), "depth": max(1, depth)}
