"""What each token of a training or test sequence sees: all before it, or its own block.

A sequence is a head (system text), blocks (documents), and any number of endings (questions, or
questions with answers) that stand side by side: each sees the whole context and itself only.
Blocks are read as the engine stores them (`places`): the first one after the head, the others by
themselves or after a sink. The endings see their keys turned on to where they stand in the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from semcache.cag.blocks.places import SINK_TOKENS, Sink

Ids: TypeAlias = Sequence[int]


@dataclass(frozen=True, slots=True)
class Plan:
    """`ids`, `positions` (N): `positions` are those at which keys are computed.

    The first `context` tokens are head and blocks; `shifts` (context) says how many positions
    later the endings see each of them. `sees` (N, N): row sees column. `starts`: where each ending
    begins in N.
    """

    ids: Tensor
    positions: Tensor
    shifts: Tensor
    sees: Tensor
    context: int
    starts: tuple[int, ...]

    @property
    def is_shifted(self) -> bool:
        """Whether any key has to be turned."""
        return bool(self.shifts.any())


@dataclass(frozen=True, slots=True)
class Layouts:
    """`apart` False: every token sees all before it. Otherwise a block sees itself and the sink.

    `turned` False leaves keys where they were read. `reread`: so many first tokens of each moved
    block are read again with sight of all before them (EPIC, arXiv 2410.15332); or the places of
    those that are (CacheBlend, arXiv 2405.16444), ascending.
    """

    apart: bool = False
    sink: Sink = "head"
    turned: bool = True
    reread: int | tuple[int, ...] = 0

    def seen(self, head: int) -> int:
        """How many tokens of a head of this length a moved block is read after."""
        return {"none": 0, "sink": min(SINK_TOKENS, head), "head": head}[self.sink]


def plan(head: Ids, blocks: Sequence[Ids], endings: Sequence[Ids], how: Layouts) -> Plan:
    """The sequence of one context with its endings."""
    owner, base, place = _context(head, blocks, how)
    context = len(owner)
    ids = [*head, *(token for block in blocks for token in block)]
    again = _reread(owner, place, len(head), how)
    ids += [ids[at] for at in again]
    starts = []
    for ending in endings:
        starts.append(len(ids))
        ids += ending
    sees = torch.zeros(len(ids), len(ids), dtype=torch.bool)
    sees[:context, :context] = _context_sees(owner, len(head), how)
    fresh = torch.ones(context, dtype=torch.bool)
    fresh[again] = False
    _fill_reread(sees, fresh, again, context)
    shared = context + len(again)
    for start, ending in zip(starts, endings, strict=True):
        stop = start + len(ending)
        sees[start:stop, :context] = fresh
        sees[start:stop, context:shared] = True
        sees[start:stop, start:stop] = _causal(len(ending))
    positions = [*base, *(place[at] for at in again)]
    positions += [context + at for ending in endings for at in range(len(ending))]
    shifts = torch.tensor(place, dtype=torch.long) - torch.tensor(base, dtype=torch.long)
    return Plan(
        ids=torch.tensor(ids),
        positions=torch.tensor(positions),
        shifts=shifts if how.turned else torch.zeros_like(shifts),
        sees=sees,
        context=context,
        starts=tuple(starts),
    )


def _context(
    head: Ids, blocks: Sequence[Ids], how: Layouts
) -> tuple[list[int], list[int], list[int]]:
    """For each token of the context: its block (0: the head), where it is read, where it stands."""
    owner = [0] * len(head)
    base = list(range(len(head)))
    for number, block in enumerate(blocks, 1):
        first = how.seen(len(head)) if how.apart and number > 1 else len(base)
        owner += [number] * len(block)
        base += range(first, first + len(block))
    return owner, base, list(range(len(owner)))


def _context_sees(owner: Sequence[int], head: int, how: Layouts) -> Tensor:
    causal = _causal(len(owner))
    if not how.apart:
        return causal
    of = torch.tensor(owner, dtype=torch.long)
    sees = of[:, None] == of[None, :]
    sees[:, : how.seen(head)] = True
    sees[of == 1, :head] = True
    return sees & causal


def _reread(owner: Sequence[int], place: Sequence[int], head: int, how: Layouts) -> list[int]:
    """Which tokens of the context are computed again: the first of each moved block."""
    if not how.apart or not how.reread:
        return []
    if isinstance(how.reread, tuple):
        return list(how.reread)
    found, count = [], dict.fromkeys(owner, 0)
    for at in range(head, len(owner)):
        count[owner[at]] += 1
        if owner[at] > 1 and count[owner[at]] <= how.reread:
            found.append(place[at])
    return found


def _fill_reread(sees: Tensor, fresh: Tensor, again: Sequence[int], context: int) -> None:
    """A token computed again sees what stands before it, computed again where that was done."""
    for row, at in enumerate(again):
        sees[context + row, :at] = fresh[:at]
        sees[context + row, context : context + row + 1] = True


def _causal(length: int) -> Tensor:
    return torch.ones(length, length, dtype=torch.bool).tril()
