"""Every test of the data manager runs over a store in memory and over the durable one.

Importing StoreDataManager here, before any test module imports gptcache, makes that import safe.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from semcache.gptcache import StoreDataManager
from semcache.store import LocalStore
from tests.gptcache.memory_store import MemoryStore
from tests.gptcache.plane import DIM, OpenStore


@pytest.fixture(params=["memory", "local"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    if request.param == "memory":
        return MemoryStore
    return lambda: LocalStore(tmp_path / "answers", dim=DIM, embedder="plane")


@pytest.fixture
def manager(open_store: OpenStore) -> Iterator[StoreDataManager]:
    made = StoreDataManager(open_store(), embedder="plane")
    yield made
    made.close()
