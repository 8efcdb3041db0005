"""Attention of one request's few rows, on the same threads as the kernels before and after it.

Between two kernels these threads wait busily for a moment; torch's own would have to be woken up,
which takes longer than the work. Only the plain case: a context of one segment that stands where it
was read, or none, and then the tail. The tail is read in its whole buffer, and what lies beyond its
end is masked, so that nothing is copied. Everything else attends as always (`attention`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from semcache.cag.context.segments import Context, LayerKV
from semcache.cag.context.tail import TailCache
from semcache.cag.lean.shape import Shape
from semcache.cag.lean.steps import Steps, bind_input, bind_output
from semcache.onnx_graph import CONTRIBUTED, FLOATS, INTS, Bound, Nodes, Shapes, open_part


class LeanAttention:
    """Belongs to the model's thread. `scale` multiplies the scores."""

    def __init__(self, shape: Shape, scale: float) -> None:
        self._shape = shape
        self._sessions = {
            with_context: open_part(_graph(shape, scale, with_context))
            for with_context in (True, False)
        }
        self._bound: dict[tuple[int, bool], list[_Layer]] = {}
        self._masks: dict[tuple[int, int], Tensor] = {}
        self._lengths = torch.zeros(2, dtype=torch.long)

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
        return OneRequest(self._bound[key], self, cache, layers, rows)

    def masked(self, rows: int, seen: int, room: int) -> Tensor:
        """(asked, room), added to the scores: the last of `rows` rows sees `seen` of the tail."""
        each = self._shape.heads // self._shape.groups
        mask = self._masks.get((rows, room))
        if mask is None:
            mask = self._masks[rows, room] = torch.zeros(each * rows, room)
        ends = torch.arange(seen - rows, seen)[:, None]
        hidden = (torch.arange(room)[None] > ends).repeat(each, 1)
        return mask.zero_().masked_fill_(hidden, float("-inf"))

    def lengths(self, before: int, room: int) -> Tensor:
        """Of the two halves of a row of scores."""
        self._lengths[0], self._lengths[1] = before, room
        return self._lengths


class OneRequest:
    """One forward pass of one request. `mix` each layer in turn, once its keys are written."""

    def __init__(
        self,
        bound: Sequence[_Layer],
        owner: LeanAttention,
        cache: TailCache,
        layers: Sequence[LayerKV],
        rows: int,
    ) -> None:
        self._bound = bound
        self._owner = owner
        self._cache = cache
        self._layers = layers
        self._rows = rows
        self._alike: dict[str, Tensor] = {}

    def mix(self, number: int) -> None:
        """Layer `number`, into the steps' `mixed`."""
        keys, values = self._cache.tails[number].written
        if number == 0:
            self._alike = self._measured(keys.shape[2])
        given = {"tail_keys": keys, "tail_values": values, **self._alike}
        if self._layers:
            given["keys"], given["values"] = self._layers[number]
        self._bound[number].run(given)

    def _measured(self, room: int) -> dict[str, Tensor]:
        """What all layers are given: the tail's length, now that the first has its new keys."""
        alike = {"bias": self._owner.masked(self._rows, self._cache.tails[0].length, room)}
        if self._layers:
            alike["lengths"] = self._owner.lengths(self._layers[0][0].shape[2], room)
        return alike


class _Layer:
    """One layer's binding; what lies where it lay, with the same size, stays bound."""

    def __init__(self, session: Any, steps: Steps) -> None:
        self._bound = Bound(session)
        bind_input(self._bound, "turned", steps.turned)
        bind_output(self._bound, "mixed", steps.mixed)
        self._given: dict[str, tuple[int, int]] = {}

    def run(self, given: Mapping[str, Tensor]) -> None:
        """The tensors are the caller's until this returns."""
        for name, part in given.items():
            place = part.data_ptr(), part.numel()
            if self._given.get(name) != place:
                bind_input(self._bound, name, part)
                self._given[name] = place
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
