"""What an answerer asks of a body of documents: the passages for a question, or all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from semcache.chat import ChatRequest
from semcache.grounds import Grounds, given_digest


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


def grounds_of(base: str, passages: Sequence[Passage]) -> Grounds:
    """What an answer from these passages, in this order, rests on."""
    told = (text for one in passages for text in (one.document, one.heading, one.text))
    documents = dict.fromkeys(one.document for one in passages)
    return Grounds(base, given_digest(told), tuple(documents))


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


@dataclass(frozen=True, slots=True)
class Document:
    """A file as text: its path inside the knowledge folder, in POSIX form, and what it says."""

    name: str
    text: str


class Collection(Retriever, Protocol):
    """A retriever that can also hand out whole documents, for those that fit a window."""

    @property
    def by_meaning(self) -> bool:
        """Whether passages are found by their vectors too, not by words alone."""
        ...

    @property
    def size_bytes(self) -> int:
        """Of all documents' texts, in UTF-8."""
        ...

    def documents(self) -> Iterator[Document]:
        """All of them, by name, one at a time in memory. Raises StoreError."""
        ...


class Library(Protocol):
    """Documents that change. Every method may be called from any thread."""

    def update(self, progress: Callable[[str], None]) -> Collection:
        """Read what has changed, and return the state that is in force from now on.

        Blocks: milliseconds where nothing has changed, minutes for thousands of new documents.
        `progress` gets a line for each slow step and for each document that cannot be read; such
        a document keeps its last good state, or is left out. Raises ConfigError, StoreError.
        """
        ...

    def touched(self) -> bool:
        """Whether files were added, removed or written since `update`. Cheap: looks, reads none.

        Raises ConfigError.
        """
        ...

    def close(self) -> None: ...


@runtime_checkable
class FromDocuments(Protocol):
    """An answerer whose answers rest on documents that change."""

    def grounds(self, request: ChatRequest) -> Grounds:
        """What an answer to this request would rest on now. Blocks for milliseconds.

        Raises Declined, RequestError, StoreError.
        """
        ...
