"""The sentence encoder: all-MiniLM-L6-v2 by onnxruntime, quantized once into a cache directory.

Names are resolved on first use, so that importing the package loads no runtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semcache.encoder.sentence import SentenceEncoder

__all__ = ["SentenceEncoder"]


def __getattr__(name: str) -> Any:
    if name == "SentenceEncoder":
        from semcache.encoder.sentence import SentenceEncoder

        return SentenceEncoder
    raise AttributeError(f"module 'semcache.encoder' has no attribute {name!r}")
