"""The local store keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from semcache.interfaces import Store
from semcache.store import LocalStore
from tests.store.contract import Fresh, StoreContract
from tests.store.judging_contract import JudgingContract
from tests.store.samples import DIM, EMBEDDER, Clock


@contextmanager
def opening(directory: Path, *, sketches: bool) -> Iterator[Fresh]:
    opened: list[Store] = []

    def open_one() -> Store:
        at = directory / f"store-{len(opened)}"
        store = LocalStore(at, dim=DIM, embedder=EMBEDDER, sketches=sketches, clock=Clock())
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()


class TestLocalStore(StoreContract):
    @pytest.fixture
    def fresh(self, tmp_path: Path) -> Iterator[Fresh]:
        with opening(tmp_path, sketches=False) as fresh:
            yield fresh


class TestLocalStoreOfAJudge(JudgingContract):
    @pytest.fixture
    def fresh(self, tmp_path: Path) -> Iterator[Fresh]:
        with opening(tmp_path, sketches=True) as fresh:
            yield fresh
