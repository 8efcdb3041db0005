"""What a request attends to before its own tail: immutable segments, one after another.

A segment holds keys and values of each layer as they were computed at some place, and how many
positions later it stands now. Where that is not 0, the *query* is turned back (`rotation`): keys
and values are read where they lie, by any number of requests, memory-mapped or not. The scores
over all segments and the tail are softmaxed as one row, which is exact. The query heads of one
key-value head are stacked (GQA), so nothing is expanded either. This is the shared-prefix half of
cascade attention (Hydragen, arXiv 2402.05099) with plain tensor operations.

Shapes: query (1, heads, asked, dim); keys and values (1, kv heads, length, dim).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from semcache.cag.context.rotation import Rotation

LayerKV: TypeAlias = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Key and value of each layer, and how many positions later they stand than computed."""

    layers: tuple[LayerKV, ...]
    shift: int = 0

    @property
    def length(self) -> int:
        """In tokens."""
        return self.layers[0][0].shape[2]

    def part(self, start: int, stop: int) -> Segment:
        """Some of its tokens, where they stand; nothing is copied."""
        if (start, stop) == (0, self.length):
            return self
        layers = tuple((k[:, :, start:stop], v[:, :, start:stop]) for k, v in self.layers)
        return Segment(layers, self.shift)


class Attended(Protocol):
    """What travels to each layer with a forward call, and takes the place of its attention."""

    def attend(self, layer: int, query: Tensor, tail: LayerKV, scale: float) -> Tensor:
        """Mix the values for each query: (1, heads, asked, dim).

        `tail`: the whole tail of this layer, what was just read included.
        """
        ...


class Context:
    """Segments in the order of the prompt; the tail's positions count on from `length`.

    `rotation` is needed where a segment is shifted.
    """

    def __init__(self, segments: Sequence[Segment], rotation: Rotation | None = None) -> None:
        self.segments = tuple(one for one in segments if one.length)
        self.length = sum(one.length for one in self.segments)
        self._rotation = rotation
        if rotation is None and any(one.shift for one in self.segments):
            raise ValueError("a shifted segment needs the model's rotation")

    def turned(self, query: Tensor) -> list[Tensor]:
        """The query as each segment's keys must be asked; `query` is (…, dim)."""
        shifts, cos, sin = self._turns
        if self._rotation is None or not shifts:
            return [query] * len(self.segments)
        room = (len(shifts), *(1,) * (query.dim() - 1), -1)
        turned = self._rotation.turned(query[None], cos.view(room), sin.view(room))
        by_shift = dict(zip(shifts, turned, strict=True))
        return [by_shift.get(one.shift, query) for one in self.segments]

    def attend(self, layer: int, query: Tensor, tail: LayerKV, scale: float) -> Tensor:
        """Implements `Attended`: a query sees all segments, and the tail up to itself."""
        heads, asked, dim = query.shape[1:]
        groups, seen = tail[0].shape[1:3]
        stacked = query.reshape(groups, -1, dim) * scale
        kept = [one.layers[layer] for one in self.segments]
        scores = [
            turned @ key[0].transpose(1, 2)
            for turned, (key, _) in zip(self.turned(stacked), kept, strict=True)
        ]
        over_tail = stacked @ tail[0][0].transpose(1, 2)
        if asked > 1:
            hidden = ~visible(asked, seen, query.device)
            over_tail = over_tail.masked_fill(hidden.repeat(heads // groups, 1), float("-inf"))
        return mixed((*scores, over_tail), (*(v for _, v in kept), tail[1]), query)

    @cached_property
    def _turns(self) -> tuple[list[int], Tensor, Tensor]:
        shifts = sorted({one.shift for one in self.segments} - {0})
        if self._rotation is None or not shifts:
            return [], torch.empty(0), torch.empty(0)
        return shifts, *self._rotation.table([-shift for shift in shifts])


def mixed(scores: Sequence[Tensor], values: Sequence[Tensor], query: Tensor) -> Tensor:
    """Softmax the scores, each (kv heads, rows, length), as one row, and mix the values.

    The result has the query's shape (1, heads, asked, dim).
    """
    joined = torch.cat(tuple(scores), dim=-1)
    weights = joined.softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    parts = torch.split(weights, [one.shape[-1] for one in scores], dim=-1)
    total: Tensor = parts[0] @ values[0][0]
    for weight, value in zip(parts[1:], values[1:], strict=True):
        total = total.baddbmm_(weight, value[0])
    return total.reshape(query.shape)


def visible(asked: int, seen: int, device: torch.device) -> Tensor:
    """(asked, seen): which tail positions each query sees; the last query sees all."""
    return torch.ones(asked, seen, dtype=torch.bool, device=device).tril(seen - asked)
