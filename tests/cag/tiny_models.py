"""Tiny random models with a tokenizer of their own, written to a folder: nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    + CHATML
)
CORPUS = (
    "The kettle in room seven boils in four minutes. The lift stops on every second floor.\n"
    "Which floor has the kettle? The kettle is on the seventh floor, and the lift stops there.\n"
    "The garden gate is green. Anna keeps the key of the gate. Who keeps the key? Anna does.\n"
) * 4
VOCABULARY = 384

_SMALL: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "initializer_range": 0.6,
}


def tiny_tokenizer(template: str | None) -> PreTrainedTokenizerFast:
    """A byte-level BPE of 384 tokens, trained on three sentences."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([CORPUS], trainer)
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|im_end|>"
    )
    fast.chat_template = template
    return fast


def llama_config(**changes: Any) -> Any:
    """Three query heads to a key-value head."""
    return transformers.LlamaConfig(**{**_SMALL, **changes})


def qwen2_config(**changes: Any) -> Any:
    """Biases in the projections."""
    return transformers.Qwen2Config(**{**_SMALL, **changes})


def gpt2_config(**changes: Any) -> Any:
    """Learned absolute positions, no GQA."""
    return transformers.GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=48,
        n_layer=3,
        n_head=4,
        n_positions=512,
        bos_token_id=0,
        eos_token_id=2,
        initializer_range=0.3,
        **changes,
    )


def sliding_config(**changes: Any) -> Any:
    """Every layer sees the last 16 tokens only."""
    return transformers.MistralConfig(**{**_SMALL, "sliding_window": 16, **changes})


def capped_config(**changes: Any) -> Any:
    """Soft-capped attention scores in alternating full and sliding layers."""
    return transformers.Gemma2Config(
        **{**_SMALL, "head_dim": 8, "sliding_window": 16, "query_pre_attn_scalar": 8, **changes}
    )


def write_model(
    folder: Path, config: Any | None = None, *, template: str | None = CHATML, seed: int = 0
) -> Path:
    """A model with random weights, saved as Hugging Face saves them."""
    torch.manual_seed(seed)
    auto: Any = transformers.AutoModelForCausalLM
    network = auto.from_config(config or llama_config())
    network.save_pretrained(folder)
    tiny_tokenizer(template).save_pretrained(folder)
    return folder


def write_documents(folder: Path, **texts: str) -> Path:
    """A knowledge folder: name=text becomes name.txt."""
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder
