"""What an extractive answer will say next: what followed the same words before.

Prompt lookup (Saxena 2023; the n-gram form of speculative decoding, arXiv 2211.17192): the last
tokens are looked up in knowledge, question and answer so far, and what followed them there is
proposed. The model reads the proposal in one forward pass with the token before it, and says what
it would have chosen after each; tokens are kept as far as the two agree. So the answer is the one
that the model would have given token by token: a bad draft costs time, never a word.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_LONGEST = 4
_SHORTEST = 2
_ROOM = 64
_TRUSTED, _MISTRUSTED = 3.0, 2.0
"""What is believed of an answer's drafts before the first: kept and refused tokens."""


class Drafts:
    """Proposes the tokens of one answer, and keeps count of how good the proposals were."""

    def __init__(self, prompt: Sequence[int]) -> None:
        self._ids: NDArray[np.int64] = np.empty(len(prompt) + _ROOM, dtype=np.int64)
        self._ids[: len(prompt)] = prompt
        self._length = len(prompt)
        self._kept, self._refused = _TRUSTED, _MISTRUSTED

    @property
    def trust(self) -> float:
        """How likely the next proposed token is kept, as far as this answer has shown."""
        return self._kept / (self._kept + self._refused)

    def add(self, token: int) -> None:
        """A token of the answer."""
        if self._length == len(self._ids):
            self._ids = np.concatenate((self._ids, np.empty_like(self._ids)))
        self._ids[self._length] = token
        self._length += 1

    def propose(self, most: int) -> list[int]:
        """At most `most` tokens that may come next; none where nothing like the end came before.

        Of several places the one with the longest run of equal tokens, then the latest, counts.
        """
        ids = self._ids[: self._length]
        if most < 1 or len(ids) <= _SHORTEST:
            return []
        places = np.flatnonzero(ids[:-1] == ids[-1])
        run = 1
        found = -1
        while len(places) and run <= _LONGEST:
            if run >= _SHORTEST:
                found = int(places[-1])
            places = places[places >= run]
            places = places[ids[places - run] == ids[-1 - run]] if run < len(ids) else places[:0]
            run += 1
        return [] if found < 0 else ids[found + 1 : found + 1 + most].tolist()

    def judge(self, proposed: int, kept: int) -> None:
        """Of `proposed` tokens the first `kept` were right."""
        self._kept += kept
        self._refused += kept < proposed
