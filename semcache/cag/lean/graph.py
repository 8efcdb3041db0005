"""A network's layers between their attentions, as ONNX graphs over whole-number weights.

Attention itself stays where it is (`attention`, `packing`): part 0 leads to the first one, part i
from the (i - 1)th to the ith, and the last part from the last one to the logits. So contexts,
blocks, packed requests and drafts work as with the plain network.

A kernel multiplies whole numbers by whole numbers, so it rounds its input to 8 bits (scaled by 32
values). That alone costs 2 of 100 tokens. Where `twice`, each row comes twice therefore: rounded,
and what rounding took from it, rounded in its turn. The sum of both products has 15 bits of the
input, and the logits are those of float32 to about 1e-4 of their scale; the second row costs
little, as the weights are read once. Offsets of blocks, which the kernel does not know, are
multiplied by the sums of the input's blocks.

Inputs and outputs of a part, float32 (1, rows, width): `x` the residual stream, `mixed` what
attention returns; out: `y`, the stream after the layer, `turned`, the query heads and then the key
heads, turned by `cos` and `sin` (rows, head dim / 2), and `value`; `row` is 0 … rows - 1, int64
(1, rows). Part 0 takes `x` normed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from semcache.cag.lean.shape import Shape
from semcache.cag.lean.weights import BLOCK, Floats, Packed
from semcache.onnx_graph import CONTRIBUTED, FLOATS, INTS, Nodes, Shapes

Packing: TypeAlias = Callable[[Floats], Packed | None]

_MAX = 127


class OffGridError(ValueError):
    """A matrix cannot be packed as was asked."""


def graphs(network: Any, shape: Shape, packing: Packing, twice: bool) -> Iterator[Any]:
    """The parts, in order, as `onnx.ModelProto`. Raises OffGridError."""

    def part() -> _Part:
        return _Part(shape, packing, twice)

    layers = list(network.model.layers)
    yield part().entering(layers[0])
    for before, layer in pairwise(layers):
        yield part().between(before, layer)
    yield part().leaving(layers[-1], network.model.norm, network.lm_head)


class _Part(Nodes):
    def __init__(self, shape: Shape, packing: Packing, twice: bool) -> None:
        super().__init__()
        self._shape = shape
        self._packing = packing
        self._twice = twice

    def entering(self, layer: Any) -> Any:
        """From the normed embedding to the first attention."""
        self._ask("x", layer)
        inputs = {"x": self._floats(self._shape.hidden), **self._turns()}
        return self.model("entering", inputs, self._asked())

    def between(self, before: Any, layer: Any) -> Any:
        """From one attention to the next."""
        normed = self._layer(before, layer.input_layernorm, "y")
        self._ask(normed, layer)
        wide = self._floats(self._shape.hidden)
        inputs = {"x": wide, "mixed": self._floats(self._shape.query), **self._turns()}
        return self.model("between", inputs, {"y": wide, **self._asked()})

    def leaving(self, before: Any, norm: Any, head: Any) -> Any:
        """From the last attention to the logits."""
        normed = self._layer(before, norm, "")
        self.output("Identity", "logits", self._dense(normed, head))
        wide, query = self._floats(self._shape.hidden), self._floats(self._shape.query)
        logits = {"logits": self._floats(self._shape.vocabulary)}
        return self.model("leaving", {"x": wide, "mixed": query}, logits)

    # ------------------------------------------------------------------------------------ pieces

    def _layer(self, layer: Any, next_norm: Any, result: str) -> str:
        """What follows attention; the stream goes to `result`, and normed to whatever is next."""
        merged = self._dense("mixed", layer.self_attn.o_proj)
        normed, stream = self._add_and_norm(merged, "x", layer.post_attention_layernorm, "")
        mlp = layer.mlp
        joined = self._dense(normed, mlp.gate_proj, mlp.up_proj)
        gate, up = self._split(joined, [self._shape.inner] * 2)
        silu = self.op("QuickGelu", gate, domain=CONTRIBUTED, alpha=1.0)
        inner = self._dense(self.op("Mul", silu, up), mlp.down_proj)
        return self._add_and_norm(inner, stream, next_norm, result)[0]

    def _ask(self, normed: str, layer: Any) -> None:
        attention, shape = layer.self_attn, self._shape
        joined = self._dense(normed, attention.q_proj, attention.k_proj, attention.v_proj)
        both = f"n{len(self.nodes)}_both"
        widths = self.ints([shape.query + shape.key, shape.key])
        self.node("Split", [joined, widths], [both, "value"], axis=-1)
        heads = shape.heads + shape.groups
        self.node(
            "RotaryEmbedding",
            [both, "row", "cos", "sin"],
            ["turned"],
            domain=CONTRIBUTED,
            num_heads=heads,
        )

    def _add_and_norm(self, value: str, stream: str, norm: Any, result: str) -> tuple[str, str]:
        number = len(self.nodes)
        outputs = [f"n{number}_normed", "", "", result or f"n{number}_sum"]
        scale = self.constant(_array(norm.weight))
        epsilon = float(norm.variance_epsilon)
        self.node(
            "SkipSimplifiedLayerNormalization",
            [value, stream, scale],
            outputs,
            domain=CONTRIBUTED,
            epsilon=epsilon,
        )
        return outputs[0], outputs[3]

    def _dense(self, value: str, *layers: Any) -> str:
        """The linear layers side by side, on one input."""
        packed = self._packing(np.concatenate([_array(layer.weight) for layer in layers]))
        if packed is None:
            raise OffGridError("the weights are not whole numbers of 4 or 8 bits")
        inputs = layers[0].in_features
        blocks = self.op("Reshape", value, self.ints([-1, inputs // BLOCK, BLOCK]))
        result = self._product(self._doubled(blocks, inputs) if self._twice else value, packed)
        if self._twice:
            result = self.op("Add", *self.ops("Split", 2, result, axis=1))
        if packed.offsets is not None:
            sums = self.op("ReduceSum", blocks, self.ints([-1]), keepdims=0)
            result = self.op("Add", result, self.op("MatMul", sums, self.constant(packed.offsets)))
        if any(layer.bias is not None for layer in layers):
            result = self.op("Add", result, self.constant(_joined_bias(layers)))
        return result

    def _product(self, rows: str, packed: Packed) -> str:
        outputs, blocks, _ = packed.codes.shape
        return self.op(
            "MatMulNBits",
            rows,
            self.constant(packed.codes),
            self.constant(packed.scales),
            domain=CONTRIBUTED,
            K=blocks * BLOCK,
            N=outputs,
            bits=packed.bits,
            block_size=BLOCK,
            accuracy_level=4,
        )

    def _doubled(self, blocks: str, width: int) -> str:
        """Each row as its rounded self and, further down, the rest."""
        largest = self.op("ReduceMax", self.op("Abs", blocks), axes=[-1], keepdims=1)
        scale = self.op("Max", self.op("Mul", largest, self.number(1 / _MAX)), self.number(1e-20))
        rounded = self.op("Mul", self.op("Round", self.op("Div", blocks, scale)), scale)
        both = self.op("Concat", rounded, self.op("Sub", blocks, rounded), axis=0)
        return self.op("Reshape", both, self.ints([1, -1, width]))

    def _split(self, value: str, widths: Sequence[int]) -> list[str]:
        return self.ops("Split", len(widths), value, self.ints(list(widths)), axis=-1)

    def _turns(self) -> Shapes:
        angles: tuple[int, Sequence[int | str]] = FLOATS, ["rows", self._shape.dim // 2]
        return {"row": (INTS, [1, "rows"]), "cos": angles, "sin": angles}

    def _asked(self) -> Shapes:
        shape = self._shape
        return {"turned": self._floats(shape.query + shape.key), "value": self._floats(shape.key)}

    def _floats(self, width: int) -> tuple[int, Sequence[int | str]]:
        return FLOATS, [1, "rows", width]


def _array(parameter: Any) -> Floats:
    array: Floats = parameter.detach().numpy()
    return array


def _joined_bias(layers: Sequence[Any]) -> Floats:
    return np.concatenate(
        [
            np.zeros(layer.out_features, np.float32) if layer.bias is None else _array(layer.bias)
            for layer in layers
        ]
    )
