"""How many floating-point operations a first token takes, counted from a network's shape.

A multiplication and an addition are two. Counted are the matrix products: projections, attention
scores and mixtures, feed-forward layers, and the last token's logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a network of the Llama family."""

    layers: int
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int

    @classmethod
    def of(cls, config: Any) -> Shape:
        """From a Hugging Face configuration."""
        heads = config.num_attention_heads
        return cls(
            layers=config.num_hidden_layers,
            hidden=config.hidden_size,
            inner=config.intermediate_size,
            heads=heads,
            kv_heads=getattr(config, "num_key_value_heads", None) or heads,
            head_dim=getattr(config, "head_dim", None) or config.hidden_size // heads,
            vocabulary=config.vocab_size,
        )

    def first_token(self, read: int, before: int) -> int:
        """To read the last `read` tokens of a prompt after `before` that were read already."""
        attended = self.heads * self.head_dim
        projections = self.hidden * (2 * attended + 2 * self.kv_heads * self.head_dim)
        feed_forward = 3 * self.hidden * self.inner
        linear = 2 * read * (projections + feed_forward)
        seen = read * before + read * (read + 1) // 2
        mixing = 4 * attended * seen
        return self.layers * (linear + mixing) + 2 * self.hidden * self.vocabulary

    def kv_bytes(self, tokens: int, element_bytes: int) -> int:
        """What keys and values of so many tokens take."""
        return 2 * self.layers * self.kv_heads * self.head_dim * tokens * element_bytes


LLAMA_8B = Shape(
    layers=32,
    hidden=4096,
    inner=14336,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocabulary=128256,
)
"""The shape of Llama-3.1-8B, for arithmetic."""
