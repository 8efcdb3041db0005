"""SentenceEncoder: texts to unit vectors, by onnxruntime.

One session, one thread inside it, called from as many threads as there are cores: that serves more
questions a second than one call on many threads. A text is never padded to a fixed length, and a
text longer than the window is never cut and matched: it has no vector.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from semcache.encoder.artefact import DEFAULT_MODEL, Artefact, Say, prepare
from semcache.errors import EmbeddingError
from semcache.interfaces import Encoded, Vector

_UNKNOWN = "[UNK]"
_CHARS_PER_TOKEN = 100  # WordPiece gives up on longer words: one unknown token for each


def models_dir() -> Path:
    """Where prepared models lie: $SEMCACHE_CACHE_DIR, or semcache/ in the user's cache folder."""
    own = os.environ.get("SEMCACHE_CACHE_DIR")
    if own:
        return Path(own) / "models"
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "semcache" / "models"


class SentenceEncoder:
    """Implements `interfaces.Embedder`. Thread-safe."""

    def __init__(self, artefact: Artefact) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            str(artefact.model), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer: Any = Tokenizer.from_file(str(artefact.tokenizer))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._unknown = self._tokenizer.token_to_id(_UNKNOWN)
        self._window = artefact.window
        self._fingerprint = artefact.fingerprint
        self._dim = int(self._session.get_outputs()[0].shape[-1])

    @classmethod
    def open(
        cls,
        model: str = DEFAULT_MODEL,
        *,
        cache_dir: Path | None = None,
        quantize: bool = True,
        say: Say = lambda line: None,
    ) -> SentenceEncoder:
        """Prepare the model once, then load it. Raises ConfigError."""
        artefact = prepare(model, cache_dir or models_dir(), quantize=quantize, say=say)
        return cls(artefact)

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return self._dim

    @property
    def window(self) -> int:
        """Tokens that one text may have, the two special ones included."""
        return self._window

    @property
    def fingerprint(self) -> str:
        """A digest of weights, tokenizer, window and recipe."""
        return self._fingerprint

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """One vector for each text that fits the window. Raises EmbeddingError.

        Each text runs alone: dynamic quantisation scales by the whole batch, so that a text's
        vector would depend on its neighbours, and padding costs what batching saves.
        """
        return [self._encode(text) for text in texts]

    def close(self) -> None:
        """Nothing is held beyond memory."""

    def _encode(self, text: str) -> Encoded:
        if len(text) > self._window * _CHARS_PER_TOKEN and text.count(" ") > self._window:
            return Encoded(None, tokens=text.count(" "), truncated=True, unknown_share=0.0)
        try:
            ids = self._tokenizer.encode(text).ids
            unknown = ids.count(self._unknown) / max(1, len(ids) - 2)
            if len(ids) > self._window:
                return Encoded(None, len(ids), truncated=True, unknown_share=unknown)
            vector = self._run(ids)
        except Exception as error:
            raise EmbeddingError(f"The encoder failed: {type(error).__name__}.") from error
        return Encoded(vector, len(ids), truncated=False, unknown_share=unknown)

    def _run(self, ids: list[int]) -> Vector:
        batch = np.array([ids], dtype=np.int64)
        fed = {"input_ids": batch, "attention_mask": np.ones_like(batch)}
        sentence: Vector = self._session.run(["sentence"], fed)[0][0]
        return sentence
