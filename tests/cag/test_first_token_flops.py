"""Operations counted from a network's shape, against those that torch counts as it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from benchmarks.cag.first_token import QUESTION, arithmetic
from benchmarks.cag.flops import LLAMA_8B, Shape


@pytest.mark.parametrize("read", [1, 7, 60])
def test_operations_of_a_prompt(tiny_llama: Path, read: int) -> None:
    """torch counts the whole square of scores, also what a causal mask hides."""
    network: Any = AutoModelForCausalLM.from_pretrained(tiny_llama, attn_implementation="eager")
    shape = Shape.of(network.config)
    ids = torch.ones(1, read, dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(input_ids=ids, use_cache=False, logits_to_keep=1)
    hidden = read * (read - 1) // 2
    mixing = 4 * shape.heads * shape.head_dim * shape.layers
    assert counter.get_total_flops() == shape.first_token(read, 0) + hidden * mixing


def test_what_was_read_before_is_attended_to_and_not_read() -> None:
    shape = Shape(2, 8, 16, 2, 1, 4, 100)
    whole, first = shape.first_token(30, 0), shape.first_token(20, 0)
    logits = 2 * shape.hidden * shape.vocabulary
    assert whole - first == shape.first_token(10, 20) - logits
    assert shape.kv_bytes(10, 4) == 2 * 2 * 1 * 4 * 10 * 4


def test_a_question_after_32k_takes_a_five_hundredth_of_the_operations() -> None:
    found = arithmetic(LLAMA_8B, 32_768)
    assert found["flop_ratio"] < 0.003
    assert QUESTION == 50
