"""Two ways to share a prefix between requests without copying it.

`SplitSharing` is the quick one: the prefix stays apart from each request's tail (`attention`,
`tail`). `ForkSharing` works for any model whose cache transformers knows: each request starts from
a shallow copy of the prefilled cache, whose layers never write in place but concatenate.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Protocol

from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from semcache.cag.context import attention
from semcache.cag.context.prefix import Prefix
from semcache.cag.context.segments import Attended, Context, LayerKV, Segment
from semcache.cag.context.tail import TailCache, TailLayer


class Sharing(Protocol):
    """How a request's cache is made from a prefix."""

    name: str
    attention: str
    """The attention implementation that the network must be set to."""

    def usable(self, shared: int, prefix: Prefix | None) -> int:
        """How many of the `shared` leading tokens can be taken from the prefix."""
        ...

    def begin(self, prefix: Prefix | None, reused: int, capacity: int = 0) -> Any:
        """A cache for one request, after the first `reused` tokens of the prefix."""
        ...

    def copy(self, cache: Any) -> Any:
        """A second cache that goes on from the same tokens."""
        ...

    def arguments(self, cache: Any) -> dict[str, Any]:
        """What the forward call needs besides token ids."""
        ...

    def freeze(self, ids: Sequence[int], cache: Any) -> Prefix:
        """The prefix that a cache has become by reading `ids`."""
        ...

    def restore(self, ids: Sequence[int], layers: Sequence[LayerKV]) -> Prefix:
        """The prefix with these saved keys and values."""
        ...


class SplitSharing:
    """The prefix apart from the tail; any leading part of it can be used."""

    name = "split"
    attention = attention.NAME

    def __init__(self, depth: int) -> None:
        self._depth = depth

    def usable(self, shared: int, prefix: Prefix | None) -> int:
        return shared

    def begin(self, prefix: Prefix | None, reused: int, capacity: int = 0) -> TailCache:
        if prefix is None or not reused:
            return self.after(None, 0, capacity)
        return self.after(Context([Segment(prefix.layers).part(0, reused)]), reused, capacity)

    def after(self, context: Attended | None, length: int, capacity: int = 0) -> TailCache:
        """A cache for one request after a context of `length` tokens."""
        return TailCache([TailLayer(length, capacity) for _ in range(self._depth)], context)

    def copy(self, cache: TailCache) -> TailCache:
        return cache.copy()

    def arguments(self, cache: TailCache) -> dict[str, Any]:
        return {"past_key_values": cache, "shared_prefix": cache.prefix}

    def freeze(self, ids: Sequence[int], cache: TailCache) -> Prefix:
        kept = (tail.written for tail in cache.tails)
        layers = tuple((k[:, :, : len(ids)], v[:, :, : len(ids)]) for k, v in kept)
        return Prefix(tuple(ids), layers)

    def restore(self, ids: Sequence[int], layers: Sequence[LayerKV]) -> Prefix:
        return Prefix(tuple(ids), tuple(layers))


class ForkSharing:
    """The library's cache, forked; the prefix is used whole or not at all."""

    name = "fork"

    def __init__(self, config: Any, own_attention: str) -> None:
        self._config = config
        self.attention = own_attention

    def usable(self, shared: int, prefix: Prefix | None) -> int:
        return shared if prefix is not None and shared == len(prefix.ids) else 0

    def begin(self, prefix: Prefix | None, reused: int, capacity: int = 0) -> Cache:
        if prefix is None or prefix.cache is None or not reused:
            return DynamicCache(config=self._config)
        return self.copy(prefix.cache)

    def copy(self, cache: Cache) -> Cache:
        fork = copy.copy(cache)
        fork.layers = [_forked(layer) for layer in cache.layers]
        return fork

    def arguments(self, cache: Cache) -> dict[str, Any]:
        return {"past_key_values": cache}

    def freeze(self, ids: Sequence[int], cache: Any) -> Prefix:
        plain = all(type(layer) in _REBINDING for layer in cache.layers)
        layers = tuple((layer.keys, layer.values) for layer in cache.layers) if plain else ()
        return Prefix(tuple(ids), layers, cache)

    def restore(self, ids: Sequence[int], layers: Sequence[LayerKV]) -> Prefix:
        cache: Any = DynamicCache(config=self._config)
        for layer, (keys, values) in zip(cache.layers, layers, strict=True):
            layer.lazy_initialization(keys, values)
            layer.keys, layer.values = keys, values
            if isinstance(layer, DynamicSlidingWindowLayer):
                layer.cumulative_length = len(ids)
        return Prefix(tuple(ids), tuple(layers), cache)


_REBINDING = frozenset({DynamicLayer, DynamicSlidingWindowLayer})


def _forked(layer: Any) -> Any:
    """Layers that only rebind their tensors share them; others (small states) are copied."""
    return copy.copy(layer) if type(layer) in _REBINDING else copy.deepcopy(layer)


def is_plain_causal(config: Any) -> bool:
    """Whether every layer attends to all earlier tokens, as far as the configuration says."""
    try:
        layers = DynamicCache(config=config).layers
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)
