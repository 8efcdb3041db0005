"""A lean network's parts, bound to buffers for so many rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from semcache.cag.lean.shape import Shape
from semcache.onnx_graph import Bound

_KINDS = {torch.float32: np.float32, torch.int64: np.int64}


class Steps:
    """Parts up to the last attention, for `rows` rows. The buffers are written anew by each run.

    `normed` and `mixed` are to be filled before `run`; `query`, `key` and `value` are
    (1, heads, rows, dim) views of what it left, the former two of `turned`.
    """

    def __init__(self, parts: Sequence[Any], shape: Shape, rows: int) -> None:
        self.normed = torch.zeros(1, rows, shape.hidden)
        self.mixed = torch.zeros(1, rows, shape.query)
        self.cos = torch.zeros(rows, shape.dim // 2)
        self.sin = torch.zeros(rows, shape.dim // 2)
        self._row = torch.arange(rows)[None]
        self._streams = (torch.zeros_like(self.normed), torch.zeros_like(self.normed))
        self.turned = torch.zeros(1, rows, shape.query + shape.key)
        value = torch.zeros(1, rows, shape.key)
        self.query, self.key, self.value = (
            part.view(1, rows, -1, shape.dim).transpose(1, 2)
            for part in (*torch.split(self.turned, [shape.query, shape.key], dim=2), value)
        )
        asked = {"turned": self.turned, "value": value}
        self._bound = [self._bind(number, part, asked) for number, part in enumerate(parts)]

    @property
    def embedded(self) -> Tensor:
        """The residual stream that the first layer starts from."""
        return self._streams[0]

    @property
    def final(self) -> Tensor:
        """The residual stream before the last layer's attention is added."""
        return self._streams[(len(self._bound) - 1) % 2]

    def run(self, number: int) -> None:
        """Part `number`: from what attention `number - 1` mixed to what the next one asks."""
        self._bound[number].run()

    def _bind(self, number: int, part: Any, asked: Mapping[str, Tensor]) -> Bound:
        bound = Bound(part)
        if number:
            bind_input(bound, "x", self._streams[(number - 1) % 2])
            bind_input(bound, "mixed", self.mixed)
            bind_output(bound, "y", self._streams[number % 2])
        else:
            bind_input(bound, "x", self.normed)
        for name, buffer in (("row", self._row), ("cos", self.cos), ("sin", self.sin)):
            bind_input(bound, name, buffer)
        for name, buffer in asked.items():
            bind_output(bound, name, buffer)
        return bound


class Ending:
    """The last part, for `rows` rows whose logits are wanted."""

    def __init__(self, part: Any, shape: Shape, rows: int) -> None:
        self.stream = torch.zeros(1, rows, shape.hidden)
        self.mixed = torch.zeros(1, rows, shape.query)
        self._logits = torch.zeros(1, rows, shape.vocabulary)
        self._bound = Bound(part)
        bind_input(self._bound, "x", self.stream)
        bind_input(self._bound, "mixed", self.mixed)
        bind_output(self._bound, "logits", self._logits)

    def run(self) -> Tensor:
        """(1, rows, vocabulary), the caller's own."""
        self._bound.run()
        return self._logits.clone()


def bind_input(bound: Bound, name: str, buffer: Tensor) -> None:
    """Read an input where a tensor lies; the caller keeps it there."""
    bound.read_from(name, _KINDS[buffer.dtype], buffer.shape, buffer.data_ptr())


def bind_output(bound: Bound, name: str, buffer: Tensor) -> None:
    """Write an output where a tensor lies; the caller keeps it there."""
    bound.write_to(name, _KINDS[buffer.dtype], buffer.shape, buffer.data_ptr())
