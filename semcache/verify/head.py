"""A trained head: named features in, the probability of a right answer out. numpy only.

Two kinds, both small:

- `layers`: affine layers with tanh between them (one layer: logistic regression);
- `trees`: gradient-boosted regression trees as flat arrays, read without branching in Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from semcache.verify.weight_file import Floats, array, read

Places: TypeAlias = NDArray[np.intp]

FORMAT = "semcache pair head 1"
_EXTREME = 30.0


@dataclass(frozen=True, slots=True)
class Layers:
    """Affine layers, kernels (inputs, outputs); the last has one output."""

    kernels: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    def logits(self, rows: Floats) -> Floats:
        """(n,) of standardised features (n, inputs)."""
        for kernel, bias in zip(self.kernels[:-1], self.biases[:-1], strict=True):
            rows = np.tanh(rows @ kernel + bias)
        found: Floats = (rows @ self.kernels[-1] + self.biases[-1])[:, 0]
        return found


@dataclass(frozen=True, slots=True)
class Trees:
    """All nodes of all trees in one row: a line goes `left` where its feature is at most the
    threshold.

    `roots` (trees,) are places in that row, and so are the children. A leaf leads to itself, so
    that `depth` steps bring every line to its leaf.
    """

    roots: Places
    feature: Places
    threshold: Floats
    left: Places
    right: Places
    value: Floats
    base: float
    depth: int

    def logits(self, rows: Floats) -> Floats:
        """(n,) of standardised features (n, inputs)."""
        at = np.tile(self.roots, (len(rows), 1))
        begins = np.arange(len(rows))[:, None] * rows.shape[1]
        for _ in range(self.depth):
            low = rows.take(begins + self.feature.take(at)) <= self.threshold.take(at)
            at = np.where(low, self.left.take(at), self.right.take(at))
        found: Floats = self.value.take(at).sum(axis=1) + np.float32(self.base)
        return found


@dataclass(frozen=True, slots=True)
class Wary:
    """Where every feature at `places` lies between `least` and `most`, log odds lose `by`.

    For a kind of pair on which the members are known to be right less often than they believe.
    """

    places: tuple[int, ...]
    least: Floats
    most: Floats
    by: float

    def loss(self, features: Floats) -> Floats:
        """(n,) to take from the log odds of features (n, inputs)."""
        part = features[:, list(self.places)]
        inside = ((part >= self.least) & (part <= self.most)).all(axis=1)
        return np.where(inside, np.float32(self.by), np.float32(0))


@dataclass(frozen=True, slots=True)
class Head:
    """`inputs` are the names of the features it takes, in order.

    `threshold`: serve at this probability or above. `encoders`: fingerprints of the encoders that
    it was trained for. `outside`: the share of another model's log odds beside the members' mean.
    """

    inputs: tuple[str, ...]
    mean: Floats
    scale: Floats
    members: tuple[Layers | Trees, ...]
    threshold: float
    encoders: frozenset[str]
    wary: tuple[Wary, ...] = ()
    outside: float = 0.0

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a weight file. Raises ConfigError where it is not whole, or not of this form."""
        return read(path, FORMAT, cls.of)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        """From the parsed file. Raises ValueError, KeyError or TypeError."""
        inputs = tuple(str(name) for name in data["inputs"])
        size = len(inputs)
        mean, scale = array(data["mean"], size), array(data["scale"], size)
        if not bool((scale > 0).all()):
            raise ValueError("a scale is not above 0")
        threshold = float(data["threshold"])
        if not 0 < threshold <= 1:
            raise ValueError("the threshold is no probability")
        members = tuple(_member(one, size) for one in data["members"])
        if not members:
            raise ValueError("it has no members")
        encoders = frozenset(str(one) for one in data["encoders"])
        wary = tuple(_wary(one, inputs) for one in data.get("wary") or ())
        outside = float(data.get("outside", 0.0))
        if not 0 <= outside < 1:
            raise ValueError("the share of another model is out of range")
        return cls(inputs, mean, scale, members, threshold, encoders, wary, outside)

    def probability(self, features: Floats) -> Floats:
        """Probabilities (n,) of features (n, inputs), in the order of `inputs`.

        Raises ValueError for another shape. What is not finite counts as 0, a refusal. Only for a
        head without a share of another model.
        """
        return chances(self.log_odds(features))

    def log_odds(self, features: Floats) -> Floats:
        """The members' mean, as far as their share goes, less what wary rules take: (n,).

        Minus infinity where a feature is not finite. Raises ValueError for another shape.
        """
        if features.ndim != 2 or features.shape[1] != len(self.inputs):
            raise ValueError(f"features have the shape (n, {len(self.inputs)})")
        sound = np.asarray(np.isfinite(features).all(axis=1))
        known = features if sound.all() else np.where(sound[:, None], features, self.mean)
        rows = ((known - self.mean) / self.scale).astype(np.float32, copy=False)
        total = self.members[0].logits(rows)
        for member in self.members[1:]:
            total = total + member.logits(rows)
        total = total * np.float32((1 - self.outside) / len(self.members))
        for rule in self.wary:
            total -= rule.loss(known)
        found: Floats = np.where(sound, total, -np.inf).astype(np.float32)
        return found


def chances(log_odds: Floats) -> Floats:
    """Probabilities; 0 for minus infinity and for what is no number."""
    with np.errstate(invalid="ignore"):
        found = 1 / (1 + np.exp(-np.clip(log_odds, -_EXTREME, _EXTREME)))
    return np.where(log_odds > -np.inf, found, 0).astype(np.float32)


def _member(data: Any, inputs: int) -> Layers | Trees:
    if data["kind"] == "layers":
        return _layers(data, inputs)
    if data["kind"] == "trees":
        return _trees(data, inputs)
    raise ValueError(f"the kind '{data['kind']}' is unknown")


def _wary(data: Any, inputs: tuple[str, ...]) -> Wary:
    limits = data["between"]
    least, most = zip(*limits.values(), strict=True)
    by = float(data["by"])
    if not 0 <= by < _EXTREME:
        raise ValueError("a loss of log odds is out of range")
    places = tuple(inputs.index(name) for name in limits)
    return Wary(places, array(least, len(limits)), array(most, len(limits)), by)


def _layers(data: Any, inputs: int) -> Layers:
    sizes = [inputs, *(len(bias) for bias in data["biases"])]
    if sizes[-1] != 1 or len(data["kernels"]) != len(sizes) - 1:
        raise ValueError("the layers do not fit together")
    kernels = tuple(
        array(kernel, one, other)
        for kernel, one, other in zip(data["kernels"], sizes[:-1], sizes[1:], strict=True)
    )
    return Layers(kernels, tuple(array(bias, len(bias)) for bias in data["biases"]))


def _trees(data: Any, inputs: int) -> Trees:
    shape = np.asarray(data["feature"]).shape
    if len(shape) != 2:
        raise ValueError("trees are arrays of (trees, nodes)")
    places = {name: np.asarray(data[name]) for name in ("feature", "left", "right")}
    for name, limit in (("feature", inputs), ("left", shape[1]), ("right", shape[1])):
        found = places[name]
        if (
            found.shape != shape
            or found.dtype.kind != "i"
            or found.min() < 0
            or found.max() >= limit
        ):
            raise ValueError(f"'{name}' of the trees is out of range")
    depth = int(data["depth"])
    if not 0 < depth <= 32:
        raise ValueError("the depth of the trees is out of range")
    roots = np.arange(shape[0]) * shape[1]
    return Trees(
        roots,
        places["feature"].ravel(),
        array(data["threshold"], *shape).ravel(),
        (places["left"] + roots[:, None]).ravel(),
        (places["right"] + roots[:, None]).ravel(),
        array(data["value"], *shape).ravel(),
        float(data["base"]),
        depth,
    )
