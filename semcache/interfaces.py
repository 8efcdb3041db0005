"""The seams: what the driver asks of a store, an encoder and an answerer.

What it asks of a verifier and of a supervisor stands in `judging`, what an answerer asks of a body
of documents in `retrieval`; both have their names here too.

Rules of this file:
1. A seam has few methods, and its implementations raise only from `semcache.errors`.
2. Stores and encoders block and are safe to call from several threads; answerers are async.
3. A similarity is a cosine, everywhere; 1.0 for the exact tier. Times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from semcache.chat import ChatRequest
from semcache.completion import Chunk
from semcache.entry import Candidate as Candidate
from semcache.entry import Entry as Entry
from semcache.entry import State as State
from semcache.entry import Tier as Tier
from semcache.entry import Vector as Vector
from semcache.judging import Asked as Asked
from semcache.judging import Judged as Judged
from semcache.judging import Supervisor as Supervisor
from semcache.judging import Verdict as Verdict
from semcache.judging import Verifier as Verifier
from semcache.keys import Scope, Source
from semcache.retrieval import Collection as Collection
from semcache.retrieval import Document as Document
from semcache.retrieval import Found as Found
from semcache.retrieval import FromDocuments as FromDocuments
from semcache.retrieval import Library as Library
from semcache.retrieval import Passage as Passage
from semcache.retrieval import Retriever as Retriever
from semcache.selection import Holding as Holding
from semcache.selection import Selection as Selection
from semcache.sketch import Sketch
from semcache.store_report import CheckReport as CheckReport
from semcache.store_report import StoreStats as StoreStats

# ------------------------------------------------------------------------------- what is decided


@dataclass(frozen=True, slots=True)
class Hit:
    """The cache answers. `score` is the verifier's, where one judged, and `judged` what it saw."""

    entry: Entry
    tier: Tier
    similarity: float
    threshold: float
    reason: str
    score: float | None = None
    judged: Judged | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Miss:
    """The cache has no answer that may be served; `nearest` is the best cosine seen, if any.

    `score` is the best that the verifier gave, where one judged, and `judged` is what it gave it.
    `stale` is an answer to the very request whose time is over.
    """

    reason: str
    nearest: float | None = None
    score: float | None = None
    judged: Judged | None = field(default=None, compare=False, repr=False)
    stale: Entry | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Bypass:
    """The request may not use the cache."""

    reason: str


Decision: TypeAlias = Hit | Miss | Bypass


# ------------------------------------------------------------------------------------- encoders


@dataclass(frozen=True, slots=True)
class Encoded:
    """What one forward pass says of one text.

    `vector` has shape (dim,), unit length, or is None where the text must not be matched:
    `tokens` exceed the window (`truncated`). `unknown_share` is the share of the text's tokens
    that the vocabulary does not know, 0..1. `sketch` is None for a text of more than
    `sketch.MAX_TOKENS` tokens, and of an encoder that was opened without.
    """

    vector: Vector | None
    tokens: int
    truncated: bool
    unknown_share: float
    sketch: Sketch | None = None


class Embedder(Protocol):
    """A sentence encoder."""

    @property
    def dim(self) -> int: ...

    @property
    def window(self) -> int:
        """Tokens that one text may have, special tokens included."""
        ...

    @property
    def fingerprint(self) -> str:
        """Identifies the artefact (weights, tokenizer, pooling). Vectors of two never mix."""
        ...

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """One forward pass for all texts. Raises EmbeddingError."""
        ...

    def close(self) -> None: ...


# --------------------------------------------------------------------------------------- stores


class Store(Protocol):
    """Durable entries with exact lookup and vector search inside one scope.

    Every method may raise StoreError. A put or remove is durable when it returns.
    """

    def get(self, key: str) -> Entry | None:
        """The entry under this exact key, expired or not."""
        ...

    def by_id(self, entry_id: int) -> Entry | None:
        """The entry with this id, expired, quarantined or not."""
        ...

    def scopes(self, tenant: str, most: int) -> list[Scope]:
        """Scopes of a tenant's entries, those of the newest entries first, `most` at most."""
        ...

    def search(self, scope: Scope, vector: Vector, k: int) -> list[Candidate]:
        """The k nearest entries of exactly this scope, nearest first, expired ones included.

        Each stands once, by the nearest of its questions. Quarantined entries are left out.
        """
        ...

    def put(
        self, entry: Entry, vector: Vector | None = None, sketch: Sketch | None = None
    ) -> Entry:
        """Insert, or replace the entry with the same key. Returns it with its id."""
        ...

    def add_alias(
        self, entry_id: int, question: str, vector: Vector, sketch: Sketch | None = None
    ) -> bool:
        """One more question that leads to an entry, until the entry is deleted.

        False, and nothing is changed, where there is no such entry or it has this question.
        """
        ...

    def quarantine(self, entry_id: int) -> Entry | None:
        """Never serve an entry again, but keep it. Returns it as it is now, if it is there."""
        ...

    def release(self, entry_id: int) -> Entry | None:
        """Undo a quarantine. Returns the entry as it is now, if it is there."""
        ...

    def remove(self, keys: Sequence[str]) -> int:
        """Delete entries by exact key; returns how many there were."""
        ...

    def clear(self, tenant: str | None = None) -> int:
        """Delete every entry (of one tenant, if given); returns how many there were."""
        ...

    def expire_knowledge(self, answerer: str, current: str, now: float) -> int:
        """Make stale what `answerer` answered from any other knowledge than `current`."""
        ...

    def set_sources(self, entry_id: int, sources: Sequence[str]) -> None:
        """What an entry rests on, as it is known now; nothing where there is no such entry."""
        ...

    def touch(self, ids: Mapping[int, int], now: float) -> None:
        """Add hits (id → how many) and mark the entries as used. May be written later."""
        ...

    def scan(self, batch: int = 1000) -> Iterator[Entry]:
        """All entries by ascending id, read in batches."""
        ...

    def select(self, wanted: Selection, before: int | None, most: int) -> list[Entry]:
        """Entries that are meant, by descending id, those below `before`, `most` at most."""
        ...

    def holdings(self, most: int) -> list[Holding]:
        """How much each tenant has stored of each model's answers, the most entries first."""
        ...

    def version(self) -> int:
        """A number that differs after any write by another process. Costs microseconds."""
        ...

    def stats(self) -> StoreStats: ...

    def check(self, fix: bool = False) -> CheckReport:
        """Compare rows with index, and repair the index (never the rows' content) if asked."""
        ...

    def flush(self) -> None:
        """Write counters and the index file now."""
        ...

    def backup(self, path: Path) -> None:
        """Write a consistent copy of the live store to a new file."""
        ...

    def close(self) -> None: ...


# ------------------------------------------------------------------------------------ answerers


class Answerer(Protocol):
    """Something that can answer a request: the local engine, an upstream."""

    @property
    def name(self) -> str: ...

    def accepts(self, request: ChatRequest) -> bool:
        """Whether this answerer is for this request. Pure and quick: it runs on every request."""
        ...

    def source(self, request: ChatRequest) -> Source:
        """Model and knowledge that would answer: part of the key. Pure and quick."""
        ...

    def answer(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        """Stream the answer. Closing the iterator early cancels the work.

        Raises AnswerError or RequestError, before the first chunk wherever possible.
        """
        ...

    def models(self) -> Sequence[str]:
        """The model names to list."""
        ...

    async def aclose(self) -> None: ...


class Relayed(Answerer, Protocol):
    """An answerer that lists its models from elsewhere."""

    async def fetch_models(self, key: str | None = None) -> list[dict[str, Any]]:
        """As they are listed there, for a caller's key; empty where that cannot be had."""
        ...

    async def knows(self, key: str, path: str) -> bool:
        """Whether a caller's key is good there: for a GET of `path`.

        Raises AnswerError where that cannot be told.
        """
        ...
