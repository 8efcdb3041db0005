"""Which passage a question is answered from: the nearest by the cache's own encoder."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semcache.cag.conversation import Conversation
from semcache.errors import EmbeddingError
from semcache.interfaces import Embedder

log = logging.getLogger("semcache.cag")


class Chooser:
    """Knows the passages' vectors. A passage beyond the encoder's window is never the nearest."""

    def __init__(self, passages: Sequence[str], embedder: Embedder) -> None:
        self._embedder = embedder
        self._vectors = np.zeros((len(passages), embedder.dim), dtype=np.float32)
        for row, encoded in zip(self._vectors, embedder.encode(passages), strict=True):
            if encoded.vector is not None:
                row[:] = encoded.vector

    def nearest(self, conversation: Conversation) -> int:
        """The passage for the last question; earlier ones count, as it may lean on them.

        The first passage where the encoder fails, with a log line.
        """
        asked = [turn.text for turn in conversation.turns if turn.role == "user"]
        texts = asked[-1:] if len(asked) < 2 else [asked[-1], " ".join(asked[-2:])]
        try:
            encoded = self._embedder.encode(texts)
        except EmbeddingError:
            log.exception("the question could not be compared with the passages")
            return 0
        cosines: NDArray[np.float32] = np.zeros(len(self._vectors), dtype=np.float32)
        for one in encoded:
            if one.vector is not None:
                cosines += self._vectors @ one.vector
        return int(cosines.argmax())
