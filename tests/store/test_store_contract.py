"""The local store keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from semcache.interfaces import Store
from semcache.store import LocalStore
from tests.store.contract import Fresh, StoreContract
from tests.store.samples import DIM, EMBEDDER, Clock


class TestLocalStore(StoreContract):
    @pytest.fixture
    def fresh(self, tmp_path: Path) -> Iterator[Fresh]:
        opened: list[Store] = []

        def open_one() -> Store:
            directory = tmp_path / f"store-{len(opened)}"
            opened.append(LocalStore(directory, dim=DIM, embedder=EMBEDDER, clock=Clock()))
            return opened[-1]

        yield open_one
        for store in opened:
            store.close()
