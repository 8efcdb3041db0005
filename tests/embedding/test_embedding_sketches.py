"""Sketches of the encoder: whose tokens, whose vectors, and for which texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer
from transformers import AutoModel

from semcache.embedding.encoder import SentenceEncoder
from semcache.embedding.graph import build_graph
from semcache.embedding.source import DEFAULT_MODEL, find_source
from semcache.interfaces import Encoded
from semcache.sketch import MAX_TOKENS, Sketch
from tests.embedding.test_embedding_encoder import MIXED


@pytest.fixture(scope="module")
def sketching(models: Path) -> Iterator[SentenceEncoder]:
    """The default encoder, int8, with sketches."""
    encoder = SentenceEncoder.open(cache_dir=models, sketches=True)
    yield encoder
    encoder.close()


def sketch_of(one: Encoded) -> Sketch:
    assert one.sketch is not None
    return one.sketch


def units(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def test_vectors_are_those_of_transformers_without_the_special_tokens(models: Path) -> None:
    folder = find_source(DEFAULT_MODEL).folder
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    network = AutoModel.from_pretrained(folder)
    encoder = SentenceEncoder.open(cache_dir=models, quantize=False, sketches=True)
    for one, text in zip(encoder.encode(MIXED), MIXED, strict=True):
        ids = tokenizer.encode(text).ids
        with torch.no_grad():
            true = network(torch.tensor([ids])).last_hidden_state[0, 1:-1].numpy()
        sketch = sketch_of(one)
        assert sketch.ids.tolist() == ids[1:-1]
        assert sketch.vectors().shape == (len(ids) - 2, 384)
        np.testing.assert_allclose(sketch.vectors(), units(true), atol=0.003)
    encoder.close()


def test_a_sketch_does_not_depend_on_the_texts_beside_it(sketching: SentenceEncoder) -> None:
    alone = [sketch_of(sketching.encode([text])[0]) for text in MIXED]
    for at, one in enumerate(sketching.encode(MIXED * 3)):
        expected = alone[at % len(MIXED)]
        assert np.array_equal(sketch_of(one).ids, expected.ids)
        # What is computed differs by 1e-5; where that is on an edge, a row is rounded by one more.
        np.testing.assert_allclose(sketch_of(one).vectors(), expected.vectors(), atol=0.004)


def test_sketches_change_no_vector_and_are_not_made_unasked(
    encoder: SentenceEncoder, sketching: SentenceEncoder
) -> None:
    assert sketching.fingerprint == encoder.fingerprint
    for with_one, without in zip(sketching.encode(MIXED), encoder.encode(MIXED), strict=True):
        assert with_one.vector is not None
        assert without.vector is not None
        assert np.array_equal(with_one.vector, without.vector)
        assert without.sketch is None


def test_a_text_of_too_many_tokens_has_a_vector_and_no_sketch(sketching: SentenceEncoder) -> None:
    words = [MAX_TOKENS, MAX_TOKENS + 1, 0, 300]
    fits, exceeds, empty, beyond = sketching.encode([" ".join(["word"] * n) for n in words])
    assert sketch_of(fits).ids.shape == (MAX_TOKENS,)
    assert exceeds.vector is not None
    assert exceeds.sketch is None
    assert sketch_of(empty).rows.shape == (0, 384)
    assert (beyond.vector, beyond.sketch) == (None, None)


def test_a_ready_graph_gives_the_sketches_of_its_token_vectors(tiny: Path, tmp_path: Path) -> None:
    text = "how do i pay my bills?"
    own = SentenceEncoder.open(str(tiny), cache_dir=tmp_path / "own", quantize=False, sketches=True)
    expected = sketch_of(own.encode([text])[0])
    assert expected.ids.tolist() == [4, 5, 6, 7, 8, 9, 14, 13]
    config = json.loads((tiny / "config.json").read_text())
    model = build_graph(load_file(tiny / "model.safetensors"), config, quantize=False)
    del model.graph.output[0]
    onnx.save(model, tiny / "model.onnx")
    (tiny / "model.safetensors").unlink()
    ready = SentenceEncoder.open(str(tiny), cache_dir=tmp_path / "ready", sketches=True)
    found = sketch_of(ready.encode([text])[0])
    assert found.ids.tolist() == expected.ids.tolist()
    np.testing.assert_allclose(found.vectors(), expected.vectors(), atol=0.01)
