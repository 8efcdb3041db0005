"""What an answerer asks of a body of documents: the passages for a question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document, as a model reads it.

    `id`: hex digest of `text`; equal text, equal id. `document`: the path inside the knowledge
    folder, in POSIX form. `heading`: the headings that it stands under, outermost first, joined
    by " > "; may be empty. `tokens`: how many `text` has by the answering model's tokenizer.
    """

    id: str
    document: str
    heading: str
    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Found:
    """A passage for a question. `score`, 0..1, is fused of all that was measured; `cosine` is
    the encoder's, or None where the question or the passage has no vector.
    """

    passage: Passage
    score: float
    cosine: float | None


class Retriever(Protocol):
    """One immutable state of a body of documents. Any number of threads may search it.

    A change of the documents makes another retriever; requests keep the one they began with.
    """

    @property
    def digest(self) -> str:
        """64 hex digits over all documents, names and contents; empty without documents."""
        ...

    def search(self, question: str, k: int) -> Sequence[Found]:
        """The k best passages, best first. Blocks for milliseconds. Raises StoreError."""
        ...

    def passages(self) -> Iterator[Passage]:
        """All passages in the order of documents and text. Raises StoreError."""
        ...

    def __len__(self) -> int:
        """How many passages there are."""
        ...
