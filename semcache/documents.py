"""From the configuration to the library of its documents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from semcache.config import Config
from semcache.interfaces import Embedder

if TYPE_CHECKING:
    from semcache.knowledge.library import Library

Progress: TypeAlias = Callable[[str], None]


def open_documents(
    config: Config,
    directory: Path,
    embedder: Embedder | None,
    progress: Progress,
    *,
    threads: int = 1,
) -> Library:
    """The library in a data directory; nothing is read yet. Raises ConfigError, StoreError.

    `threads` encode at once: one where requests are answered meanwhile.
    """
    from semcache.knowledge.opening import open_library
    from semcache.store.frozen_vectors import FrozenVectors

    return open_library(
        directory,
        config.cag.knowledge,
        config.knowledge,
        tokenizer=tokenizer_file(config, progress),
        embedder=embedder,
        freeze=FrozenVectors,
        threads=threads,
    )


def open_known_documents(
    config: Config, directory: Path, embedder: Embedder | None, progress: Progress
) -> Library | None:
    """The library, if there is a folder of documents, or some were added; else None."""
    if config.cag.knowledge is None and not (directory / "knowledge.db").exists():
        return None
    library = open_documents(config, directory, embedder, progress)
    if config.cag.knowledge is None and not any(library.catalog.sources().values()):
        library.close()
        return None
    return library


def tokenizer_file(config: Config, progress: Progress) -> Path:
    """The tokenizer.json of the model that answers; of the encoder where that is another server's.

    Loads no model. Raises ConfigError.
    """
    if "cag" in config.engines:
        found = _model_folder(config, progress) / "tokenizer.json"
        if found.is_file():
            return found
    from semcache.embedding.source import TOKENIZER, find_source

    return find_source(config.encoder.model).folder / TOKENIZER


def _model_folder(config: Config, progress: Progress) -> Path:
    from semcache.cag.network.conversion import converted, packaged_gguf
    from semcache.cag.settings import DEFAULT_MODEL, default_cache_dir

    model = Path(config.cag.model).expanduser()
    if config.cag.model == DEFAULT_MODEL:
        return converted(packaged_gguf(), default_cache_dir(), progress)
    if model.is_file() and model.suffix == ".gguf":
        return converted(model, default_cache_dir(), progress)
    if model.is_dir():
        return model
    from semcache.cag.network.model import locate  # an id on the hub: needs transformers

    return locate(config.cag, default_cache_dir(), progress)
