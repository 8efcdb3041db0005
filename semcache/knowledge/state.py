"""One immutable state of the knowledge, searched by meaning and by words."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from semcache.errors import EmbeddingError, StoreError
from semcache.interfaces import Document, Embedder, Found, Passage, Vector
from semcache.knowledge.catalog import Catalog
from semcache.knowledge.encoding import MAX_UNKNOWN_SHARE
from semcache.knowledge.lexical import LexicalState, Term
from semcache.knowledge.ranking import features, names_in, rarity, score
from semcache.question_vector import known_of

log = logging.getLogger("semcache.knowledge")

_RECALLED = 48
_RECALLED_PER_RESULT = 3
_RERANKED = 24
_READ_AT_ONCE = 1_000
_RRF = 60  # Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion", 2009


class Nearest(Protocol):
    """Vectors that never change, by position."""

    def nearest(self, query: Vector, k: int) -> tuple[NDArray[np.int64], Vector]:
        """Positions and cosines of the k nearest to a unit vector, nearest first."""
        ...

    def cosines(self, query: Vector, positions: NDArray[np.int64]) -> Vector:
        """Of the vectors at these positions."""
        ...


Freeze: TypeAlias = Callable[[NDArray[np.float16]], Nearest]


@dataclass(frozen=True, slots=True)
class Meaning:
    """Passages by their vectors: `ids`, ascending, by position."""

    ids: NDArray[np.int64]
    vectors: NDArray[np.float16]
    nearest: Nearest

    def positions(self, ids: Sequence[int]) -> dict[int, int]:
        """Where ids stand, as far as they have a vector."""
        if not len(self.ids):
            return {}
        at = np.minimum(np.searchsorted(self.ids, np.asarray(ids)), len(self.ids) - 1)
        return {
            one: int(place) for one, place in zip(ids, at, strict=True) if self.ids[place] == one
        }


@dataclass(frozen=True, slots=True)
class KnowledgeState:
    """Implements `interfaces.Collection`.

    `contents`: path and digest of each document, by name; `ids`: passages in the order of
    documents and text.
    """

    digest: str
    size_bytes: int
    generation: int
    contents: tuple[tuple[str, str], ...]
    ids: NDArray[np.int64]
    catalog: Catalog
    embedder: Embedder | None
    meaning: Meaning | None
    words: LexicalState

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def by_meaning(self) -> bool:
        """Implements `Collection`."""
        return self.meaning is not None

    def search(self, question: str, k: int) -> Sequence[Found]:
        """The k best passages, best first; of passages with one text, one. Raises StoreError."""
        terms = self.words.terms(question)
        names = rarity(names_in(question), terms, len(self))
        candidates = self._recalled(terms, self._query(question), k)
        passages = self.catalog.passages(list(candidates))
        best: dict[str, Found] = {}
        for one, (cosine, bm25) in candidates.items():
            passage = passages.get(one)
            if passage is None:
                continue  # this state is more than an hour old, and the passage was replaced
            measured = features(cosine, bm25, terms, names, passage.text)
            found = Found(passage, score(measured), cosine)
            held = best.get(passage.id)
            if held is None or held.score < found.score:
                best[passage.id] = found
        return sorted(best.values(), key=lambda found: -found.score)[:k]

    def passages(self) -> Iterator[Passage]:
        """All passages in the order of documents and text. Raises StoreError."""
        for at in range(0, len(self.ids), _READ_AT_ONCE):
            ids = self.ids[at : at + _READ_AT_ONCE].tolist()
            found = self.catalog.passages(ids)
            yield from (found[one] for one in ids if one in found)

    def documents(self) -> Iterator[Document]:
        """All documents by name. Raises StoreError where one is another by now."""
        for path, digest in self.contents:
            document = self.catalog.document(path, digest)
            if document is None:
                raise StoreError("The knowledge has changed while it was read: read it again.")
            if document.text:
                yield document

    def _query(self, question: str) -> Vector | None:
        if self.embedder is None or self.meaning is None:
            return None
        try:
            known = known_of(question, self.embedder.fingerprint)
            encoded = known or self.embedder.encode([question])[0]
        except EmbeddingError:
            log.exception("a question could not be encoded: passages are found by words alone")
            return None
        return None if encoded.unknown_share > MAX_UNKNOWN_SHARE else encoded.vector

    def _recalled(
        self, terms: Sequence[Term], query: Vector | None, k: int
    ) -> dict[int, tuple[float | None, float]]:
        """Candidates by id: their cosine and BM25, the best by reciprocal ranks."""
        wanted = max(_RECALLED, _RECALLED_PER_RESULT * k)
        said = [one for one, _ in self.words.search(terms, wanted)]
        near: list[int] = []
        if query is not None and self.meaning is not None:
            near = self.meaning.ids[self.meaning.nearest.nearest(query, wanted)[0]].tolist()
        ranks: dict[int, float] = {}
        for ranking in (said, near):
            for rank, one in enumerate(ranking):
                ranks[one] = ranks.get(one, 0.0) + 1.0 / (_RRF + rank)
        best = sorted(ranks, key=lambda one: (-ranks[one], one))[: max(_RERANKED, 2 * k)]
        cosines = self._cosines(query, best)
        bm25 = self.words.scores(terms, best)
        return {one: (cosines.get(one), bm25.get(one, 0.0)) for one in best}

    def _cosines(self, query: Vector | None, ids: Sequence[int]) -> dict[int, float]:
        if query is None or self.meaning is None or not ids:
            return {}
        positions = self.meaning.positions(ids)
        at = np.fromiter(positions.values(), dtype=np.int64, count=len(positions))
        return dict(zip(positions, self.meaning.nearest.cosines(query, at).tolist(), strict=True))
