"""One forward pass over the rows of several requests, without padding.

The network sees one sequence of tokens, each with its own position; only attention knows whose row
is whose. Rows of requests that decode are scored together: once over a context that they share
(`cascade`), once over their tails, which lie side by side (`tail_batch`). The chunks of prompts
that are still being read attend one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from semcache.cag.context.attention import over_tail
from semcache.cag.context.cascade import Part, merged, part_over
from semcache.cag.context.segments import Attended, Context, LayerKV
from semcache.cag.context.tail import TailCache
from semcache.cag.context.tail_batch import TailBatch

LONGEST_TOGETHER = 512
"""Tails beyond this many tokens attend alone: the others would be padded to their length."""


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """Tokens that one cache reads next. The logits of the last `scored` of them are wanted.

    `answers`: these are rows of an answer, its last token and what is drafted after it; otherwise
    a part of a prompt.
    """

    cache: Any
    tokens: Sequence[int]
    scored: int
    answers: bool = False


@dataclass(frozen=True, slots=True)
class _Run:
    """Rows `start` to `stop`, neighbours, which attend to the same context."""

    start: int
    stop: int
    context: Context | None


class Packed(Cache):
    """Stands for the caches of all `spans` in one forward pass.

    `together` of the leading spans have their tails in `batch`, at `slots`. Implements
    `segments.Attended`, and travels in its place.
    """

    def __init__(
        self,
        spans: Sequence[Span],
        together: int,
        batch: TailBatch | None,
        slots: Sequence[int],
        device: torch.device,
    ) -> None:
        super().__init__(layers=[])
        self._spans = spans[:together]
        self._batch = batch
        self._rows = sum(len(span.tokens) for span in self._spans)
        self._lone: list[tuple[int, int, TailCache]] = []
        at = self._rows
        for span in spans[together:]:
            self._lone.append((at, at + len(span.tokens), span.cache))
            at += len(span.tokens)
        if batch is not None:
            self._lay_out(batch, slots, device)

    def _lay_out(self, batch: TailBatch, slots: Sequence[int], device: torch.device) -> None:
        """Where each row goes: its slot, its place in the tail, its place in the padded query."""
        widest = max(len(span.tokens) for span in self._spans)
        begun = [span.cache.length for span in self._spans]
        self._seen = max(
            length + len(span.tokens) for length, span in zip(begun, self._spans, strict=True)
        )
        slot_of, place, column = [], [], []
        source = [[0] * widest for _ in batch.layers[0][0]]
        visible = [[1] * widest for _ in source]
        row = 0
        for slot, length, span in zip(slots, begun, self._spans, strict=True):
            for at in range(len(span.tokens)):
                slot_of.append(slot)
                place.append(length + at)
                column.append(at)
                source[slot][at] = row
                visible[slot][at] = length + at + 1
                row += 1
        self._widest = widest
        self._slot, self._place, self._column, self._source = (
            torch.tensor(numbers, device=device) for numbers in (slot_of, place, column, source)
        )
        ends = torch.tensor(visible, device=device)[:, :, None]
        hidden = torch.arange(self._seen, device=device) >= ends
        self._hidden = hidden[:, None, :, None, :]
        self._bias: Tensor | None = None
        self._runs = _runs(self._spans)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Nothing that the network may lean on: positions are given."""
        return 0

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> LayerKV:
        """Write each row's key and value into its own tail."""
        if self._batch is not None:
            for buffer, fresh in zip(
                self._batch.layers[layer_idx], (key_states, value_states), strict=True
            ):
                buffer[self._slot, :, self._place] = fresh[0, :, : self._rows].transpose(0, 1)
        for start, stop, cache in self._lone:
            cache.tails[layer_idx].update(
                key_states[:, :, start:stop], value_states[:, :, start:stop]
            )
        return key_states, value_states

    def attend(self, layer: int, query: Tensor, tail: LayerKV, scale: float) -> Tensor:
        """Implements `Attended`. `tail` is what the rows added; the tails are known here."""
        parts = []
        if self._batch is not None:
            parts.append(self._together(layer, query[:, :, : self._rows], scale))
        for start, stop, cache in self._lone:
            own = query[:, :, start:stop]
            keys, values = cache.tails[layer].seen
            if cache.prefix is None:
                parts.append(over_tail(own, keys, values, scale))
            else:
                parts.append(cache.prefix.attend(layer, own, (keys, values), scale))
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)

    def commit(self) -> None:
        """The pass has ended well: the tails are longer now."""
        for span in self._spans:
            span.cache.cut(span.cache.length + len(span.tokens))

    def _together(self, layer: int, query: Tensor, scale: float) -> Tensor:
        """(1, heads, rows, dim) over the shared contexts and the tails side by side."""
        assert self._batch is not None
        keys, values = self._batch.layers[layer]
        slots, groups = keys.shape[:2]
        heads, dim = query.shape[1], query.shape[3]
        each = heads // groups
        rows = query[0].transpose(0, 1)
        padded = rows[self._source.view(-1)].view(slots, self._widest, groups, each, dim)
        asked = padded.permute(0, 2, 1, 3, 4).reshape(slots, groups, -1, dim)
        over_tails = part_over(
            asked,
            keys[:, :, : self._seen],
            values[:, :, : self._seen],
            scale,
            self._bias_for(each, query.dtype),
        )
        own_mixed, own_sum = (
            part.view(slots, groups, self._widest, each, -1)[self._slot, :, self._column].permute(
                1, 0, 2, 3
            )
            for part in over_tails
        )  # (groups, rows, each, dim or 1)
        by_group = query[0].view(groups, each, -1, dim).transpose(1, 2)
        mixed = [
            _with_context(run, layer, by_group, (own_mixed, own_sum), scale) for run in self._runs
        ]
        joined = mixed[0] if len(mixed) == 1 else torch.cat(mixed, dim=1)
        return joined.transpose(1, 2).reshape(1, heads, -1, dim)

    def _bias_for(self, each: int, dtype: torch.dtype) -> Tensor:
        if self._bias is None:
            hidden = self._hidden.expand(-1, -1, -1, each, -1).flatten(2, 3)
            bias = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device)
            self._bias = bias.masked_fill_(hidden, float("-inf"))
        return self._bias


def _with_context(run: _Run, layer: int, by_group: Tensor, own: Part, scale: float) -> Tensor:
    """One run's rows over their context, merged with what they found in their tails."""
    mixed, log_sum = (part[:, run.start : run.stop] for part in own)
    if run.context is None:
        return mixed
    query = by_group[:, run.start : run.stop].flatten(1, 2)
    found: Part | None = None
    for segment, turned in zip(run.context.segments, run.context.turned(query), strict=True):
        keys, values = segment.layers[layer]
        part = part_over(turned[None], keys, values, scale)
        found = part if found is None else merged(found, part)
    if found is None:
        return mixed
    tails = mixed.flatten(1, 2)[None], log_sum.flatten(1, 2)[None]
    return merged(found, tails)[0][0].view(mixed.shape)


def can_be_together(span: Span) -> bool:
    """Whether its rows may be scored with others'; a prompt's chunks are too many for it to pay."""
    cache = span.cache
    plain = cache.prefix is None or isinstance(cache.prefix, Context)
    return span.answers and plain and 0 < cache.length <= LONGEST_TOGETHER


def context_name(context: Attended | None) -> tuple[tuple[int, int], ...]:
    """Equal for contexts that are made of the same segments in the same places."""
    if not isinstance(context, Context):
        return ()
    return tuple((id(one.layers), one.shift) for one in context.segments)


def _runs(spans: Sequence[Span]) -> list[_Run]:
    runs = []
    at = 0
    for _, same in groupby(spans, key=lambda span: context_name(span.cache.prefix)):
        members = list(same)
        rows = sum(len(span.tokens) for span in members)
        runs.append(_Run(at, at + rows, members[0].cache.prefix))
        at += rows
    return runs
