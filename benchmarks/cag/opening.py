"""A local engine over a folder of documents, with the library that reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from semcache.cag.engine import CagEngine
from semcache.cag.settings import CagSettings
from semcache.config import Config
from semcache.documents import open_documents
from semcache.interfaces import Embedder


@contextmanager
def engine_over(
    settings: CagSettings, data_dir: Path, embedder: Embedder | None = None
) -> Iterator[CagEngine]:
    """The engine, loaded; closed with its library at the end. Without a folder, no library."""
    data_dir.mkdir(exist_ok=True)
    library = None
    if settings.knowledge is not None:
        named = {"model": settings.model, "knowledge": str(settings.knowledge)}
        config = Config.from_mapping({"cag": named})
        library = open_documents(config, data_dir, embedder, _silent)
    engine = CagEngine(settings, data_dir=data_dir, library=library)
    try:
        engine.load()
        yield engine
    finally:
        engine.close()
        if library is not None:
            library.close()


def _silent(line: str) -> None:
    return None
