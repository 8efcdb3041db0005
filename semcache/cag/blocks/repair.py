"""Repairs without training: some tokens of moved blocks are read again, seeing all before them.

- `epic:K`: the first K tokens of each moved block (EPIC, arXiv 2410.15332): they soak up the
  attention that a block's beginning draws, because it was read as if it were a prompt's.
- `blend:R`: the share R of the moved tokens whose values differ most where the model can first
  tell (CacheBlend, arXiv 2405.16444): layer 1, as layer 0 sees no neighbours.

The repaired keys and values are a request's own: the blocks stay as they are. To read all moved
tokens again is to read the prompt.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from semcache.cag.blocks.places import Place, Sink
from semcache.cag.context.rotation import Rotation
from semcache.cag.context.segments import LayerKV, Segment, mixed
from semcache.cag.context.sharing import SplitSharing
from semcache.cag.network.model import LanguageModel
from semcache.errors import ConfigError

_SPELT = re.compile(r"(?:(none|sink|head)\+?)?(?:(epic):(\d+)|(blend):(0\.\d+|1\.0|1))?")


@dataclass(frozen=True, slots=True)
class Repair:
    """What blocks are read after (`sink`), and which of their tokens are read again.

    `amount`: tokens for "epic", a share above 0 and at most 1 for "blend".
    """

    sink: Sink = "none"
    method: Literal["", "epic", "blend"] = ""
    amount: float = 0.0

    @property
    def name(self) -> str:
        """As it is spelt in the configuration."""
        if not self.method:
            return self.sink
        again = f"{self.method}:{self.amount:g}"
        return again if self.sink == "none" else f"{self.sink}+{again}"


def repair_of(spelt: str) -> Repair:
    """From `none`, `sink`, `head`, `epic:16`, `head+blend:0.15` … Raises ConfigError."""
    met = _SPELT.fullmatch(spelt)
    again = met is not None and (met[2] or met[4])
    if met is None or not spelt or spelt.endswith("+") or (met[1] and again and "+" not in spelt):
        raise ConfigError(
            f"'cag.repair' {spelt!r} is unknown. Say none, sink or head (what blocks are read "
            "after), epic:16 or blend:0.15 (which tokens are read again), or both: head+epic:16."
        )
    sink: Sink = met[1] or "none"  # type: ignore[assignment]
    if met[2]:
        repair = Repair(sink, "epic", int(met[3]))
    elif met[4]:
        repair = Repair(sink, "blend", float(met[5]))
    else:
        repair = Repair(sink)
    if repair.method and not repair.amount:
        raise ConfigError(f"'cag.repair' {spelt!r} would read nothing again: say more than 0.")
    return repair


class Repairing:
    """Reads tokens of moved blocks again. On the model's thread, under `inference_mode`."""

    def __init__(
        self,
        model: LanguageModel,
        sharing: SplitSharing,
        rotation: Rotation,
        chunk_tokens: int,
    ) -> None:
        self._model = model
        self._sharing = sharing
        self._rotation = rotation
        self._chunk_tokens = chunk_tokens

    def repaired(
        self, repair: Repair, places: Sequence[Place], segments: Sequence[Segment]
    ) -> tuple[Segment, int]:
        """All places as one segment of the caller's own, and how many tokens were read again."""
        moved = _moved(places)
        flat = flattened(segments, self._rotation)
        ids = [token for place in places for token in place.ids]
        if repair.method == "epic":
            most = int(repair.amount)
            chosen = [at for start, stop in moved for at in range(start, stop)[:most]]
        else:
            chosen = self._deviating(repair.amount, ids, moved, flat)
        for chunk in self._chunks(chosen):
            self._read(ids, chunk, Recomputing(flat))
        return flat, len(chosen)

    def _deviating(
        self, share: float, ids: Sequence[int], moved: Sequence[tuple[int, int]], flat: Segment
    ) -> list[int]:
        """The moved tokens whose values at layer 1 differ most from a full reading's, in order."""
        every = [at for start, stop in moved for at in range(start, stop)]
        if not every:
            return []
        looking = Looking(flat)
        for chunk in self._chunks(every):
            with contextlib.suppress(_SeenEnough):
                self._read(ids, chunk, looking)
        differences = torch.cat(looking.differences)
        most = max(1, round(share * len(every)))
        best: list[int] = differences.topk(most).indices.tolist()
        return sorted(every[at] for at in best)

    def _chunks(self, rows: Sequence[int]) -> Iterator[Sequence[int]]:
        size = self._chunk_tokens
        return (rows[at : at + size] for at in range(0, len(rows), size))

    def _read(self, ids: Sequence[int], chosen: Sequence[int], again: Recomputing) -> None:
        again.begin(torch.tensor(list(chosen), device=self._model.device))
        cache = self._sharing.after(again, 0, len(chosen))
        arguments = {**self._sharing.arguments(cache), "position_ids": again.rows[None]}
        self._model.read([ids[at] for at in chosen], arguments)


class Recomputing:
    """Implements `segments.Attended`: rows write their keys and values into a flat context.

    `rows`: the position of each row, ascending. A row sees all positions up to its own.
    """

    def __init__(self, flat: Segment) -> None:
        self.flat = flat
        self.rows = torch.empty(0, dtype=torch.long)
        self._hidden = torch.empty(0)

    def begin(self, rows: Tensor) -> None:
        """The rows of the next forward pass."""
        self.rows = rows
        self._hidden = torch.arange(self.flat.length, device=rows.device) > rows[:, None]

    def attend(self, layer: int, query: Tensor, tail: LayerKV, scale: float) -> Tensor:
        """Implements `Attended`; `tail` is what the rows have become in this layer."""
        keys, values = self.flat.layers[layer]
        keys[:, :, self.rows] = tail[0]
        values[:, :, self.rows] = tail[1]
        heads, _, dim = query.shape[1:]
        groups = keys.shape[1]
        scores = (query.reshape(groups, -1, dim) * scale) @ keys[0].transpose(1, 2)
        hidden = self._hidden.repeat(heads // groups, 1)
        return mixed([scores.masked_fill(hidden, float("-inf"))], [values], query)


class Looking(Recomputing):
    """Reads as far as layer 1, and notes how far its values are from those in the context."""

    def __init__(self, flat: Segment) -> None:
        super().__init__(flat)
        self.differences: list[Tensor] = []

    def attend(self, layer: int, query: Tensor, tail: LayerKV, scale: float) -> Tensor:
        """Implements `Attended`. Raises `_SeenEnough` at layer 1."""
        if layer < 1:
            return super().attend(layer, query, tail, scale)
        difference = tail[1] - self.flat.layers[layer][1][:, :, self.rows]
        self.differences.append(difference.float().square().sum(dim=(0, 1, 3)))
        raise _SeenEnough


class _SeenEnough(Exception):
    """The rest of the forward pass is not needed."""


def flattened(segments: Sequence[Segment], rotation: Rotation) -> Segment:
    """A copy of all segments as one, every key turned to its place."""
    layers = []
    tables = {one.shift: rotation.table([one.shift]) for one in segments if one.shift}
    for layer in range(len(segments[0].layers)):
        keys = [
            rotation.turned(one.layers[layer][0], *tables[one.shift])
            if one.shift
            else one.layers[layer][0]
            for one in segments
        ]
        layers.append(
            (torch.cat(keys, 2), torch.cat([one.layers[layer][1] for one in segments], 2))
        )
    return Segment(tuple(layers))


def _moved(places: Sequence[Place]) -> list[tuple[int, int]]:
    """First position, and the one after the last, of each moved place."""
    spans = []
    start = 0
    for place in places:
        stop = start + len(place.ids)
        if place.shift:
            spans.append((start, stop))
        start = stop
    return spans
