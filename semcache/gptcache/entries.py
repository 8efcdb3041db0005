"""A question with its answers, as GPTCache's data manager is given them, and as our Entry.

An entry's completion is a chat completion that says the first answer, so that every reader of the
store can show it. What GPTCache must get back unchanged (all answers with their types, the
question's dependencies, the embedding) is kept beside it under `gptcache`, as JSON.

Pure, and without the third-party gptcache: data_manager maps to its classes.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
import orjson

from semcache.completion import Completion, text_completion_of
from semcache.errors import EmbeddingError, RequestError
from semcache.interfaces import Entry, Vector
from semcache.keys import Scope, Source

MODEL = "gptcache"
Content: TypeAlias = str | bytes | int | float | bool
_OURS = "gptcache"


@dataclass(frozen=True, slots=True)
class Said:
    """One answer; `type` is GPTCache's DataType (0 text, 1 image in base64, 2 image URL)."""

    content: Content
    type: int = 0


@dataclass(frozen=True, slots=True)
class Dependency:
    """What a question depends on besides its text (GPTCache's QuestionDep), an image for one."""

    name: str
    data: str | bytes
    type: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: its text, and what it depends on."""

    content: str
    dependencies: tuple[Dependency, ...] = ()


class EntryId(int):
    """An entry's id that remembers the entry, so that a candidate is not looked up twice."""

    entry: Entry

    @classmethod
    def of(cls, entry: Entry) -> EntryId:
        """The id of a stored entry."""
        made = cls(entry.id)
        made.entry = entry
        return made


def scope_of(tenant: str, embedder: str, dependencies: Sequence[Dependency] = ()) -> Scope:
    """The partition of a manager's entries whose questions have equal dependencies."""
    params = "" if not dependencies else _digest(b"deps", orjson.dumps(_packed_deps(dependencies)))
    return Scope(
        tenant=tenant, model=MODEL, source=Source(MODEL, embedder), context="", params=params
    )


def key_of(scope: Scope, asked: Asked) -> str:
    """The exact key (64 hex digits) of a question with what it depends on."""
    deps = orjson.dumps(_packed_deps(asked.dependencies))
    return _digest(b"gptcache-question", scope.digest().encode(), _encoded(asked.content), deps)


def entry_of(
    scope: Scope,
    asked: Asked,
    answers: Sequence[Said],
    vector: Vector,
    now: float,
    ttl_s: float | None = None,
) -> Entry:
    """The entry of a question and its answers. Raises RequestError for what JSON cannot hold."""
    if not answers:
        raise RequestError("There is no answer to store.")
    key = key_of(scope, asked)
    first = answers[0].content
    shown = text_completion_of(
        first if isinstance(first, str) else "",
        id=f"gptcache-{key[:24]}",
        created=int(now),
        model=MODEL,
    )
    kept = {
        "answers": [{"content": _packed(said.content), "type": said.type} for said in answers],
        "deps": _packed_deps(asked.dependencies),
        "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode(),
    }
    return Entry(
        key=key,
        scope=scope,
        question=asked.content,
        completion=Completion({**shown.wire, _OURS: kept}),
        created_at=now,
        expires_at=None if ttl_s is None else now + ttl_s,
        embedder=scope.source.model,
    )


def asked_of(entry: Entry) -> Asked:
    """The question of an entry that `entry_of` made."""
    deps = (
        Dependency(dep["name"], _unpacked(dep["data"]), dep["type"]) for dep in _kept(entry)["deps"]
    )
    return Asked(entry.question or "", tuple(deps))


def answers_of(entry: Entry) -> list[Said]:
    """The answers of an entry that `entry_of` made, as they were given."""
    return [Said(_unpacked(said["content"]), said["type"]) for said in _kept(entry)["answers"]]


def embedding_of(entry: Entry) -> Vector:
    """The unit vector (dim,) of an entry that `entry_of` made, bit for bit."""
    raw = base64.b64decode(_kept(entry)["embedding"])
    return np.frombuffer(raw, dtype="<f4").astype(np.float32)


def unit_vector(embedding: Any) -> Vector:
    """An embedding as a unit vector, float32 (dim,). Raises EmbeddingError where it is none."""
    try:
        raw = np.asarray(embedding, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        message = "The embedding function must return a vector of numbers; set 'embedding_func'."
        raise EmbeddingError(message) from None
    length = float(np.linalg.norm(raw))
    if not np.isfinite(length) or length == 0.0:
        raise EmbeddingError("The embedding function returned a vector without a direction.")
    return (raw / length).astype(np.float32)


def _kept(entry: Entry) -> Mapping[str, Any]:
    kept: Mapping[str, Any] = entry.completion.wire[_OURS]
    return kept


def _packed_deps(dependencies: Sequence[Dependency]) -> list[dict[str, Any]]:
    return [{"name": dep.name, "data": _packed(dep.data), "type": dep.type} for dep in dependencies]


def _packed(content: Any) -> Any:
    if isinstance(content, bytes):
        return {"base64": base64.b64encode(content).decode()}
    if isinstance(content, str | bool | int | float) and _survives_json(content):
        return content
    message = f"An answer must be a text, bytes or a number, not {type(content).__name__}."
    raise RequestError(message)


def _survives_json(content: str | int | float) -> bool:
    try:
        return bool(orjson.loads(orjson.dumps(content)) == content)
    except TypeError:
        return False


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise RequestError("The question is no valid Unicode text.") from None


def _unpacked(content: Any) -> Any:
    return base64.b64decode(content["base64"]) if isinstance(content, dict) else content


def _digest(label: bytes, *parts: bytes) -> str:
    digest = blake2b(label, digest_size=32)
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()
