"""A folder with a ready graph of another family: XLM-RoBERTa's shape, its tokenizer, Chinese."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import XLMRobertaConfig, XLMRobertaModel

from semcache.embedding import SentenceEncoder
from semcache.embedding.source import find_source
from semcache.interfaces import Vector

WINDOW = 40
TEXTS = ["退款需要在七天之内申请", "申请退款", "How do I ask for a refund?", "退"]


class _Plain(torch.nn.Module):
    def __init__(self, network: XLMRobertaModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.network(input_ids, attention_mask)[0]
        return states


def _tokenizer() -> Tokenizer:
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=specials, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator([*TEXTS, *TEXTS, "a b c d e f g h i j k l m n o p"], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


@pytest.fixture(scope="module")
def network() -> XLMRobertaModel:
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=200,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=WINDOW + 2,
        type_vocab_size=1,
        pad_token_id=1,
    )
    network = XLMRobertaModel(config, add_pooling_layer=False)
    network.train(False)
    return network


@pytest.fixture(scope="module")
def folder(network: XLMRobertaModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("xlm-r")
    _tokenizer().save(str(folder / "tokenizer.json"))
    network.config.save_pretrained(folder)
    example = torch.tensor([[0, 5, 6, 2]])
    names = {"input_ids": {0: "b", 1: "n"}, "attention_mask": {0: "b", 1: "n"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Plain(network).train(False),
            (example, torch.ones_like(example)),
            str(folder / "model.onnx"),
            input_names=list(names),
            output_names=["last_hidden_state"],
            dynamic_axes={**names, "last_hidden_state": {0: "b", 1: "n"}},
            dynamo=False,
        )
    return folder


def _by_transformers(network: XLMRobertaModel, ids: list[int]) -> Vector:
    with torch.no_grad():
        states = network(torch.tensor([ids])).last_hidden_state[0]
    vector: Vector = torch.nn.functional.normalize(states.mean(0), dim=0).numpy()
    return vector


def test_it_encodes_chinese_as_transformers_does(folder: Path, network: XLMRobertaModel) -> None:
    encoder = SentenceEncoder.open(str(folder))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text, encoded in zip(TEXTS, encoder.encode(TEXTS), strict=True):
        assert encoded.vector is not None
        assert encoded.vector @ _by_transformers(network, tokenizer.encode(text).ids) > 0.99999
        assert encoded.unknown_share < 0.2
    encoder.close()


def test_its_window_leaves_out_the_positions_of_padding(folder: Path) -> None:
    assert find_source(str(folder)).window == WINDOW
    encoder = SentenceEncoder.open(str(folder))
    counts = {}
    for length in range(1, 3 * WINDOW):
        (encoded,) = encoder.encode(["退 " * length])
        counts[encoded.tokens] = encoded.vector is not None
        if encoded.vector is not None:
            assert np.isfinite(encoded.vector).all()
    assert counts == {tokens: tokens <= WINDOW for tokens in counts}
    assert {WINDOW, WINDOW + 1} <= counts.keys() or max(counts) > WINDOW
    encoder.close()
