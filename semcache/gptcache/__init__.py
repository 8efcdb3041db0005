"""GPTCache's face: its DataManager, threshold scale, configuration vocabulary and wire shapes.

Importing this package loads none of the third-party gptcache. `StoreDataManager` does, through
`load_gptcache`, which keeps gptcache from unpickling files and from installing packages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from semcache.gptcache.loading import load_gptcache
from semcache.gptcache.threshold import cosine_threshold, gptcache_threshold
from semcache.gptcache.vocabulary import KNOWN_KEYS, GptcacheSettings, read_vocabulary

if TYPE_CHECKING:
    from semcache.gptcache.data_manager import StoreDataManager

__all__ = [
    "KNOWN_KEYS",
    "GptcacheSettings",
    "StoreDataManager",
    "cosine_threshold",
    "gptcache_threshold",
    "load_gptcache",
    "read_vocabulary",
]


def __getattr__(name: str) -> Any:
    """Load what needs gptcache only when it is asked for (PEP 562)."""
    if name == "StoreDataManager":
        from semcache.gptcache.data_manager import StoreDataManager

        return StoreDataManager
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
