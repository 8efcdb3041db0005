"""Rotary position embedding (RoPE, arXiv 2104.09864) applied to what a model has already read.

RoPE turns each pair of a key's or query's components by an angle that grows with the position, and
a score depends on the difference of two positions only: R(p)q · R(j+s)k = R(p-s)q · R(j)k. So keys
that were computed at one place serve at another: they are turned on by the shift, once, or the
query is turned back by it, and the keys stay as they lie.

A model is asked for its angles, and then believed only as far as its own keys confirm them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# Kinds whose angles depend on the position alone, not on how long the prompt is.
_STEADY = frozenset({"default", "linear", "llama3", "yarn"})


@dataclass(frozen=True, slots=True, eq=False)
class Rotation:
    """`frequencies`: (pairs,) float32, radians per position, on the model's device.

    The first 2 · pairs components of a head are turned, the others are not. `interleaved`: pairs
    are neighbours (0, 1), (2, 3) …; otherwise component i goes with i + pairs.
    """

    frequencies: Tensor
    interleaved: bool = False

    def table(self, shifts: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Cosine and sine of turns by `shifts` positions, each (shifts, 2 · pairs), float32."""
        by = torch.tensor(shifts, dtype=torch.float64, device=self.frequencies.device)
        angles = (by[:, None] * self.frequencies.double()).float()
        if self.interleaved:
            angles = angles.repeat_interleave(2, dim=-1)
        else:
            angles = torch.cat((angles, angles), dim=-1)
        return angles.cos(), angles.sin()

    def turned(self, states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """`states` (…, head dim) turned, in their own type; `cos`, `sin` broadcast to them."""
        width = 2 * self.frequencies.shape[0]
        moved = states[..., :width].float()
        moved = (moved * cos + self._across(moved) * sin).to(states.dtype)
        if width == states.shape[-1]:
            return moved
        return torch.cat((moved, states[..., width:].expand(*moved.shape[:-1], -1)), dim=-1)

    def shifted(self, keys: Tensor, shift: int) -> Tensor:
        """Keys as if they had been computed `shift` positions later; a copy unless it is 0."""
        return self.turned(keys, *self.table([shift])) if shift else keys

    def _across(self, states: Tensor) -> Tensor:
        if self.interleaved:
            return torch.stack((-states[..., 1::2], states[..., ::2]), dim=-1).flatten(-2)
        first, second = states.chunk(2, dim=-1)
        return torch.cat((-second, first), dim=-1)


def rotations_of(network: Any) -> Iterator[Rotation]:
    """What the network's angles may be: none where it has no RoPE that depends on position alone.

    Which of them it is, and whether every layer keeps to it, has to be tried (`block_probe`).
    """
    found = [
        module
        for module in network.modules()
        if isinstance(getattr(module, "inv_freq", None), Tensor)
    ]
    kinds = {getattr(module, "rope_type", None) for module in found}
    if not found or not kinds <= _STEADY:
        return
    frequencies = found[0].inv_freq.detach().float()
    if any(not torch.equal(module.inv_freq.float(), frequencies) for module in found[1:]):
        return
    for interleaved in (False, True):
        yield Rotation(frequencies, interleaved)
