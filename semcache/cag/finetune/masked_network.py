"""A Hugging Face network that runs over a plan: every token sees what the plan says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from semcache.cag.context.rotation import Rotation, rotations_of
from semcache.cag.finetune.masking import Plan
from semcache.errors import ConfigError

NAME = "semcache_masked"


class Sight:
    """Travels with a forward call. With `kept`, later calls go on from the keys of earlier ones.

    The first call gives the plan; a later one (decoding) gives what its rows see of all keys.
    """

    def __init__(self, plan: Plan, rotation: Rotation, device: torch.device, keep: bool) -> None:
        self._rotation = rotation
        self.context = plan.context
        self.sees = plan.sees.to(device)
        self._turn = None
        if plan.is_shifted:
            cos, sin = rotation.table(plan.shifts.tolist())
            self._turn = (cos, sin)
        self._kept: dict[int, tuple[Tensor, Tensor]] | None = {} if keep else None

    def go_on(self, sees: Tensor) -> None:
        """The next call's rows see these of all keys, their own included: (rows, keys)."""
        self.context = 0
        self.sees = sees

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Mix the values: (1, heads, rows, dim)."""
        if self._kept is not None and layer in self._kept:
            before = self._kept[layer]
            key, value = torch.cat((before[0], key), dim=2), torch.cat((before[1], value), dim=2)
        c = self.context
        parts = []
        if c:
            own = self.sees[:c, :c]
            parts.append(_softmax(query[:, :, :c], key[:, :, :c], value[:, :, :c], own, scale))
            if self._turn is not None:
                turned = self._rotation.turned(key[:, :, :c], *self._turn)
                key = torch.cat((turned, key[:, :, c:]), dim=2)
        if c < query.shape[2]:
            parts.append(_softmax(query[:, :, c:], key, value, self.sees[c:], scale))
        if self._kept is not None:
            self._kept[layer] = (key, value)
        return torch.cat(parts, dim=2)


def _softmax(query: Tensor, key: Tensor, value: Tensor, sees: Tensor, scale: float) -> Tensor:
    times = query.shape[1] // key.shape[1]
    if times > 1:
        key, value = (part.repeat_interleave(times, dim=1) for part in (key, value))
    return scaled_dot_product_attention(query, key, value, attn_mask=sees, scale=scale)


def masked_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sight: Sight | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """The function that transformers calls in each layer. Raises ValueError without a plan."""
    if sight is None or dropout:
        raise ValueError("this attention wants a plan, and no dropout")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    mixed = sight.attend(module.layer_idx, query, key, value, scale)
    return mixed.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, masked_attention)


class MaskedNetwork:
    """Raises ConfigError for a network whose positions are not plain RoPE."""

    def __init__(self, network: Any) -> None:
        rotation = next(rotations_of(network), None)
        if rotation is None:
            raise ConfigError(
                "This model has no rotary positions that can be moved, so it cannot answer from "
                "blocks: fine-tune another one."
            )
        self.network = network
        self.rotation = rotation
        self.device: torch.device = next(network.parameters()).device
        self._own: str = network.config._attn_implementation

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Within, the network runs over plans only."""
        self.network.set_attn_implementation(NAME)
        try:
            yield
        finally:
            self.network.set_attn_implementation(self._own)

    def sight(self, plan: Plan, *, keep: bool = False) -> Sight:
        """What travels with the calls over one plan."""
        return Sight(plan, self.rotation, self.device, keep)

    def logits(self, plan: Plan, rows: Sequence[int], sight: Sight | None = None) -> Tensor:
        """One pass over the plan; the logits after these rows, (rows, vocabulary)."""
        there = self.sight(plan) if sight is None else sight
        return self.run(plan.ids, plan.positions, there, rows)

    def run(self, ids: Tensor, positions: Tensor, sight: Sight, rows: Sequence[int]) -> Tensor:
        """One pass over some tokens; the logits after these rows, (rows, vocabulary)."""
        keep = torch.tensor(rows, dtype=torch.long, device=self.device)
        found: Tensor = self.network(
            input_ids=ids[None].to(self.device),
            position_ids=positions[None].to(self.device),
            use_cache=False,
            logits_to_keep=keep,
            sight=sight,
        ).logits[0]
        return found
