"""What of a network can run lean: the Llama family as transformers builds it, on a CPU, in float32.

Read off the modules themselves, so that a network with anything more (norms of queries and keys,
scaled residuals, experts) is not taken for what it is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from semcache.cag.lean.weights import BLOCK

_TYPES = frozenset({"llama", "mistral", "qwen2"})
_LAYER = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}
_ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
_MLP = {"gate_proj", "up_proj", "down_proj", "act_fn"}


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the network: `hidden` and `inner` are widths, `dim` is a head's."""

    layers: int
    hidden: int
    inner: int
    heads: int
    groups: int
    dim: int
    vocabulary: int
    epsilon: float

    @property
    def query(self) -> int:
        """Width of all query heads."""
        return self.heads * self.dim

    @property
    def key(self) -> int:
        """Width of all key-value heads."""
        return self.groups * self.dim


def shape_of(network: Any) -> Shape | None:
    """The shape of a network that can run lean, or None."""
    config = network.config
    if getattr(config, "model_type", "") not in _TYPES or config.hidden_act != "silu":
        return None
    layers = list(network.model.layers)
    if not layers or not all(_is_plain(layer) for layer in layers):
        return None
    if any(p.device.type != "cpu" or p.dtype != torch.float32 for p in network.parameters()):
        return None
    first = layers[0]
    shape = Shape(
        layers=len(layers),
        hidden=config.hidden_size,
        inner=first.mlp.gate_proj.out_features,
        heads=config.num_attention_heads,
        groups=config.num_key_value_heads,
        dim=first.self_attn.head_dim,
        vocabulary=network.lm_head.out_features,
        epsilon=config.rms_norm_eps,
    )
    widths = (shape.hidden, shape.inner, shape.query)
    return None if any(width % BLOCK for width in widths) or shape.dim % 2 else shape


def _is_plain(layer: nn.Module) -> bool:
    parts = {name for name, _ in layer.named_children()}
    if parts != _LAYER:
        return False
    attention = {name for name, _ in layer.get_submodule("self_attn").named_children()}
    mlp = {name for name, _ in layer.get_submodule("mlp").named_children()}
    return attention == _ATTENTION and mlp == _MLP
