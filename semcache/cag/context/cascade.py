"""Attention in parts that are merged: what many rows share, and what each has of its own.

Cascade attention (Hydragen, arXiv 2402.05099; FlashInfer): each part gives its mixture of values
and the logarithm of its softmax's denominator; two such parts add up to the softmax over both,
exactly. So the keys and values of a shared context are read once for all rows.

Shapes: query (batch, heads, rows, dim), keys and values (batch, heads, length, dim): the query
heads of one key-value head are rows here.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor

Part: TypeAlias = tuple[Tensor, Tensor]
"""Mixed values (…, rows, dim), and the log of their weights' sum (…, rows, 1)."""

_FUSED = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)


def part_over(
    query: Tensor, keys: Tensor, values: Tensor, scale: float, bias: Tensor | None = None
) -> Part:
    """Every row over every key; `bias`, (batch, 1, rows, length), is added to the scores.

    A row must see one key at least.
    """
    if _FUSED is not None and query.device.type == "cpu" and query.dtype == torch.float32:
        mixed, log_sum = _FUSED(query, keys, values, attn_mask=bias, scale=scale)
        return mixed, log_sum.unsqueeze(-1)
    scores = ((query * scale) @ keys.transpose(-1, -2)).float()
    if bias is not None:
        scores = scores + bias
    log_sum = scores.logsumexp(dim=-1, keepdim=True)
    return (scores - log_sum).exp().to(values.dtype) @ values, log_sum


def merged(one: Part, other: Part) -> Part:
    """The softmax over both parts' keys."""
    share = torch.sigmoid(one[1] - other[1])
    mixed = torch.lerp(other[0].float(), one[0].float(), share).to(one[0].dtype)
    return mixed, torch.logaddexp(one[1], other[1])
