"""semcache: a semantic response cache in front of an LLM.

Importing this package loads nothing heavy; `OpenAI` and `AsyncOpenAI` are resolved on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semcache.client import AsyncOpenAI, OpenAI, cache_of, wrap

__version__ = "0.1.0"
__all__ = ["AsyncOpenAI", "OpenAI", "__version__", "cache_of", "wrap"]


def __getattr__(name: str) -> Any:
    if name in {"OpenAI", "AsyncOpenAI", "cache_of", "wrap"}:
        from semcache import client

        return getattr(client, name)
    raise AttributeError(f"module 'semcache' has no attribute {name!r}")
