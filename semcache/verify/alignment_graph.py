"""The alignment's network as an ONNX graph: one call for all candidates of a lookup.

k pairs in rows of N tokens. Inputs: `vectors` (k, N, dim), `about` (k, N, ABOUT_TOKENS), `places`
(N, N) int64, `cosines` and `equal` (k, 1, N, N), `closed` (k, N): 0, or a large negative number
where no token stands; `means` (k, 2, N): what takes the mean over either question; `pairs`
(k, ABOUT_PAIRS). Output: `logits` (k, 1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from semcache.onnx_graph import FLOATS, INTS, Nodes
from semcache.verify.weight_file import Floats

if TYPE_CHECKING:
    from semcache.verify.alignment import Alignment, Block, Dense

_TINY = 1e-5


def build_graph(alignment: Alignment) -> Any:
    """The ONNX model (an `onnx.ModelProto`) of these weights, checked."""
    return _Network(alignment).built()


class _Network(Nodes):
    def __init__(self, alignment: Alignment) -> None:
        super().__init__()
        self._of = alignment
        self._width = alignment.inward[0].shape[1]
        self._plain = (
            self.constant(np.ones(self._width, dtype=np.float32)),
            self.constant(np.zeros(self._width, dtype=np.float32)),
        )

    def built(self) -> Any:
        of = self._of
        kernel, bias = of.inward
        tokens = self._dense("vectors", (kernel[: of.dim], bias))
        about = self.op("MatMul", "about", self.constant(kernel[of.dim :]))
        tokens = self.op("Add", tokens, about)
        open_keys = self.op("Unsqueeze", "closed", self.ints([1, 2]))
        for block in of.blocks:
            tokens = self._block(tokens, block, open_keys)
        last = (self.constant(of.last[0]), self.constant(of.last[1]))
        pooled = self._pooled(self._norm(tokens, last))
        pairs = self.op("MatMul", "pairs", self.constant(of.pairs))
        inner = self.op("Tanh", self.op("Add", self._dense(pooled, of.hidden), pairs))
        self.output("Identity", "logits", self._dense(inner, of.output))
        return self.model("alignment", self._inputs(), {"logits": (FLOATS, ["k", 1])})

    def _inputs(self) -> dict[str, tuple[int, list[int | str]]]:
        return {
            "vectors": (FLOATS, ["k", "n", self._of.dim]),
            "about": (FLOATS, ["k", "n", len(self._of.inward[0]) - self._of.dim]),
            "places": (INTS, ["n", "n"]),
            "cosines": (FLOATS, ["k", 1, "n", "n"]),
            "equal": (FLOATS, ["k", 1, "n", "n"]),
            "closed": (FLOATS, ["k", "n"]),
            "means": (FLOATS, ["k", 2, "n"]),
            "pairs": (FLOATS, ["k", len(self._of.pairs)]),
        }

    def _block(self, tokens: str, block: Block, open_keys: str) -> str:
        mixed = self._attention(self._norm(tokens, self._plain), block, open_keys)
        tokens = self.op("Add", tokens, self._dense(mixed, block.outward))
        inner = self.op("Relu", self._dense(self._norm(tokens, self._plain), block.up))
        return self.op("Add", tokens, self._dense(inner, block.down))

    def _attention(self, tokens: str, block: Block, open_keys: str) -> str:
        joined = self._dense(tokens, block.inward)
        query, key, value = self.ops("Split", 3, joined, self.ints([self._width] * 3), axis=-1)
        heads = len(block.alike)
        query, value = (self._split_heads(part, heads, [0, 2, 1, 3]) for part in (query, value))
        scores = self.op("MatMul", query, self._split_heads(key, heads, [0, 2, 3, 1]))
        near = self.op("Gather", self.constant(block.near), "places", axis=1)
        scores = self.op("Add", scores, self.op("Add", near, open_keys))
        for what, weights in (("cosines", block.alike), ("equal", block.equal)):
            by_head = self.constant(weights.reshape(1, heads, 1, 1))
            scores = self.op("Add", scores, self.op("Mul", what, by_head))
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), value)
        joined = self.op("Transpose", mixed, perm=[0, 2, 1, 3])
        return self.op("Reshape", joined, self.ints([0, 0, self._width]))

    def _split_heads(self, tokens: str, heads: int, order: list[int]) -> str:
        shape = self.ints([0, 0, heads, self._width // heads])
        return self.op("Transpose", self.op("Reshape", tokens, shape), perm=order)

    def _pooled(self, tokens: str) -> str:
        """Of the two questions' means the sum and the distance; and the maximum over all tokens."""
        means = self.op("MatMul", "means", tokens)
        one, other = self.ops("Split", 2, means, self.ints([1, 1]), axis=1)
        held = self.op("Add", tokens, self.op("Unsqueeze", "closed", self.ints([2])))
        most = self.op("ReduceMax", held, axes=[1], keepdims=1)
        apart = self.op("Abs", self.op("Sub", one, other))
        joined = self.op("Concat", self.op("Add", one, other), apart, most, axis=-1)
        return self.op("Squeeze", joined, self.ints([1]))

    def _dense(self, rows: str, dense: Dense) -> str:
        kernel, bias = (self.constant(np.asarray(part, dtype=np.float32)) for part in dense)
        return self.op("Add", self.op("MatMul", rows, kernel), bias)

    def _norm(self, tokens: str, affine: tuple[str, str]) -> str:
        """Mean 0 and variance 1 over the width (Ba et al. 2016), then scale and shift."""
        return self.op("LayerNormalization", tokens, *affine, axis=-1, epsilon=_TINY)


def means_of(there: Floats, split: int) -> Floats:
    """`means` for pairs whose tokens stand where `there` (k, N) is 1, ours before `split`."""
    found = np.zeros((len(there), 2, there.shape[1]), dtype=np.float32)
    found[:, 0, :split] = 1 / split
    theirs = there[:, split:]
    found[:, 1, split:] = theirs / theirs.sum(axis=1, keepdims=True)
    return found
