"""SentenceEncoder: texts to unit vectors.

Rules of this file:
1. A text has one vector: the same alone, in a batch, and from any thread. That is why graphs that
   others made run one text at a time: their quantisation may look at the whole batch.
2. A text longer than the window is never cut and matched: it has no vector.
3. Threads come from the caller. One session, one thread inside each run.
4. A sketch comes from the pass that makes the vector, and only where it was asked for at `open`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from semcache.embedding.artefact import Artefact, Say, models_dir, prepare
from semcache.embedding.source import DEFAULT_MODEL, find_source
from semcache.errors import ConfigError, EmbeddingError
from semcache.interfaces import Encoded, Vector
from semcache.onnx_graph import open_session
from semcache.sketch import MAX_TOKENS, Sketch, sketch_of

_SENTENCE, _TOKENS = "sentence_embedding", "last_hidden_state"
_UNKNOWN = "[UNK]"
_BATCH_ROWS, _BATCH_TOKENS = 16, 512

# WordPiece takes words of up to 100 characters, so cutting a text inside a word makes at most 100
# tokens that the whole text would not have.
_WORD_CHARS = 100
_HEAD_CHARS_PER_TOKEN = 64

_Ids = NDArray[np.int64]


def _silent(line: str) -> None:
    return None


class SentenceEncoder:
    """Implements `interfaces.Embedder`. Safe to call from several threads."""

    def __init__(self, artefact: Artefact, *, sketches: bool = False) -> None:
        """Load a prepared artefact. Raises ConfigError where it cannot be run.

        With `sketches` each short text has one, if the graph gives token vectors at all.
        """
        try:
            self._tokenizer = _load_tokenizer(artefact.tokenizer)
            self._session: Any = open_session(artefact.model)
        except Exception as error:  # both libraries raise bare exceptions of their own
            raise ConfigError(
                f"The encoder in {artefact.model.parent} cannot be loaded: {error}"
            ) from error
        self._unknown: int | None = self._tokenizer.token_to_id(_UNKNOWN)
        self._special: int = self._tokenizer.num_special_tokens_to_add(False)
        self._inputs = frozenset(value.name for value in self._session.get_inputs())
        outputs = {value.name: value.shape for value in self._session.get_outputs()}
        self._pooled = _SENTENCE in outputs
        if not self._pooled and _TOKENS not in outputs:
            raise ConfigError(f"{artefact.model} has no output '{_TOKENS}'.")
        self._sketches = sketches and _TOKENS in outputs
        self._around = _specials_around(self._tokenizer)
        self._window = artefact.window
        self._fingerprint = artefact.fingerprint
        self._dim = len(self._forward([self._tokenizer.encode("a").ids])[0][0])

    @classmethod
    def open(
        cls,
        model: str = DEFAULT_MODEL,
        *,
        cache_dir: Path | None = None,
        quantize: bool = True,
        allow_download: bool = False,
        sketches: bool = False,
        say: Say = _silent,
    ) -> SentenceEncoder:
        """Find the model (see `source`), prepare it once in `cache_dir`, load it.

        Nothing is downloaded unless `allow_download`. Raises ConfigError.
        """
        source = find_source(model, allow_download=allow_download)
        artefact = prepare(source, cache_dir or models_dir(), quantize=quantize, say=say)
        return cls(artefact, sketches=sketches)

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return self._dim

    @property
    def window(self) -> int:
        """Tokens that one text may have, the special ones included."""
        return self._window

    @property
    def fingerprint(self) -> str:
        """A digest of weights, tokenizer, window and recipe."""
        return self._fingerprint

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """What the network says of each text, in order. Raises EmbeddingError.

        Texts of near-equal length share a forward pass, which changes no vector. Of a text far
        beyond the window only the beginning is read: `tokens` is then a lower bound.
        """
        try:
            read = [self._read(text) for text in texts]
            fitting = [at for at, ids in enumerate(read) if len(ids) <= self._window]
            made: dict[int, tuple[Vector, Sketch | None]] = {}
            for group in _groups(fitting, [len(ids) for ids in read], alone=not self._pooled):
                made.update(zip(group, self._passed([read[at] for at in group]), strict=True))
        except Exception as error:
            raise EmbeddingError(f"The encoder failed: {type(error).__name__}.") from error
        encoded = []
        for at, ids in enumerate(read):
            vector, sketch = made.get(at, (None, None))
            unknown = self._unknown_share(ids)
            encoded.append(Encoded(vector, len(ids), vector is None, unknown, sketch))
        return encoded

    def close(self) -> None:
        """Give the network's memory back; `encode` then raises EmbeddingError."""
        self._session = None

    def _read(self, text: str) -> list[int]:
        """Token ids; of a text that is beyond the window whatever follows, those of its head."""
        head = text[: self._window * _HEAD_CHARS_PER_TOKEN]
        ids = self._tokenize(head)
        if len(head) == len(text) or len(ids) > self._window + _WORD_CHARS:
            return ids
        return self._tokenize(text)

    def _tokenize(self, text: str) -> list[int]:
        if not text.isascii():
            # Half of a surrogate pair is no character; the tokenizer would refuse the text.
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    def _unknown_share(self, ids: Sequence[int]) -> float:
        if self._unknown is None:
            return 0.0
        return ids.count(self._unknown) / max(1, len(ids) - self._special)

    def _passed(self, rows: Sequence[list[int]]) -> Iterator[tuple[Vector, Sketch | None]]:
        """Vector and sketch of each row of token ids, from one forward pass."""
        vectors, tokens = self._forward(rows, any(self._has_sketch(row) for row in rows))
        before, after = self._around
        for at, row in enumerate(rows):
            sketch = None
            if tokens is not None and self._has_sketch(row):
                inner = slice(before, len(row) - after)
                sketch = sketch_of(np.asarray(row[inner], dtype=np.int32), tokens[at, inner])
            yield vectors[at], sketch

    def _has_sketch(self, row: Sequence[int]) -> bool:
        return self._sketches and len(row) - self._special <= MAX_TOKENS

    def _forward(
        self, rows: Sequence[Sequence[int]], with_tokens: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Unit vectors (rows, dim) of token ids, padded to the longest.

        And the token vectors (rows, tokens, dim), where they are wanted.
        """
        ids: _Ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for at, row in enumerate(rows):
            ids[at, : len(row)] = row
            mask[at, : len(row)] = 1
        fed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        fed = {name: value for name, value in fed.items() if name in self._inputs}
        if not self._pooled:
            tokens = self._session.run([_TOKENS], fed)[0]
            return _pool(tokens, mask), tokens
        names = [_SENTENCE, _TOKENS] if with_tokens else [_SENTENCE]
        outputs = self._session.run(names, fed)
        return outputs[0], outputs[1] if with_tokens else None


def _specials_around(tokenizer: Any) -> tuple[int, int]:
    """How many special tokens the tokenizer puts before and after a text."""
    mask: list[int] = tokenizer.encode("a").special_tokens_mask
    return mask.index(0), mask[::-1].index(0)


def _load_tokenizer(path: Path) -> Any:
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # "[SEP]" in a question is text, not a command
    return tokenizer


def _pool(tokens: NDArray[np.float32], mask: _Ids) -> NDArray[np.float32]:
    """Masked mean of (rows, tokens, dim), each row of unit length."""
    spread = mask[..., None].astype(np.float32)
    mean = (tokens * spread).sum(axis=1) / spread.sum(axis=1)
    unit: NDArray[np.float32] = mean / np.maximum(
        np.linalg.norm(mean, axis=1, keepdims=True), np.float32(1e-12)
    )
    return unit


def _groups(which: Sequence[int], lengths: Sequence[int], *, alone: bool) -> Iterator[list[int]]:
    """Texts that share a forward pass: padding costs at most an eighth."""
    group: list[int] = []
    for at in sorted(which, key=lengths.__getitem__):
        length = lengths[at]
        if group and (
            alone
            or length > lengths[group[0]] * 9 // 8
            or len(group) == _BATCH_ROWS
            or (len(group) + 1) * length > _BATCH_TOKENS
        ):
            yield group
            group = []
        group.append(at)
    if group:
        yield group
