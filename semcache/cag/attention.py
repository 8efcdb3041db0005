"""Attention over a shared, immutable prefix and a request's own tail, without joining the two.

The usual cache concatenates: every layer of every step copies the whole prefix. Here the scores
over prefix and tail are computed apart and softmaxed as one row, which is exact; the prefix's keys
and values are read where they lie, by any number of requests. The query heads of one key-value
head are stacked (GQA), so the prefix is never expanded either. This is the shared-prefix half of
cascade attention (Hydragen, arXiv 2402.05099) with plain tensor operations.

Shapes: query (1, heads, asked, dim); prefix and tail (1, kv heads, length, dim). A query sees all
of the prefix, and the tail up to itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "semcache_prefix"

LayerKV: TypeAlias = tuple[Tensor, Tensor]

# What a layer may ask of its attention beyond a scaled softmax. Where one is set, this function
# is wrong for the model: it says so, and the engine falls back to the model's own.
_UNKNOWN_TO_US = ("softcap", "s_aux", "sinks", "position_bias", "sliding_window", "cache")


def prefix_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    shared_prefix: Sequence[LayerKV] | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """The function that transformers calls in each layer; `key` and `value` are the whole tail.

    `shared_prefix` travels with the forward call: (key, value) of each layer. Raises ValueError
    where the model wants more than a causal softmax.
    """
    if (
        attention_mask is not None
        or dropout
        or any(others.get(n) is not None for n in _UNKNOWN_TO_US)
    ):
        raise ValueError("This model's attention is not a plain causal softmax.")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if shared_prefix is not None:
        mixed = _over_both(query, shared_prefix[module.layer_idx], (key, value), scale)
    else:
        mixed = _over_tail(query, key, value, scale)
    return mixed.transpose(1, 2).contiguous(), None


def _over_tail(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    heads, asked = query.shape[1:3]
    groups, seen = key.shape[1:3]
    if asked == 1:
        stacked = query.reshape(1, groups, heads // groups, -1)
        mixed = scaled_dot_product_attention(stacked, key, value, scale=scale)
        return mixed.reshape(1, heads, 1, -1)
    mask = None if asked == seen else _visible(asked, seen, query.device)
    key, value = (_expanded(part, heads // groups) for part in (key, value))
    return scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=mask is None, scale=scale
    )


def _over_both(query: Tensor, prefix: LayerKV, tail: LayerKV, scale: float) -> Tensor:
    _, heads, asked, dim = query.shape
    groups, seen = tail[0].shape[1:3]
    stacked = query.reshape(groups, -1, dim) * scale
    over_prefix = stacked @ prefix[0][0].transpose(1, 2)
    over_tail = stacked @ tail[0][0].transpose(1, 2)
    if asked > 1:
        hidden = ~_visible(asked, seen, query.device)
        over_tail = over_tail.masked_fill(hidden.repeat(heads // groups, 1), float("-inf"))
    scores = torch.cat((over_prefix, over_tail), dim=-1)
    weights = scores.softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    length = prefix[0].shape[2]
    mixed = weights[..., :length] @ prefix[1][0] + weights[..., length:] @ tail[1][0]
    return mixed.reshape(1, heads, asked, -1)


def _visible(asked: int, seen: int, device: torch.device) -> Tensor:
    """(asked, seen): which tail positions each query sees; the last query sees all."""
    return torch.ones(asked, seen, dtype=torch.bool, device=device).tril(seen - asked)


def _expanded(part: Tensor, times: int) -> Tensor:
    return part if times == 1 else part.repeat_interleave(times, dim=1)


AttentionInterface.register(NAME, prefix_attention)
