"""A random BERT with the files of a real one: small enough to be made for each test."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = ("how", "do", "i", "pay", "my", "bill", "who", "wrote", "this", "?", "##s")
WINDOW = 24


def write_tiny_bert(folder: Path) -> Path:
    """Write config.json, model.safetensors and tokenizer.json. The weights are always the same."""
    config = BertConfig(
        vocab_size=len(SPECIAL) + len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=WINDOW,
        initializer_range=0.5,
    )
    torch.manual_seed(7)
    BertModel(config).save_pretrained(folder)
    write_tokenizer(folder / "tokenizer.json")
    return folder


def write_tokenizer(path: Path, words: tuple[str, ...] = WORDS) -> None:
    """A WordPiece tokenizer, with a truncation and a padding that the encoder must undo."""
    vocabulary = {word: at for at, word in enumerate((*SPECIAL, *words))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(path))


def rewrite_config(folder: Path, **changes: object) -> None:
    """Change keys of config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
