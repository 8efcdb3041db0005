"""The attention function that the network calls: a plain causal softmax over context and tail.

The usual cache concatenates: every layer of every step copies the whole prefix. Here a request's
context stays apart from its tail (`segments`), and travels with the forward call.

Shapes: query (1, heads, asked, dim); the tail (1, kv heads, length, dim). A query sees all of the
context, and the tail up to itself.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from semcache.cag.context.segments import Attended, visible

NAME = "semcache_prefix"

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
    shared_prefix: Attended | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """The function that transformers calls in each layer; `key` and `value` are the whole tail.

    `shared_prefix` travels with the forward call: what is attended to before the tail. Raises
    ValueError where the model wants more than a causal softmax.
    """
    if (
        attention_mask is not None
        or dropout
        or any(others.get(n) is not None for n in _UNKNOWN_TO_US)
    ):
        raise ValueError("This model's attention is not a plain causal softmax.")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if shared_prefix is not None:
        mixed = shared_prefix.attend(module.layer_idx, query, (key, value), scale)
    else:
        mixed = over_tail(query, key, value, scale)
    return mixed.transpose(1, 2).contiguous(), None


def over_tail(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Over a tail that follows nothing."""
    heads, asked = query.shape[1:3]
    groups, seen = key.shape[1:3]
    if asked == 1:
        stacked = query.reshape(1, groups, heads // groups, -1)
        mixed = scaled_dot_product_attention(stacked, key, value, scale=scale)
        return mixed.reshape(1, heads, 1, -1)
    mask = None if asked == seen else visible(asked, seen, query.device)
    key, value = (_expanded(part, heads // groups) for part in (key, value))
    return scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=mask is None, scale=scale
    )


def _expanded(part: Tensor, times: int) -> Tensor:
    return part if times == 1 else part.repeat_interleave(times, dim=1)


AttentionInterface.register(NAME, prefix_attention)
