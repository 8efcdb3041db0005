"""A prefix that a model has read: token ids and what the model remembers of them. Immutable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers.cache_utils import Cache

from semcache.cag.context.segments import LayerKV


@dataclass(frozen=True, slots=True)
class Prefix:
    """`layers`: key and value of each layer, (1, kv heads, tokens, head dim).

    `layers` is empty where the model keeps anything else (recurrent states); such a prefix cannot
    be saved. `cache` is the library's own cache, for models that answer with their own attention.
    """

    ids: tuple[int, ...]
    layers: tuple[LayerKV, ...]
    cache: Cache | None = None

    @property
    def bytes(self) -> int:
        """Size of keys and values."""
        return sum(part.numel() * part.element_size() for kv in self.layers for part in kv)


def shared_length(ids: Sequence[int], prefix: Prefix | None) -> int:
    """How many leading tokens of a prompt are the prefix's; at least one token stays to be read."""
    if prefix is None:
        return 0
    most = min(len(prefix.ids), len(ids) - 1)
    if tuple(ids[:most]) == prefix.ids[:most]:
        return most
    return next(at for at in range(most) if ids[at] != prefix.ids[at])
