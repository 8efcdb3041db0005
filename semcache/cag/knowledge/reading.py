"""What the model has read before any question: all of the knowledge, or what it is found in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from semcache.cag.context.prefix import Prefix
from semcache.cag.context.sharing import Sharing
from semcache.cag.knowledge.grounding import Grounding, PrefixGrounding
from semcache.cag.network.model import LanguageModel
from semcache.cag.prompting.conversation import Conversation
from semcache.cag.prompting.prompt import Prompts
from semcache.errors import KnowledgeTooLarge
from semcache.grounds import Grounds


class Reading(Protocol):
    """One state of the knowledge. Swapped whole; requests keep the one that they began with."""

    @property
    def digest(self) -> str:
        """64 hex digits over the knowledge; empty without."""
        ...

    @property
    def keyed(self) -> str:
        """What of the knowledge is part of every key: its digest where all of it is given."""
        ...

    @property
    def way(self) -> str:
        """What of the way of reading shapes an answer, beyond what `loading` knows."""
        ...

    def ground(self, conversation: Conversation) -> Grounding:
        """What a conversation's last question is answered from. On any thread; milliseconds.

        Raises Declined where the knowledge has nothing on it, StoreError.
        """
        ...

    def grounds(self, conversation: Conversation) -> Grounds:
        """What an answer to it rests on. As `ground`, but nothing is held for it."""
        ...


@dataclass(frozen=True, slots=True)
class WholeReading:
    """Implements `Reading`: all of the knowledge, if there is any, was read as one prefix."""

    digest: str
    prompts: Prompts
    prefix: Prefix | None
    sharing: Sharing
    plain: bool
    way: str = ""

    @property
    def keyed(self) -> str:
        """Implements `Reading`."""
        return self.digest

    def grounds(self, conversation: Conversation) -> Grounds:
        """Implements `Reading`."""
        return Grounds(self.digest, self.digest)

    def ground(self, conversation: Conversation) -> Grounding:
        """Implements `Reading`; declines nothing."""
        grounds = self.grounds(conversation)
        return PrefixGrounding(
            self.prompts, self.prefix, self.sharing, conversation, self.plain, grounds
        )


class PrefixReading:
    """Implements `scheduler.Job`: reads a prefix, a chunk a step. `prefix` is there at the end."""

    def __init__(
        self,
        model: LanguageModel,
        sharing: Sharing,
        ids: Sequence[int],
        chunk_tokens: int,
        progress: Callable[[int, int], None],
    ) -> None:
        self.cancelled = False
        self.prefix: Prefix | None = None
        self._model = model
        self._sharing = sharing
        self._ids = tuple(ids)
        self._cache = sharing.begin(None, 0, capacity=len(ids))
        self._chunks = _chunks(self._ids, chunk_tokens)
        self._progress = progress
        self._read = 0

    def step(self) -> bool:
        """One forward pass; True at the end."""
        with torch.inference_mode():
            chunk = next(self._chunks)
            self._model.read(chunk, self._sharing.arguments(self._cache))
            self._read += len(chunk)
            if self._read == len(self._ids):
                self.prefix = self._sharing.freeze(self._ids, self._cache)
        self._progress(self._read, len(self._ids))
        return self.prefix is not None

    def fail(self, error: BaseException) -> None:
        """Nothing to undo: the old reading stays in force."""


def require_fit(tokens: int, window: int, reserve: int) -> None:
    """Raise KnowledgeTooLarge, with the numbers, where the prefix leaves too little room."""
    excess = tokens + reserve - window
    if excess > 0:
        raise KnowledgeTooLarge(
            f"The knowledge takes {tokens:,} tokens. The model's window has {window:,}, and "
            f"{reserve:,} of them are kept for question and answer ('cag.reserve_tokens'): "
            f"{excess:,} too many. Remove documents, or choose a model with a larger window."
        )


def _chunks(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (ids[at : at + size] for at in range(0, len(ids), size))
