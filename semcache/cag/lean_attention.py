"""Attention of one request's few rows, on the same threads as the kernels before and after it.

Between two kernels these threads wait busily for a moment; torch's own would have to be woken up,
which takes longer than the work. Only the plain case: a context of one segment that stands where it
was read, or none, and then the tail. The tail is read in its whole buffer, and what lies beyond its
end is masked, so that nothing is copied. Everything else attends as always (`attention`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from semcache.cag.lean_shape import Shape
from semcache.cag.lean_steps import Steps, bind_input, bind_output
from semcache.cag.segments import Context, LayerKV
from semcache.cag.tail import TailCache
from semcache.onnx_graph import CONTRIBUTED, FLOATS, INTS, Bound, Nodes, Shapes, open_part

_Places: TypeAlias = tuple[tuple[int, int], ...]


class LeanAttention:
    """Belongs to the model's thread. `scale` multiplies the scores."""

    def __init__(self, shape: Shape, scale: float) -> None:
        self._shape = shape
        self._sessions = {
            with_context: open_part(_graph(shape, scale, with_context))
            for with_context in (True, False)
        }
        self._bound: dict[tuple[int, bool], list[_Layer]] = {}

    def begun(self, steps: Steps, cache: Any, context: Any) -> OneRequest | None:
        """For one forward pass; None where this is not the plain case."""
        if type(cache) is not TailCache or not all(tail.is_initialized for tail in cache.tails):
            return None
        layers = _layers_of(context)
        if layers is None:
            return None
        rows = steps.mixed.shape[1]
        key = rows, bool(layers)
        if key not in self._bound:
            session = self._sessions[key[1]]
            self._bound[key] = [_Layer(session, steps) for _ in range(self._shape.layers)]
        return OneRequest(self._bound[key], self._shape, steps, cache, layers)


class OneRequest:
    """One forward pass of one request. `mix` each layer in turn, once its keys are written."""

    def __init__(
        self,
        bound: Sequence[_Layer],
        shape: Shape,
        steps: Steps,
        cache: TailCache,
        layers: Sequence[LayerKV],
    ) -> None:
        self._bound = bound
        self._cache = cache
        self._layers = layers
        self._rows = steps.mixed.shape[1]
        self._each = shape.heads // shape.groups
        self._lengths = torch.tensor([0, 0])
        self._bias = torch.empty(0)

    def mix(self, number: int) -> None:
        """Layer `number`, into the steps' `mixed`."""
        keys, values = self._cache.tails[number].written
        if number == 0:
            self._measure(keys.shape[2])
        given = {"tail_keys": keys, "tail_values": values, "bias": self._bias}
        if self._layers:
            before = self._layers[number]
            given |= {"keys": before[0], "values": before[1], "lengths": self._lengths}
        self._bound[number].run(given)

    def _measure(self, room: int) -> None:
        """Which places of the tail's buffer each row sees; all layers are alike."""
        ends = torch.arange(-self._rows, 0)[:, None] + self._cache.tails[0].length + 1
        hidden = torch.arange(room)[None] >= ends
        bias = torch.zeros(self._rows, room).masked_fill_(hidden, float("-inf"))
        self._bias = bias.repeat(self._each, 1)
        before = self._layers[0][0].shape[2] if self._layers else 0
        self._lengths = torch.tensor([before, room])


class _Layer:
    """One layer's binding, made anew where its keys and values lie elsewhere than before."""

    def __init__(self, session: Any, steps: Steps) -> None:
        self._bound = Bound(session)
        bind_input(self._bound, "turned", steps.turned)
        bind_output(self._bound, "mixed", steps.mixed)
        self._places: _Places = ()
        self._kept: Mapping[str, Tensor] = {}

    def run(self, given: Mapping[str, Tensor]) -> None:
        places = tuple((one.data_ptr(), one.numel()) for one in given.values())
        if places != self._places:
            for name, part in given.items():
                bind_input(self._bound, name, part)
            self._places = places
        self._kept = given  # nothing of it may move while the binding points to it
        self._bound.run()


def _layers_of(context: Any) -> Sequence[LayerKV] | None:
    """Keys and values of a context that can be read as they lie; empty where there is none."""
    if context is None:
        return ()
    if type(context) is not Context or len(context.segments) > 1:
        return None
    if not context.segments:
        return ()
    segment = context.segments[0]
    parts = segment.layers[0]
    readable = all(part.is_contiguous() and part.dtype == torch.float32 for part in parts)
    return segment.layers if readable and not segment.shift else None


def _graph(shape: Shape, scale: float, with_context: bool) -> Any:
    """(1, rows, …) `turned` to (1, rows, …) `mixed`; the heads of one key are rows for it."""
    nodes = Nodes()
    each = shape.heads // shape.groups
    widths = nodes.ints([shape.query, shape.key])
    query = nodes.ops("Split", 2, "turned", widths, axis=-1)[0]
    rows = nodes.op("Reshape", query, nodes.ints([-1, shape.groups, each, shape.dim]))
    by_group = nodes.op("Transpose", rows, perm=[1, 2, 0, 3])
    asked = nodes.op("Reshape", by_group, nodes.ints([1, shape.groups, -1, shape.dim]))

    def scores(keys: str) -> str:
        return nodes.op("FusedMatMul", asked, keys, domain=CONTRIBUTED, transB=1, alpha=scale)

    joined = nodes.op("Add", scores("tail_keys"), "bias")
    if with_context:
        joined = nodes.op("Concat", scores("keys"), joined, axis=-1)
    shares = nodes.op("Softmax", joined, axis=-1)
    if with_context:
        before, after = nodes.ops("Split", 2, shares, "lengths", axis=-1)
        mixed = nodes.op(
            "Add", nodes.op("MatMul", before, "values"), nodes.op("MatMul", after, "tail_values")
        )
    else:
        mixed = nodes.op("MatMul", shares, "tail_values")
    apart = nodes.op("Reshape", mixed, nodes.ints([shape.heads, -1, shape.dim]))
    in_rows = nodes.op("Transpose", apart, perm=[1, 0, 2])
    nodes.output("Reshape", "mixed", in_rows, nodes.ints([1, -1, shape.query]))
    return nodes.model("attention", _inputs(shape, with_context), _outputs(shape))


def _inputs(shape: Shape, with_context: bool) -> Shapes:
    def kept(length: str) -> tuple[int, Sequence[int | str]]:
        return FLOATS, [1, shape.groups, length, shape.dim]

    inputs: dict[str, tuple[int, Sequence[int | str]]] = {
        "turned": (FLOATS, [1, "rows", shape.query + shape.key]),
        "tail_keys": kept("room"),
        "tail_values": kept("room"),
        "bias": (FLOATS, ["asked", "room"]),
    }
    if with_context:
        inputs |= {"keys": kept("before"), "values": kept("before"), "lengths": (INTS, [2])}
    return inputs


def _outputs(shape: Shape) -> Shapes:
    return {"mixed": (FLOATS, [1, "rows", shape.query])}
