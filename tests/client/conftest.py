"""A cache over a real store, and a world outside that answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from semcache.cache import SemCache
from semcache.store import LocalStore
from tests.client.talking import answering
from tests.loopback import Loopback


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[SemCache]:
    """Exact matching only: what is like what is not the client's business."""
    made = SemCache(store=LocalStore(tmp_path / "store"))
    yield made
    asyncio.run(made.aclose())


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback(answering) as running:
        yield running
