"""`/v1/embeddings`, answered by the cache's own encoder."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from semcache.errors import ModelNotFound, RequestError, SemcacheError
from semcache.interfaces import Embedder, Vector
from semcache_server.wire import (
    ASGIScope,
    ClientGone,
    Receive,
    Send,
    parse_json,
    read_body,
    respond_error,
    respond_json,
)

MAX_INPUTS = 2048


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The ASGI application. `names` are the model names it answers to."""

    embedder: Embedder
    names: Sequence[str]
    authenticate: Callable[[ASGIScope], object]
    max_body_bytes: int

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        try:
            self.authenticate(scope)
            body = parse_json(await read_body(scope, receive, self.max_body_bytes))
            texts, as_base64 = self._read(body)
            encoded = await asyncio.to_thread(self.embedder.encode, texts)
        except ClientGone:
            return
        except SemcacheError as error:
            await respond_error(send, error)
            return
        for at, one in enumerate(encoded):
            if one.vector is None:
                await respond_error(send, _too_long(at, one.tokens, self.embedder.window))
                return
        tokens = sum(one.tokens for one in encoded)
        vectors = [one.vector for one in encoded if one.vector is not None]
        await respond_json(send, _wire(vectors, body["model"], tokens, as_base64=as_base64))

    def _read(self, body: Any) -> tuple[list[str], bool]:
        if not isinstance(body, dict):
            raise RequestError("The request body must be a JSON object.")
        model = body.get("model")
        if not isinstance(model, str):
            raise RequestError("You must provide a model parameter.", param="model")
        if model not in self.names:
            names = ", ".join(self.names)
            message = f"The model '{model}' does not exist here. Embedding models: {names}."
            raise ModelNotFound(message, param="model")
        dimensions = body.get("dimensions")
        if dimensions not in (None, self.embedder.dim):
            message = f"'dimensions' can only be {self.embedder.dim} for this model."
            raise RequestError(message, param="dimensions")
        form = body.get("encoding_format") or "float"
        if form not in ("float", "base64"):
            message = "'encoding_format' must be 'float' or 'base64'."
            raise RequestError(message, param="encoding_format")
        return _texts(body.get("input")), form == "base64"


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
