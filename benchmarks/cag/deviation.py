"""Which tokens of moved blocks CacheBlend would read again: by how far their values are off.

As `semcache.cag.blocks.repair`, but over a plan: the values of layer 1 with blocks apart against
those with full attention (arXiv 2405.16444; layer 0 sees no neighbours).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from semcache.cag.finetune.examples import Example
from semcache.cag.finetune.masked_network import MaskedNetwork
from semcache.cag.finetune.masking import Layouts, plan

_LAYER = 1


class _Seen(Exception):
    """The rest of the forward pass is not needed."""


def deviating(network: MaskedNetwork, context: Example, how: Layouts, share: float) -> Layouts:
    """The layout with the share of the moved tokens that deviate most to be read again."""
    apart, wholly = (_values(network, context, one) for one in (how, Layouts()))
    differences = (apart - wholly).float().square().sum(dim=(0, 1, 3))
    first = len(context.head) + len(context.blocks[0])
    moved = differences[first:]
    best = moved.topk(max(1, round(share * len(moved)))).indices + first
    return replace(how, reread=tuple(sorted(best.tolist())))


def _values(network: MaskedNetwork, context: Example, how: Layouts) -> Tensor:
    """What layer 1 has as values: (1, kv heads, tokens, dim)."""
    made = plan(context.head, context.blocks, [], how)
    sight: Any = network.sight(made)
    attend = sight.attend
    found: list[Tensor] = []

    def noting(layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        if layer == _LAYER:
            found.append(value)
            raise _Seen
        mixed: Tensor = attend(layer, query, key, value, scale)
        return mixed

    sight.attend = noting
    with torch.inference_mode():
        try:
            network.logits(made, [0], sight)
        except _Seen:
            return found[0]
    raise ValueError("the network has no layer 1")
