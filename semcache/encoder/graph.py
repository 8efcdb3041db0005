"""A BERT-like sentence encoder as an ONNX graph, with pooling and normalisation inside.

Built straight from the weights, so that making the artefact needs no training framework. Inputs
`input_ids` and `attention_mask`, int64 (batch, tokens); outputs `sentence`, float32 (batch, dim),
unit rows: the masked mean of the token vectors, as all-MiniLM-L6-v2 defines it; and `tokens`,
float32 (batch, tokens, dim): the token vectors of the same forward pass.

The network is that of Devlin et al. 2018 (arXiv 1810.04805), post-norm, with the exact GELU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
Weights = Mapping[str, NDArray[np.float32]]


def build_graph(weights: Weights, config: Mapping[str, Any]) -> Any:
    """The ONNX model of these weights (an `onnx.ModelProto`).

    `weights` are named as in Hugging Face's BertModel; `config` is its config.json.
    """
    return _Builder(weights, config).model()


class _Builder:
    def __init__(self, weights: Weights, config: Mapping[str, Any]) -> None:
        self._weights = weights
        self._layers = int(config["num_hidden_layers"])
        self._heads = int(config["num_attention_heads"])
        self._dim = int(config["hidden_size"])
        self._eps = float(config["layer_norm_eps"])
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._count = 0

    def model(self) -> Any:
        hidden = self._embeddings()
        bias = self._mask_bias()
        for layer in range(self._layers):
            hidden = self._layer(hidden, bias, f"encoder.layer.{layer}")
        self._nodes.append(helper.make_node("Identity", [hidden], ["tokens"]))
        self._pool(hidden)
        ids = ["batch", "tokens"]
        graph = helper.make_graph(
            self._nodes,
            "sentence_encoder",
            [
                helper.make_tensor_value_info("input_ids", TensorProto.INT64, ids),
                helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ids),
            ],
            [
                helper.make_tensor_value_info("sentence", TensorProto.FLOAT, ["batch", self._dim]),
                helper.make_tensor_value_info("tokens", TensorProto.FLOAT, [*ids, self._dim]),
            ],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 9
        onnx.checker.check_model(model)
        return model

    # ---------------------------------------------------------------------------------- network

    def _embeddings(self) -> str:
        words = self._op("Gather", self._weight("embeddings.word_embeddings"), "input_ids")
        length = self._op("Gather", self._op("Shape", "input_ids"), self._ints(1))
        positions = self._op("Range", self._ints(0), length, self._ints(1))
        places = self._op("Gather", self._weight("embeddings.position_embeddings"), positions)
        types = self._weights["embeddings.token_type_embeddings.weight"][0]
        summed = self._op("Add", self._op("Add", words, places), self._constant(types))
        return self._norm(summed, "embeddings.LayerNorm")

    def _mask_bias(self) -> str:
        """0 for a token, a large negative number for padding: (batch, 1, 1, tokens)."""
        mask = self._op("Cast", "attention_mask", to=TensorProto.FLOAT)
        hidden = self._op("Sub", self._constant(np.float32(1)), mask)
        bias = self._op("Mul", hidden, self._constant(np.float32(-1e4)))
        return self._op("Unsqueeze", bias, self._ints([1, 2]))

    def _layer(self, hidden: str, bias: str, name: str) -> str:
        attended = self._attention(hidden, bias, f"{name}.attention")
        inner = self._dense(attended, f"{name}.intermediate.dense")
        outer = self._dense(self._gelu(inner), f"{name}.output.dense")
        return self._norm(self._op("Add", outer, attended), f"{name}.output.LayerNorm")

    def _attention(self, hidden: str, bias: str, name: str) -> str:
        query = self._split_heads(self._dense(hidden, f"{name}.self.query"), [0, 2, 1, 3])
        key = self._split_heads(self._dense(hidden, f"{name}.self.key"), [0, 2, 3, 1])
        value = self._split_heads(self._dense(hidden, f"{name}.self.value"), [0, 2, 1, 3])
        scale = self._constant(np.float32(1 / np.sqrt(self._dim // self._heads)))
        scores = self._op("Mul", self._op("MatMul", query, key), scale)
        weights = self._op("Softmax", self._op("Add", scores, bias), axis=-1)
        mixed = self._op("Transpose", self._op("MatMul", weights, value), perm=[0, 2, 1, 3])
        joined = self._op("Reshape", mixed, self._ints([0, 0, self._dim]))
        output = self._dense(joined, f"{name}.output.dense")
        return self._norm(self._op("Add", output, hidden), f"{name}.output.LayerNorm")

    def _split_heads(self, hidden: str, order: list[int]) -> str:
        shape = self._ints([0, 0, self._heads, self._dim // self._heads])
        return self._op("Transpose", self._op("Reshape", hidden, shape), perm=order)

    def _gelu(self, value: str) -> str:
        inner = self._op("Div", value, self._constant(np.float32(np.sqrt(2))))
        shifted = self._op("Add", self._op("Erf", inner), self._constant(np.float32(1)))
        doubled = self._op("Mul", value, shifted)
        return self._op("Mul", doubled, self._constant(np.float32(0.5)))

    def _pool(self, hidden: str) -> None:
        mask = self._op("Cast", "attention_mask", to=TensorProto.FLOAT)
        spread = self._op("Unsqueeze", mask, self._ints([2]))
        total = self._op(
            "ReduceSum", self._op("Mul", hidden, spread), self._ints([1]), keepdims=0
        )
        count = self._op("ReduceSum", mask, self._ints([1]), keepdims=1)
        mean = self._op("Div", total, count)
        squares = self._op("ReduceSum", self._op("Mul", mean, mean), self._ints([1]), keepdims=1)
        norm = self._op("Max", self._op("Sqrt", squares), self._constant(np.float32(1e-12)))
        self._nodes.append(helper.make_node("Div", [mean, norm], ["sentence"]))

    # ------------------------------------------------------------------------------------ pieces

    def _dense(self, value: str, name: str) -> str:
        kernel = self._constant(self._weights[f"{name}.weight"].T)
        product = self._op("MatMul", value, kernel)
        return self._op("Add", product, self._constant(self._weights[f"{name}.bias"]))

    def _norm(self, value: str, name: str) -> str:
        scale, shift = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return self._op(
            "LayerNormalization",
            value,
            self._constant(scale),
            self._constant(shift),
            axis=-1,
            epsilon=self._eps,
        )

    def _weight(self, name: str) -> str:
        return self._constant(self._weights[f"{name}.weight"])

    def _ints(self, value: int | list[int]) -> str:
        return self._constant(np.asarray(value, dtype=np.int64))

    def _constant(self, value: Any) -> str:
        name = f"c{len(self._constants)}"
        array = np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def _op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        self._count += 1
        output = f"n{self._count}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output
