"""A library over a folder, with the packaged encoder, that counts what it encodes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from semcache.embedding import SentenceEncoder
from semcache.interfaces import Encoded
from semcache.knowledge.library import Library
from semcache.knowledge.splitting import Cut
from semcache.knowledge.syncing import Making
from semcache.store.frozen_vectors import FrozenVectors

NOW = 1_700_000_000.0


@lru_cache(maxsize=1)
def encoder() -> SentenceEncoder:
    """The packaged one, once for all tests of a process."""
    return SentenceEncoder.open()


def words(text: str) -> int:
    """A plain measure: words, and Chinese characters."""
    return len(re.findall(r"[一-鿿]|[^\W一-鿿]+|[^\w\s]", text))


class Counted:
    """An encoder that remembers the texts that it was given."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.dim = encoder().dim
        self.window = encoder().window
        self.fingerprint = encoder().fingerprint

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """By the packaged one."""
        self.read += texts
        return encoder().encode(texts)

    def close(self) -> None:
        """It stays open for others."""


def opened(
    data: Path,
    folder: Path | None,
    *,
    embedder: Counted | None = None,
    most: int = 60,
    name: str = "words",
    max_file_bytes: int = 1_000_000,
    clock: Callable[[], float] = lambda: NOW,
) -> Library:
    """The library of a data directory."""
    data.mkdir(exist_ok=True)
    cut = Cut(f"{name} {most}", words, most, 0.1)
    return Library(data, folder, Making(cut, words, embedder, max_file_bytes), FrozenVectors, clock)


def silent(line: str) -> None:
    """No progress."""
