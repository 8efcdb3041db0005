"""An entry as a line of JSON, and back.

    {"id", "key", "scope": {"tenant", "model", "answerer", "source_model", "knowledge", "context",
     "params"}, "question", "completion", "created_at", "expires_at", "used_at", "hits", "cost_s",
     "embedder", "state", "sources", "variant", "writer", "stale_s", "detail",
     "aliases": [{"question", …}], "refuted", "vector", "sketch"}

`refuted` are the questions for which somebody called this answer wrong.

Vectors are float32, little-endian, in base64, and so are sketches in their own form; both are there
on demand only. What is read is checked field by field: nothing of it is trusted.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from typing import Any, get_args

import numpy as np
import orjson

from semcache.answer_form import is_answer
from semcache.completion import Completion
from semcache.embedding_items import is_embeddings
from semcache.errors import RequestError
from semcache.interfaces import Entry, State, Vector
from semcache.keeping import keep
from semcache.keys import Scope, Source
from semcache.policy_settings import PolicySettings
from semcache.render_response import rendered
from semcache.responses.form import is_response
from semcache.sketch import Sketch
from semcache.usage import UsageMode
from semcache.whole import Alias, Whole

_ANY = PolicySettings()

_MAX_ALIASES = 10_000
_MAX_KEY = 200
_SCOPE = ("tenant", "model", "answerer", "source_model", "knowledge", "context", "params")


def line_of(whole: Whole, *, vectors: bool = False) -> bytes:
    """The line of an entry, with its newline."""
    entry, scope, source = whole.entry, whole.entry.scope, whole.entry.scope.source
    said: dict[str, Any] = {
        "id": entry.id,
        "key": entry.key,
        "scope": {
            "tenant": scope.tenant,
            "model": scope.model,
            "answerer": source.answerer,
            "source_model": source.model,
            "knowledge": source.knowledge,
            "context": scope.context,
            "params": scope.params,
        },
        "question": entry.question,
        "completion": entry.completion.wire,
        "created_at": entry.created_at,
        "expires_at": entry.expires_at,
        "used_at": entry.used_at,
        "hits": entry.hits,
        "cost_s": entry.cost_s,
        "embedder": entry.embedder,
        "state": entry.state,
        "sources": entry.sources,
        "variant": entry.variant,
        "writer": entry.writer,
        "stale_s": entry.stale_s,
        "detail": entry.detail,
        "aliases": [_alias(alias, vectors) for alias in whole.aliases],
        "refuted": whole.refuted,
    }
    if vectors:
        said |= _vectors(whole.vector, whole.sketch)
    return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)


def _alias(alias: Alias, vectors: bool) -> dict[str, Any]:
    if not vectors:
        return {"question": alias.question}
    held = _vectors(alias.vector, alias.sketch)
    return {"question": alias.question, "embedder": alias.embedder, **held}


def _vectors(vector: Vector | None, sketch: Sketch | None) -> dict[str, str | None]:
    return {
        "vector": None if vector is None else _base64(vector.astype("<f4").tobytes()),
        "sketch": None if sketch is None else _base64(sketch.to_bytes()),
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# --------------------------------------------------------------------------------------- reading


def whole_of(said: Mapping[str, Any]) -> Whole:
    """The entry of a decoded line; its id is 0. Raises RequestError with the reason."""
    number, text = _reader(said, _number), _reader(said, _text)
    completion = Completion(checked_completion(said.get("completion")))
    detail = said.get("detail", {})
    _require(isinstance(detail, dict), "'detail' is no object")
    key = text("key") or ""
    _require(0 < len(key) <= _MAX_KEY, "'key' is no key")
    state = said.get("state", "")
    _require(state in get_args(State) and state != "refuted", "'state' is not known")
    _require(said.get("created_at") is not None, "'created_at' is missing")
    variant = _count(said.get("variant", 0), "variant")
    _require(variant < 256, "'variant' is none")
    vector, sketch = _vector(said.get("vector")), _sketch(said.get("sketch"))
    entry = Entry(
        key=key,
        scope=_scope(said.get("scope")),
        question=text("question"),
        completion=completion,
        expires_at=number("expires_at"),
        embedder=text("embedder"),
        hits=_count(said.get("hits", 0), "hits"),
        state=state,
        sources=_texts(said, "sources"),
        variant=variant,
        writer=text("writer"),
        stale_s=number("stale_s"),
        detail=detail,
        created_at=number("created_at"),
        used_at=number("used_at") or 0.0,
        cost_s=number("cost_s") or 0.0,
    )
    sketch = sketch if vector is not None else None
    return Whole(entry, vector, sketch, _aliases(said), _texts(said, "refuted"))


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise RequestError(f"{reason}.")


def _reader(said: Mapping[str, Any], check: Callable[[Any, str], Any]) -> Callable[[str], Any]:
    return lambda name: None if said.get(name) is None else check(said[name], name)


def _number(value: Any, name: str) -> float:
    fine = isinstance(value, int | float) and not isinstance(value, bool)
    _require(fine and math.isfinite(value) and abs(value) < 1e15, f"'{name}' is no number")
    return float(value)


def _text(value: Any, name: str) -> str:
    _require(isinstance(value, str), f"'{name}' is no text")
    return str(value)


def _count(value: Any, name: str) -> int:
    fine = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
    _require(fine, f"'{name}' is no count")
    return int(value)


def _scope(said: Any) -> Scope:
    _require(isinstance(said, dict), "'scope' is no object")
    _require(all(isinstance(said.get(name), str) for name in _SCOPE), "'scope' is not whole")
    tenant, model, answerer, source_model, knowledge, context, params = (said[n] for n in _SCOPE)
    return Scope(tenant, model, Source(answerer, source_model, knowledge), context, params)


def _texts(said: Mapping[str, Any], name: str) -> tuple[str, ...]:
    texts = said.get(name, [])
    fine = isinstance(texts, list) and all(isinstance(one, str) for one in texts)
    _require(fine, f"'{name}' is no list of texts")
    return tuple(texts)


def checked_completion(said: Any) -> Mapping[str, Any]:
    """An answer that can be judged and given to somebody: both is tried. Raises RequestError."""
    _require(isinstance(said, dict), "'completion' is no object")
    wire: Mapping[str, Any] = said
    completion = Completion(wire)
    if completion.is_response:
        _require(is_response(wire), "'completion' is no response")
    elif completion.is_embeddings:
        _require(is_embeddings(wire), "'completion' holds no vectors")
    else:
        _require(is_answer(wire) and wire.get("choices") is not None, "'completion' is no answer")
    try:
        keep(completion, 0.0, _ANY)
        for usage in get_args(UsageMode):
            form = rendered(completion, usage)
            form.body(0)
            if not completion.is_embeddings:
                form.events(0, include_usage=True)
    except (TypeError, AttributeError, LookupError, ValueError):
        raise RequestError("'completion' is none that a server sends.") from None
    return wire


def _aliases(said: Mapping[str, Any]) -> tuple[Alias, ...]:
    aliases = said.get("aliases", [])
    fine = isinstance(aliases, list) and len(aliases) <= _MAX_ALIASES
    _require(fine and all(isinstance(one, dict) for one in aliases), "'aliases' is no list")
    return tuple(
        Alias(
            _text(one.get("question"), "aliases.question"),
            None if one.get("embedder") is None else _text(one["embedder"], "aliases.embedder"),
            _vector(one.get("vector")),
            _sketch(one.get("sketch")),
        )
        for one in aliases
    )


def _bytes(said: Any, name: str) -> bytes | None:
    if said is None:
        return None
    try:
        return base64.b64decode(_text(said, name), validate=True)
    except ValueError:
        raise RequestError(f"'{name}' is not base64.") from None


def _vector(said: Any) -> Vector | None:
    data = _bytes(said, "vector")
    if data is None:
        return None
    _require(bool(data) and len(data) % 4 == 0, "'vector' is none")
    vector = np.frombuffer(data, dtype="<f4").astype(np.float32)
    _require(bool(np.isfinite(vector).all() and vector.any()), "'vector' has no direction")
    return vector


def _sketch(said: Any) -> Sketch | None:
    data = _bytes(said, "sketch")
    try:
        return None if data is None else Sketch.from_bytes(data)
    except ValueError as error:
        raise RequestError(f"'sketch' cannot be read: {error}.") from None
