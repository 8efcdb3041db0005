"""From settings to a library."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from tokenizers import Tokenizer

from semcache.errors import ConfigError
from semcache.interfaces import Embedder
from semcache.knowledge.apart import ReaderApart
from semcache.knowledge.library import Library
from semcache.knowledge.settings import KnowledgeSettings
from semcache.knowledge.splitting import Count, Cut
from semcache.knowledge.state import Freeze
from semcache.knowledge.syncing import Making


def open_library(
    data_dir: Path,
    folder: Path | None,
    settings: KnowledgeSettings,
    *,
    tokenizer: Path,
    embedder: Embedder | None,
    freeze: Freeze,
    threads: int = 1,
) -> Library:
    """The library of a data directory; its documents are in `folder`, or were added to it.

    `tokenizer`: the tokenizer.json of the model that will answer; `freeze` makes vectors
    searchable; `threads` encode at once. Raises ConfigError, StoreError.
    """
    count = counter(tokenizer)
    reader = ReaderApart(settings.max_read_s)
    making = Making(
        cut=cut_of(settings, count, blake2b(tokenizer.read_bytes(), digest_size=8).hexdigest()),
        count=count,
        embedder=embedder,
        max_file_bytes=settings.max_file_bytes,
        threads=threads,
        text_of=reader.text_of,
    )
    return Library(data_dir, folder, making, freeze, closing=reader.close)


def counter(tokenizer: Path) -> Count:
    """Counts a text's tokens by a tokenizer.json. Raises ConfigError."""
    try:
        read = Tokenizer.from_file(str(tokenizer))
    except Exception as error:  # the library raises bare exceptions
        raise ConfigError(f"The tokenizer {tokenizer} cannot be read: {error}.") from None
    read.no_truncation()
    read.no_padding()
    return lambda text: len(read.encode(text, add_special_tokens=False).ids)


def cut_of(settings: KnowledgeSettings, count: Count, counted_by: str) -> Cut:
    """How passages are cut; `counted_by` stands for the tokenizer."""
    overlap = settings.overlap
    if settings.passage_characters is not None:
        most = settings.passage_characters
        return Cut(f"{most} characters {overlap} {counted_by}", len, most, overlap)
    most = settings.passage_tokens
    return Cut(f"{most} tokens {overlap} {counted_by}", count, most, overlap)
