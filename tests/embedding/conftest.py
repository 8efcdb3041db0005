"""The packaged encoder, prepared once for all tests, and a tiny BERT to damage at will."""

from __future__ import annotations

from pathlib import Path

import pytest

from semcache.embedding.encoder import SentenceEncoder
from tests.embedding.tiny_bert import write_tiny_bert


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache directory for prepared models."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def encoder(models: Path) -> SentenceEncoder:
    """The default encoder, int8."""
    return SentenceEncoder.open(cache_dir=models)


@pytest.fixture(scope="session")
def plain(models: Path) -> SentenceEncoder:
    """The default encoder in fp32."""
    return SentenceEncoder.open(cache_dir=models, quantize=False)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder with a random BERT of two layers."""
    return write_tiny_bert(tmp_path / "tiny")
