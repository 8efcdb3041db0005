"""The members of a head, and how they become one ONNX graph: one call for all of them.

Two kinds, both small:

- `layers`: affine layers with tanh between them (one layer: logistic regression);
- `trees`: gradient-boosted regression trees as flat arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from semcache.onnx_graph import FLOATS, TREES_DOMAIN, Nodes
from semcache.verify.weight_file import Floats, array

Places: TypeAlias = NDArray[np.intp]

_DEEPEST = 32


@dataclass(frozen=True, slots=True)
class Layers:
    """Affine layers, kernels (inputs, outputs); the last has one output."""

    kernels: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    def add_to(self, nodes: Nodes, rows: str) -> str:
        """The log odds (n, 1) of standardised features (n, inputs)."""
        for at, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            rows = nodes.op("Tanh", rows) if at else rows
            product = nodes.op("MatMul", rows, nodes.constant(kernel))
            rows = nodes.op("Add", product, nodes.constant(bias))
        return rows


@dataclass(frozen=True, slots=True)
class Trees:
    """Arrays of (trees, nodes): a line goes `left` where its feature is at most the threshold.

    The first node of a tree is its root. A leaf leads to itself.
    """

    feature: Places
    threshold: Floats
    left: Places
    right: Places
    value: Floats
    base: float

    def add_to(self, nodes: Nodes, rows: str) -> str:
        """The log odds (n, 1) of standardised features (n, inputs)."""
        trees, size = self.feature.shape
        tree, node = (grid.ravel() for grid in np.indices((trees, size)))
        leaf = (self.left == np.arange(size)).ravel()
        return nodes.op(
            "TreeEnsembleRegressor",
            rows,
            domain=TREES_DOMAIN,
            n_targets=1,
            base_values=[self.base],
            nodes_treeids=tree.tolist(),
            nodes_nodeids=node.tolist(),
            nodes_featureids=self.feature.ravel().tolist(),
            nodes_values=self.threshold.ravel().tolist(),
            nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
            nodes_truenodeids=np.where(leaf, 0, self.left.ravel()).tolist(),
            nodes_falsenodeids=np.where(leaf, 0, self.right.ravel()).tolist(),
            target_treeids=tree[leaf].tolist(),
            target_nodeids=node[leaf].tolist(),
            target_ids=[0] * int(leaf.sum()),
            target_weights=self.value.ravel()[leaf].tolist(),
        )


def mean_graph(members: Sequence[Layers | Trees], inputs: int) -> Any:
    """ONNX model: `rows`, standardised features (n, inputs), to `logits` (n, 1), the members' mean.

    At least one member.
    """
    nodes = Nodes()
    total = members[0].add_to(nodes, "rows")
    for member in members[1:]:
        total = nodes.op("Add", total, member.add_to(nodes, "rows"))
    nodes.output("Div", "logits", total, nodes.number(len(members)))
    return nodes.model("head", {"rows": (FLOATS, ["n", inputs])}, {"logits": (FLOATS, ["n", 1])})


def member_of(data: Any, inputs: int) -> Layers | Trees:
    """From the parsed weight file. Raises ValueError, KeyError or TypeError."""
    if data["kind"] == "layers":
        return _layers(data, inputs)
    if data["kind"] == "trees":
        return _trees(data, inputs)
    raise ValueError(f"the kind '{data['kind']}' is unknown")


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
    if not 0 < int(data["depth"]) <= _DEEPEST:
        raise ValueError("the depth of the trees is out of range")
    trees = Trees(
        places["feature"],
        array(data["threshold"], *shape),
        places["left"],
        places["right"],
        array(data["value"], *shape),
        float(data["base"]),
    )
    _require_leaves(trees, int(data["depth"]))
    return trees


def _require_leaves(trees: Trees, depth: int) -> None:
    """Every way down ends at a leaf: a line that went in circles would never be judged."""
    tree = np.arange(len(trees.left))[:, None]
    reached = np.zeros(trees.left.shape, dtype=bool)
    reached[:, 0] = True
    for _ in range(depth):
        below = np.zeros_like(reached)
        for side in (trees.left, trees.right):
            np.logical_or.at(below, (tree, side), reached)
        reached = below
    inner = trees.left != np.arange(trees.left.shape[1])
    if (reached & inner).any():
        raise ValueError("the trees are deeper than their depth")
