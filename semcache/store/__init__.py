"""Durable stores. The default one is local: SQLite for the truth, FAISS as its index.

Names are resolved on first use, so that importing the package loads neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semcache.store.limits import Eviction, Limits
    from semcache.store.local import LocalStore

__all__ = ["Eviction", "Limits", "LocalStore"]


def __getattr__(name: str) -> Any:
    if name == "LocalStore":
        from semcache.store.local import LocalStore

        return LocalStore
    if name in {"Eviction", "Limits"}:
        from semcache.store import limits

        return getattr(limits, name)
    raise AttributeError(f"module 'semcache.store' has no attribute {name!r}")
