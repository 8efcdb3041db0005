"""Documents in memory, found by the words that they share with a question."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256

from semcache.retrieval import Collection, Document, Found, Passage


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


class MemoryCollection:
    """Implements `retrieval.Collection`: one passage a paragraph, under the document's name."""

    def __init__(self, documents: Mapping[str, str], tokens: Callable[[str], int]) -> None:
        self._documents = dict(sorted(documents.items()))
        self._passages = [
            Passage(sha256(text.encode()).hexdigest(), name, f"Part {at}", text, tokens(text))
            for name, whole in self._documents.items()
            for at, text in enumerate(whole.split("\n\n"), 1)
        ]
        self.digest = sha256(repr(self._documents).encode()).hexdigest()
        self.by_meaning = False
        self.size_bytes = sum(len(text.encode()) for text in self._documents.values())

    def __len__(self) -> int:
        return len(self._passages)

    def search(self, question: str, k: int) -> Sequence[Found]:
        """By the share of the question's words that a passage has."""
        asked = _words(question) or {""}
        found = [
            Found(one, len(asked & _words(one.text)) / len(asked), None) for one in self._passages
        ]
        return sorted(found, key=lambda one: -one.score)[:k]

    def passages(self) -> Iterator[Passage]:
        """In the order of documents."""
        return iter(self._passages)

    def documents(self) -> Iterator[Document]:
        """By name."""
        return (Document(*one) for one in self._documents.items())


class MemoryLibrary:
    """Implements `retrieval.Library`; write into `texts` to change it."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = dict(texts)
        self._known: dict[str, str] | None = None

    def update(self, progress: Callable[[str], None]) -> Collection:
        """What the documents are now."""
        self._known = dict(self.texts)
        return MemoryCollection(self._known, lambda text: len(_words(text)) * 2)

    def touched(self) -> bool:
        """Whether they are others."""
        return self._known != self.texts

    def close(self) -> None:
        """Nothing to close."""
