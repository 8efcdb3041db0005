"""The graph against the same network in PyTorch, and what its int8 form keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from tokenizers import Tokenizer
from transformers import AutoModel

from semcache.embedding.artefact import prepare
from semcache.embedding.encoder import SentenceEncoder
from semcache.embedding.graph import quantize_columns
from semcache.embedding.source import DEFAULT_MODEL, find_source

SENTENCES = [
    "How do I reset the password of my online account?",
    "Can I cancel my flight and get a refund within 24 hours",
    "What is the capital of France?",
    "Which medicine helps against a headache when I am pregnant?",
    "My order 4411 has not arrived, and nobody answers the phone since Tuesday evening.",
    "hi",
    "Explain the difference between a list and a tuple in Python, with one short example each.",
]


@pytest.fixture(scope="module")
def reference() -> NDArray[np.float32]:
    """Unit sentence vectors (7, 384) by transformers, one text at a time."""
    folder = find_source(DEFAULT_MODEL).folder
    network = AutoModel.from_pretrained(folder)
    rows = []
    with torch.no_grad():
        for ids in _ids(folder):
            tokens = network(torch.tensor([ids])).last_hidden_state[0]
            rows.append(torch.nn.functional.normalize(tokens.mean(0), dim=0).numpy())
    return np.stack(rows)


def _ids(folder: Path) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    return [tokenizer.encode(text).ids for text in SENTENCES]


def _vectors(encoder: SentenceEncoder) -> NDArray[np.float32]:
    return np.stack([one.vector for one in encoder.encode(SENTENCES) if one.vector is not None])


def test_plain_graph_is_the_network_of_transformers(
    plain: SentenceEncoder, reference: NDArray[np.float32]
) -> None:
    cosines = (_vectors(plain) * reference).sum(axis=1)
    assert cosines.min() >= 0.99999


def test_int8_graph_keeps_the_directions(
    encoder: SentenceEncoder, reference: NDArray[np.float32]
) -> None:
    cosines = (_vectors(encoder) * reference).sum(axis=1)
    a_word = SENTENCES.index("hi")
    sentences = np.delete(cosines, a_word)
    assert sentences.min() >= 0.99
    assert sentences.mean() >= 0.995
    # One word is the hardest case: no other token's error to average with.
    assert cosines[a_word] >= 0.985


def test_token_vectors_come_from_the_same_pass_and_padding_changes_none(models: Path) -> None:
    source = find_source(DEFAULT_MODEL)
    artefact = prepare(source, models, quantize=False, say=print)
    session = onnxruntime.InferenceSession(str(artefact.model), providers=["CPUExecutionProvider"])
    rows = _ids(source.folder)
    ids = np.zeros((len(rows), max(map(len, rows)) + 3), dtype=np.int64)
    mask = np.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, : len(row)], mask[at, : len(row)] = row, 1
    tokens = session.run(["last_hidden_state"], {"input_ids": ids, "attention_mask": mask})[0]

    network = AutoModel.from_pretrained(source.folder)
    with torch.no_grad():
        for at, row in enumerate(rows):
            alone = network(torch.tensor([row])).last_hidden_state[0].numpy()
            np.testing.assert_allclose(tokens[at, : len(row)], alone, atol=1e-4)


def test_columns_are_quantized_each_by_its_own_scale() -> None:
    kernel = np.random.default_rng(1).normal(size=(40, 9)).astype(np.float32)
    kernel *= np.logspace(-3, 3, 9, dtype=np.float32)
    kernel[:, 4] = 0
    columns, scale = quantize_columns(kernel)
    assert columns.dtype == np.int8
    assert (np.abs(columns * scale - kernel) <= scale * 0.5001).all()


def test_int8_sums_fit_sixteen_bits_on_every_processor(
    encoder: SentenceEncoder, models: Path
) -> None:
    """Two products of an input (to 255) and a weight are added in 16 bits without VNNI."""
    graph = onnx.load(models / encoder.fingerprint / "model.onnx").graph
    kernels = [numpy_helper.to_array(c) for c in graph.initializer if c.data_type == 3]
    assert len(kernels) == 4 * 6
    assert max(2 * 255 * int(np.abs(kernel.astype(int)).max()) for kernel in kernels) < 2**15
