"""A BERT sentence encoder as an ONNX graph, with pooling and normalisation inside.

Inputs `input_ids` and `attention_mask`, int64 (batch, tokens). Outputs `sentence_embedding`,
float32 (batch, dim), unit rows: the masked mean of the token vectors; and `last_hidden_state`,
float32 (batch, tokens, dim), the token vectors of the same forward pass.

The network is that of Devlin et al. 2018 (arXiv 1810.04805): post-norm, the exact GELU.

In int8 each dense layer scales its input by the largest value of each *row* (one token), as
LLM.int8 does (Dettmers et al. 2022, arXiv 2208.07339), and its weights by that of each output
channel. The usual dynamic quantisation takes one scale for the whole batch: the vector of a text
then depends on the texts beside it (cosine to its own down to .976). By rows it does not, is closer
to fp32 (mean .996 instead of .993), and takes the same time. Weights have seven bits: with eight,
processors without VNNI overflow their 16-bit sums, and two machines would disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcache.onnx_graph import FLOATS, INTS, Nodes

SENTENCE, TOKENS = "sentence_embedding", "last_hidden_state"
Weights = Mapping[str, NDArray[np.float32]]

_WEIGHT_MAX, _INPUT_MAX, _INPUT_ZERO = 63, 127, 128
_MASKED = -1e4


def build_graph(weights: Weights, config: Mapping[str, Any], *, quantize: bool) -> Any:
    """The ONNX model (an `onnx.ModelProto`) of these weights, checked.

    `weights` are named as in Hugging Face's BertModel; `config` is its config.json. Raises KeyError
    where one is missing.
    """
    return _Network(weights, config, quantize).built()


def quantize_columns(
    kernel: NDArray[np.float32],
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A kernel (inputs, outputs) as int8 in ±63 and one scale for each output channel."""
    scale = np.maximum(np.abs(kernel).max(axis=0) / _WEIGHT_MAX, np.float32(1e-12))
    return np.rint(kernel / scale).astype(np.int8), scale.astype(np.float32)


class _Network(Nodes):
    def __init__(self, weights: Weights, config: Mapping[str, Any], quantize: bool) -> None:
        super().__init__()
        self._weights = weights
        self._quantize = quantize
        self._layers = int(config["num_hidden_layers"])
        self._heads = int(config["num_attention_heads"])
        self._dim = int(config["hidden_size"])
        self._eps = float(config.get("layer_norm_eps", 1e-12))

    def built(self) -> Any:
        mask = self.op("Cast", "attention_mask", to=FLOATS)
        bias = self._mask_bias(mask)
        hidden = self._embeddings()
        for layer in range(self._layers):
            hidden = self._layer(hidden, bias, f"encoder.layer.{layer}")
        self.output("Identity", TOKENS, hidden)
        self._pool(hidden, mask)
        axes = ["batch", "tokens"]
        return self.model(
            "sentence_encoder",
            {name: (INTS, axes) for name in ("input_ids", "attention_mask")},
            {SENTENCE: (FLOATS, ["batch", self._dim]), TOKENS: (FLOATS, [*axes, self._dim])},
        )

    # ---------------------------------------------------------------------------------- network

    def _embeddings(self) -> str:
        words = self.op("Gather", self._weight("embeddings.word_embeddings.weight"), "input_ids")
        length = self.op("Gather", self.op("Shape", "input_ids"), self.ints(1))
        positions = self.op("Range", self.ints(0), length, self.ints(1))
        # One segment only, so its embedding is part of every position's.
        places = self._array("embeddings.position_embeddings.weight")
        places = places + self._array("embeddings.token_type_embeddings.weight")[0]
        summed = self.op("Add", words, self.op("Gather", self.constant(places), positions))
        return self._norm(summed, "embeddings.LayerNorm")

    def _mask_bias(self, mask: str) -> str:
        """0 for a token, a large negative number for padding: (batch, 1, 1, tokens)."""
        bias = self.op("Mul", self.op("Sub", self.number(1), mask), self.number(_MASKED))
        return self.op("Unsqueeze", bias, self.ints([1, 2]))

    def _layer(self, hidden: str, bias: str, name: str) -> str:
        attended = self._attention(hidden, bias, f"{name}.attention")
        inner = self._gelu(self._dense(attended, f"{name}.intermediate.dense"))
        outer = self._dense(inner, f"{name}.output.dense")
        return self._norm(self.op("Add", outer, attended), f"{name}.output.LayerNorm")

    def _attention(self, hidden: str, bias: str, name: str) -> str:
        joined = self._dense(hidden, *(f"{name}.self.{part}" for part in ("query", "key", "value")))
        query, key, value = self.ops("Split", 3, joined, self.ints([self._dim] * 3), axis=-1)
        query, value = (self._split_heads(part, [0, 2, 1, 3]) for part in (query, value))
        scores = self.op("MatMul", query, self._split_heads(key, [0, 2, 3, 1]))
        scale = self.number(1 / float(np.sqrt(self._dim // self._heads)))
        shares = self.op("Softmax", self.op("Add", self.op("Mul", scores, scale), bias), axis=-1)
        mixed = self.op("Transpose", self.op("MatMul", shares, value), perm=[0, 2, 1, 3])
        merged = self.op("Reshape", mixed, self.ints([0, 0, self._dim]))
        output = self._dense(merged, f"{name}.output.dense")
        return self._norm(self.op("Add", output, hidden), f"{name}.output.LayerNorm")

    def _split_heads(self, hidden: str, order: list[int]) -> str:
        shape = self.ints([0, 0, self._heads, self._dim // self._heads])
        return self.op("Transpose", self.op("Reshape", hidden, shape), perm=order)

    def _gelu(self, value: str) -> str:
        error = self.op("Erf", self.op("Div", value, self.number(float(np.sqrt(2)))))
        doubled = self.op("Mul", value, self.op("Add", error, self.number(1)))
        return self.op("Mul", doubled, self.number(0.5))

    def _pool(self, hidden: str, mask: str) -> None:
        masked = self.op("Mul", hidden, self.op("Unsqueeze", mask, self.ints([2])))
        total = self.op("ReduceSum", masked, self.ints([1]), keepdims=0)
        mean = self.op("Div", total, self.op("ReduceSum", mask, self.ints([1]), keepdims=1))
        squares = self.op("ReduceSum", self.op("Mul", mean, mean), self.ints([1]), keepdims=1)
        length = self.op("Max", self.op("Sqrt", squares), self.number(1e-12))
        self.output("Div", SENTENCE, mean, length)

    # ------------------------------------------------------------------------------------ pieces

    def _dense(self, value: str, *names: str) -> str:
        """The layers `names` side by side, on one input."""
        kernel = np.concatenate([self._array(f"{name}.weight").T for name in names], axis=1)
        shift = np.concatenate([self._array(f"{name}.bias") for name in names])
        if self._quantize:
            product = self._int8_product(value, kernel)
        else:
            product = self.op("MatMul", value, self.constant(kernel))
        return self.op("Add", product, self.constant(shift))

    def _int8_product(self, value: str, kernel: NDArray[np.float32]) -> str:
        largest = self.op("ReduceMax", self.op("Abs", value), axes=[-1], keepdims=1)
        scaled = self.op("Mul", largest, self.number(1 / _INPUT_MAX))
        row_scale = self.op("Max", scaled, self.number(1e-9))
        zero = self.constant(np.asarray(_INPUT_ZERO, dtype=np.uint8))
        rows = self.op("QuantizeLinear", self.op("Div", value, row_scale), self.number(1), zero)
        columns, column_scale = quantize_columns(kernel)
        summed = self.op("MatMulInteger", rows, self.constant(columns), zero)
        product = self.op("Cast", summed, to=FLOATS)
        return self.op("Mul", self.op("Mul", product, self.constant(column_scale)), row_scale)

    def _norm(self, value: str, name: str) -> str:
        scale, shift = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        return self.op("LayerNormalization", value, scale, shift, axis=-1, epsilon=self._eps)

    def _weight(self, name: str) -> str:
        return self.constant(self._array(name))

    def _array(self, name: str) -> NDArray[np.float32]:
        return np.asarray(self._weights[name], dtype=np.float32)
