"""What holds for every test."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is reached directly, whatever proxy the machine is told to use."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(autouse=True)
def _nobody_owns_the_process() -> Iterator[None]:
    """A test that starts a server here leaves no leave to make a pool of threads for all."""
    yield
    graph = sys.modules.get("semcache.onnx_graph")
    if graph is not None:
        graph._own.clear()
