"""What is about to be written: checked and encoded before the writer's transaction begins."""

from __future__ import annotations

from dataclasses import dataclass, replace

from semcache.errors import StoreError
from semcache.interfaces import Entry, Vector
from semcache.sketch import Sketch
from semcache.store import rows


@dataclass(frozen=True, slots=True)
class Encoder:
    """Whose vectors are indexed."""

    fingerprint: str
    dim: int

    def made(self, embedder: str | None, blob: bytes | None) -> bool:
        """Whether a stored vector is one of this encoder's."""
        return embedder == self.fingerprint and blob is not None and len(blob) == 4 * self.dim

    def encode(self, vector: Vector) -> tuple[Vector, bytes]:
        """A vector of this encoder, unit length, with its bytes. Raises StoreError."""
        unit, blob = rows.encode_vector(vector)
        if unit.size != self.dim:
            raise StoreError(f"The vector has {unit.size} dimensions, not {self.dim}.")
        return unit, blob


@dataclass(frozen=True, slots=True)
class NewRow:
    """An entry ready to be written. `indexed`: its vector is of the store's own encoder."""

    entry: Entry
    json: bytes
    vector: Vector | None
    blob: bytes | None
    sketch: bytes | None
    indexed: bool
    sources: str | None = None
    detail: str | None = None

    @property
    def bytes(self) -> int:
        """What counts against the byte limit: completion, texts, vector and sketch."""
        texts = (self.entry.question, self.sources, self.detail)
        held = sum(len((text or "").encode("utf-8", "surrogatepass")) for text in texts)
        return len(self.json) + held + len(self.blob or b"") + len(self.sketch or b"")


@dataclass(frozen=True, slots=True)
class NewAlias:
    """One more question for an entry, ready to be written."""

    entry_id: int
    question: str
    embedder: str
    vector: Vector
    blob: bytes
    sketch: bytes | None

    @property
    def bytes(self) -> int:
        """What it adds to its entry's bytes: question, vector and sketch."""
        question = len(self.question.encode("utf-8", "surrogatepass"))
        return question + len(self.blob) + len(self.sketch or b"")

    def of(self, entry_id: int) -> NewAlias:
        """The same question, for this entry."""
        return replace(self, entry_id=entry_id)


def new_row(
    entry: Entry, vector: Vector | None, sketch: Sketch | None, encoder: Encoder | None
) -> NewRow:
    """Raises StoreError for what cannot be stored."""
    json = rows.encode_completion(entry.completion)
    texts = rows.encode_sources(entry.sources), rows.encode_detail(entry.detail)
    used_at = max(entry.used_at, entry.created_at)
    if vector is None:
        if sketch is not None:
            raise StoreError("A sketch is stored with its vector only: give both.")
        entry = replace(entry, embedder=None, used_at=used_at)
        return NewRow(entry, json, None, None, None, False, *texts)
    if entry.embedder is None:
        raise StoreError("A vector needs the fingerprint of its encoder: Entry.embedder.")
    ours = encoder is not None and entry.embedder == encoder.fingerprint
    unit, blob = encoder.encode(vector) if encoder and ours else rows.encode_vector(vector)
    entry = replace(entry, used_at=used_at)
    held = None if sketch is None else sketch.to_bytes()
    return NewRow(entry, json, unit, blob, held, ours and not entry.state, *texts)


def new_alias(
    entry_id: int, question: str, vector: Vector, sketch: Sketch | None, encoder: Encoder | None
) -> NewAlias:
    """Raises StoreError for what cannot be stored, and where the store searches nothing."""
    if encoder is None:
        raise StoreError("A store without an encoder has no aliases: open it with one.")
    unit, blob = encoder.encode(vector)
    held = None if sketch is None else sketch.to_bytes()
    return NewAlias(entry_id, question, encoder.fingerprint, unit, blob, held)
