"""ONNX graphs as the small networks here are built: node by node, and run on the caller's thread.

Built straight from the weights, so that no training framework is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET, TREES_OPSET = 17, 3
TREES_DOMAIN = "ai.onnx.ml"
FLOATS, INTS = TensorProto.FLOAT, TensorProto.INT64

_IR_VERSION = 9

Shapes: TypeAlias = Mapping[str, tuple[int, Sequence[int | str]]]
"""Name to element type and axes; an axis with a name may have any length."""


class Nodes:
    """Nodes and constants as they accumulate; each method returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """One node with one output."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """One node with several outputs."""
        names = [f"n{len(self.nodes)}_{at}" for at in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names

    def output(self, kind: str, name: str, *inputs: str) -> None:
        """One node whose output is the graph's."""
        self.nodes.append(helper.make_node(kind, list(inputs), [name]))

    def constant(self, value: NDArray[Any]) -> str:
        """An array that comes with the graph."""
        name = f"c{len(self.constants)}"
        array = np.ascontiguousarray(value) if value.ndim else value
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def number(self, value: float) -> str:
        """A float32 without axes."""
        return self.constant(np.asarray(value, dtype=np.float32))

    def ints(self, value: int | list[int]) -> str:
        """An int64, or a row of them."""
        return self.constant(np.asarray(value, dtype=np.int64))

    def model(self, name: str, inputs: Shapes, outputs: Shapes) -> Any:
        """The whole as an `onnx.ModelProto`, checked."""
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            name,
            [value(one, kind, list(axes)) for one, (kind, axes) in inputs.items()],
            [value(one, kind, list(axes)) for one, (kind, axes) in outputs.items()],
            self.constants,
        )
        opsets = [helper.make_opsetid("", OPSET)]
        if any(node.domain == TREES_DOMAIN for node in self.nodes):
            opsets.append(helper.make_opsetid(TREES_DOMAIN, TREES_OPSET))
        model = helper.make_model(graph, opset_imports=opsets)
        model.ir_version = _IR_VERSION
        onnx.checker.check_model(model)
        return model


def open_session(model: Path | Any) -> Any:
    """A file or an `onnx.ModelProto`, ready to run on the thread that calls it, and on no other."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
