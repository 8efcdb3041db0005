"""What one request adds to a shared prefix: its own keys and values, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from semcache.cag.context.segments import Attended, LayerKV

_BLOCK = 64


class TailLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """One layer's tail in a buffer that grows; positions count from the end of the prefix."""

    is_sliding = False

    def __init__(self, offset: int, capacity: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.offset = offset
        self.length = 0
        self._capacity = capacity
        self._buffers: LayerKV | None = None

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Make the buffers in the shape of the first keys and values."""
        room = max(self._capacity, key_states.shape[2] + _BLOCK)
        self._buffers = _buffer(key_states, room), _buffer(value_states, room)
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append; returns views of the whole tail, without the prefix."""
        end = self.length + key_states.shape[2]
        if self._buffers is None:
            self.lazy_initialization(key_states, value_states)
        elif end > self._buffers[0].shape[2]:
            self._buffers = self._grown(end + end // 2 + _BLOCK)
        keys, values = self.written
        keys[:, :, self.length : end] = key_states
        values[:, :, self.length : end] = value_states
        self.length = end
        return self.seen

    def copy(self) -> TailLayer:
        """The same tail in buffers of its own."""
        copy = TailLayer(self.offset)
        copy.length = self.length
        copy.is_initialized = self.is_initialized
        if self._buffers is not None:
            copy._buffers = self._grown(self.length + _BLOCK)
        return copy

    def get_seq_length(self) -> int:
        """Tokens before the next one, the prefix included: the next position."""
        return self.offset + self.length

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Length and offset of the keys after `query_length` more."""
        return self.offset + self.length + query_length, 0

    def get_max_length(self) -> int:
        """No bound."""
        return -1

    def move_to(self, buffers: LayerKV) -> None:
        """Go on in these buffers, with a copy of what is written."""
        for new, old in zip(buffers, self.written, strict=True):
            new[:, :, : self.length] = old[:, :, : self.length]
        self._buffers = buffers

    @property
    def written(self) -> LayerKV:
        """The buffers, keys and values; what lies beyond `length` means nothing."""
        if self._buffers is None:
            raise ValueError("nothing has been read yet")
        return self._buffers

    @property
    def seen(self) -> LayerKV:
        """Keys and values of the whole tail: views."""
        keys, values = self.written
        return keys[:, :, : self.length], values[:, :, : self.length]

    def _grown(self, length: int) -> LayerKV:
        keys, values = (_buffer(old, length) for old in self.written)
        for new, old in zip((keys, values), self.written, strict=True):
            new[:, :, : self.length] = old[:, :, : self.length]
        return keys, values


class TailCache(Cache):
    """A request's tail after `prefix` (what it attends to before), or after nothing."""

    def __init__(self, tails: Sequence[TailLayer], prefix: Attended | None) -> None:
        super().__init__(layers=[*tails])
        self.tails = tuple(tails)
        self.prefix = prefix

    @property
    def length(self) -> int:
        """Tokens of the tail, without the prefix."""
        return self.tails[-1].length

    def cut(self, length: int) -> None:
        """Forget what comes after the first `length` tokens of the tail."""
        for tail in self.tails:
            tail.length = length

    def copy(self) -> TailCache:
        """A second tail that begins as this one; the prefix stays shared."""
        return TailCache([tail.copy() for tail in self.tails], self.prefix)


def _buffer(like: Tensor, length: int) -> Tensor:
    """Zeros: a kernel may read all of it, and a weight of zero times no number is no number."""
    return like.new_zeros((*like.shape[:2], length, like.shape[3]))
