"""Models that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import torch

from semcache.cag.engine import CagEngine
from semcache.cag.settings import CagSettings
from semcache.interfaces import Embedder
from semcache.knowledge.library import Library
from tests.cag.asking import library_of
from tests.cag.tiny_models import write_documents, write_model

MakeEngine: TypeAlias = Callable[..., CagEngine]

KETTLE = "The kettle in room seven boils in four minutes.\nThe lift stops on every second floor."


@pytest.fixture(scope="session", autouse=True)
def _quiet_cores() -> Iterator[None]:
    """Tiny matrices gain nothing from more threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def anyio_backend() -> str:
    """Coroutine tests run on asyncio, as the engine does."""
    return "asyncio"


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random Llama with a ChatML template."""
    return write_model(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def knowledge(tmp_path: Path) -> Path:
    """A folder with two short documents."""
    return write_documents(tmp_path / "knowledge", a=KETTLE, b="Anna keeps the key of the gate.")


@pytest.fixture
def make_engine(tmp_path: Path, tiny_llama: Path, knowledge: Path) -> Iterator[MakeEngine]:
    """Loaded engines that are closed at the end; the tiny Llama unless told otherwise."""
    made: list[CagEngine] = []
    libraries: list[Library] = []

    def make(embedder: Embedder | None = None, **settings: Any) -> CagEngine:
        given = {
            "model": str(tiny_llama),
            "names": ("tiny",),
            "knowledge": knowledge,
            "threads": 1,
            "reserve_tokens": 32,
            "max_tokens": 24,
            "prefill_chunk": 16,
            **settings,
        }
        chosen, data = CagSettings(**given), tmp_path / "data"
        library = library_of(chosen, data, Path(str(given["model"])), embedder)
        engine = CagEngine(chosen, data_dir=data, cache_dir=tmp_path, library=library)
        made.append(engine)
        if library is not None:
            libraries.append(library)
        engine.load()
        return engine

    yield make
    for engine in made:
        engine.close()
    for library in libraries:
        library.close()
