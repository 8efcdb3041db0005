"""`/v1/embeddings`, answered by the cache's own encoder."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from semcache.chat import ChatRequest
from semcache.errors import ModelNotFound, RequestError
from semcache.interfaces import Embedder, Vector

MAX_INPUTS = 2048


@dataclass(frozen=True, slots=True)
class Embeddings:
    """`names` are the model names that the encoder answers to."""

    embedder: Embedder
    names: Sequence[str]

    async def answer(self, request: ChatRequest) -> dict[str, Any]:
        """The answer to a request for embeddings. Raises RequestError, EmbeddingError."""
        texts, as_base64 = self._read(request)
        encoded = await asyncio.to_thread(self.embedder.encode, texts)
        for at, one in enumerate(encoded):
            if one.vector is None:
                raise _too_long(at, one.tokens, self.embedder.window)
        tokens = sum(one.tokens for one in encoded)
        vectors = [one.vector for one in encoded if one.vector is not None]
        return _wire(vectors, request.model, tokens, as_base64=as_base64)

    def _read(self, request: ChatRequest) -> tuple[list[str], bool]:
        if request.model not in self.names:
            names = ", ".join(self.names)
            message = f"The model '{request.model}' does not exist here. Embedding models: {names}."
            raise ModelNotFound(message, param="model")
        dimensions = request.options.get("dimensions")
        if dimensions not in (None, self.embedder.dim):
            message = f"'dimensions' can only be {self.embedder.dim} for this model."
            raise RequestError(message, param="dimensions")
        form = request.options.get("encoding_format") or "float"
        return _texts(request.options.get("input")), form == "base64"


def _texts(value: object) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) for t in texts):
        message = "'input' must be a text or a list of texts; token ids are not supported."
        raise RequestError(message, param="input")
    if len(texts) > MAX_INPUTS:
        raise RequestError(f"'input' may hold at most {MAX_INPUTS} texts.", param="input")
    if not all(text.strip() for text in texts):
        raise RequestError("'input' must not hold an empty text.", param="input")
    return texts


def _too_long(at: int, tokens: int, window: int) -> RequestError:
    message = f"input[{at}] has {tokens} tokens; this model takes at most {window}. Split it."
    return RequestError(message, param=f"input[{at}]")


def _wire(vectors: Sequence[Vector], model: str, tokens: int, *, as_base64: bool) -> dict[str, Any]:
    data = []
    for index, vector in enumerate(vectors):
        floats = np.ascontiguousarray(vector, dtype="<f4")
        form: Any = floats.tolist()
        if as_base64:
            form = base64.b64encode(floats.tobytes()).decode()
        data.append({"object": "embedding", "index": index, "embedding": form})
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}
