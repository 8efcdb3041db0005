"""ONNX graphs as the networks here are built: node by node, and run.

Built straight from the weights, so that no training framework is needed. Small networks run on the
thread that calls them; the parts of a large one share the process's pool of threads, which waits
busily for a moment between two parts: what follows at once does not pay for waking it up.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
TREES_DOMAIN, CONTRIBUTED = "ai.onnx.ml", "com.microsoft"
FLOATS, INTS = TensorProto.FLOAT, TensorProto.INT64

_DOMAINS = {TREES_DOMAIN: 3, CONTRIBUTED: 1}

_IR_VERSION = 9
_REFUSED = onnxruntime.capi.onnxruntime_pybind11_state.Fail
_own, _pool = threading.Event(), threading.Event()

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
        self.node(kind, inputs, [name])

    def node(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> None:
        """One node whose outputs are named; an output without a name is not computed."""
        self.nodes.append(helper.make_node(kind, list(inputs), list(outputs), **attributes))

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
        used = {node.domain for node in self.nodes}
        opsets = [helper.make_opsetid("", OPSET)]
        opsets += [helper.make_opsetid(*one) for one in _DOMAINS.items() if one[0] in used]
        model = helper.make_model(graph, opset_imports=opsets)
        model.ir_version = _IR_VERSION
        onnx.checker.check_model(model)
        return model


class Bound:
    """A session with its inputs and outputs at fixed places in memory: `run` moves nothing.

    Whoever binds keeps the memory alive and its shape unchanged.
    """

    def __init__(self, session: Any) -> None:
        self._session = session._sess  # the wrapper's own run costs as much as a small graph
        self._binding = session.io_binding()
        self._iobinding = self._binding._iobinding

    def read_from(self, name: str, kind: type, shape: Sequence[int], address: int) -> None:
        """Bind an input."""
        self._binding.bind_input(name, "cpu", 0, kind, list(shape), address)

    def write_to(self, name: str, kind: type, shape: Sequence[int], address: int) -> None:
        """Bind an output."""
        self._binding.bind_output(name, "cpu", 0, kind, list(shape), address)

    def run(self) -> None:
        """From the inputs as they are now."""
        self._session.run_with_iobinding(self._iobinding, None)


def own_process() -> None:
    """Say that this process is semcache's own, so that it may have a pool (`size_pool`).

    A library in somebody else's must not make one: onnxruntime then refuses every session with
    threads of its own, theirs too.
    """
    _own.set()


def size_pool(threads: int) -> None:
    """Give the process a pool of threads, the caller's included; the first use settles it."""
    if not _own.is_set():
        return
    with contextlib.suppress(_REFUSED):  # there is one already, as it was sized first
        onnxruntime.set_global_thread_pool_sizes(threads, 1)
    _pool.set()


def open_part(model: Path | Any) -> Any:
    """A file or an `onnx.ModelProto`, ready to run on the process's pool, where it has one.

    Otherwise on the thread that calls it.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if _pool.is_set():
        options.use_per_session_threads = False
    else:
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(_source(model), options, providers=["CPUExecutionProvider"])


def open_session(model: Path | Any) -> Any:
    """A file or an `onnx.ModelProto`, ready to run on the thread that calls it, and on no other.

    Where the process has its pool already, on that: the runtime allows no session beside it then.
    """
    return open_part(model)


def _source(model: Path | Any) -> str | bytes:
    if isinstance(model, Path):
        return str(model)
    serialized: bytes = model.SerializeToString()
    return serialized
