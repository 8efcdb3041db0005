"""Plans against the model's own forward pass, and against reading each block for itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from semcache.cag.blocks.places import SINK_TOKENS
from semcache.cag.finetune.answering import greedy
from semcache.cag.finetune.masked_network import MaskedNetwork
from semcache.cag.finetune.masking import Layouts, plan
from semcache.errors import ConfigError
from tests.cag.tiny_models import VOCABULARY, gpt2_config, llama_config, qwen2_config, write_model

HEAD = [5, 9, 13, 21, 34, 55]
BLOCKS = [[7, 11, 19, 23, 29], [31, 37, 41], [43, 47, 53, 59, 61, 67]]
ENDINGS = [[71, 73, 79, 83], [89, 97]]


def loaded(folder: Path) -> MaskedNetwork:
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    network.eval()  # type: ignore[no-untyped-call]
    return MaskedNetwork(network.requires_grad_(False))


@pytest.fixture(scope="module")
def masked(tiny_llama: Path) -> MaskedNetwork:
    return loaded(tiny_llama)


def last_logits(masked: MaskedNetwork, how: Layouts) -> Tensor:
    made = plan(HEAD, BLOCKS, ENDINGS, how)
    lasts = [start + len(e) - 1 for start, e in zip(made.starts, ENDINGS, strict=True)]
    with masked.in_force():
        return masked.logits(made, lasts)


def joined() -> list[int]:
    return [*HEAD, *(token for block in BLOCKS for token in block)]


@pytest.mark.parametrize("config", [llama_config(), qwen2_config()])
def test_full_attention_is_the_models_own(tmp_path: Path, config: object) -> None:
    masked = loaded(write_model(tmp_path, config))
    found = last_logits(masked, Layouts())
    for row, ending in zip(found, ENDINGS, strict=True):
        ids = torch.tensor([[*joined(), *ending]])
        expected = masked.network(input_ids=ids).logits[0, -1]
        torch.testing.assert_close(row, expected, rtol=0, atol=1e-6)


def test_rereading_all_of_every_block_is_full_attention(masked: MaskedNetwork) -> None:
    for sink in ("none", "sink", "head"):
        found = last_logits(masked, Layouts(apart=True, sink=sink, reread=100))
        torch.testing.assert_close(found, last_logits(masked, Layouts()), rtol=0, atol=1e-4)


@pytest.mark.parametrize("sink", ["none", "sink", "head"])
def test_blocks_are_what_separate_readings_give(masked: MaskedNetwork, sink: str) -> None:
    """The oracle: transformers' own cache, filled block by block, keys turned by hand."""
    from transformers import DynamicCache

    seen = {"none": 0, "sink": SINK_TOKENS, "head": len(HEAD)}[sink]
    network = masked.network
    cache: Any = DynamicCache()
    network(input_ids=torch.tensor([[*HEAD, *BLOCKS[0]]]), past_key_values=cache)
    place = len(HEAD) + len(BLOCKS[0])
    for block in BLOCKS[1:]:
        own: Any = DynamicCache()
        network(input_ids=torch.tensor([[*HEAD[:seen], *block]]), past_key_values=own)
        for mine, layer in zip(cache.layers, own.layers, strict=True):
            keys = masked.rotation.shifted(layer.keys[:, :, seen:], place - seen)
            mine.keys = torch.cat((mine.keys, keys.to(mine.keys.dtype)), dim=2)
            mine.values = torch.cat((mine.values, layer.values[:, :, seen:]), dim=2)
        place += len(block)
    found = last_logits(masked, Layouts(apart=True, sink=sink))  # type: ignore[arg-type]
    expected = network(
        input_ids=torch.tensor([ENDINGS[0]]),
        position_ids=torch.arange(place, place + len(ENDINGS[0]))[None],
        past_key_values=cache,
    ).logits[0, -1]
    torch.testing.assert_close(found[0], expected, rtol=0, atol=1e-4)


def test_each_way_of_reading_makes_a_difference(masked: MaskedNetwork) -> None:
    ways = [
        Layouts(),
        Layouts(apart=True, sink="none"),
        Layouts(apart=True, sink="sink"),
        Layouts(apart=True, sink="head"),
        Layouts(apart=True, sink="head", turned=False),
        Layouts(apart=True, sink="head", reread=2),
    ]
    logits = [last_logits(masked, how) for how in ways]
    for at, one in enumerate(logits):
        assert all(float((one - other).abs().max()) > 1e-3 for other in logits[:at])


def test_endings_do_not_see_each_other(masked: MaskedNetwork) -> None:
    how = Layouts(apart=True)
    alone = plan(HEAD, BLOCKS, ENDINGS[1:], how)
    with masked.in_force():
        expected = masked.logits(alone, [alone.starts[0] + 1])
    torch.testing.assert_close(last_logits(masked, how)[1:], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("how", [Layouts(), Layouts(apart=True), Layouts(apart=True, reread=2)])
def test_greedy_answers_are_those_of_growing_endings(masked: MaskedNetwork, how: Layouts) -> None:
    """The oracle decodes each question alone, over the whole plan again for every token."""
    expected = []
    with masked.in_force():
        for ending in ENDINGS:
            answer: list[int] = []
            for _ in range(6):
                made = plan(HEAD, BLOCKS, [[*ending, *answer]], how)
                answer.append(int(masked.logits(made, [len(made.ids) - 1]).argmax()))
            expected.append(answer)
        assert greedy(masked, HEAD, BLOCKS, ENDINGS, how, (), 6) == expected
        stop = expected[0][3]
        stopped = greedy(masked, HEAD, BLOCKS, ENDINGS, how, {stop}, 6)
    for found, whole in zip(stopped, expected, strict=True):
        assert found == whole[: whole.index(stop) if stop in whole else 6]


def test_the_network_is_left_as_it_was(masked: MaskedNetwork) -> None:
    before = masked.network.config._attn_implementation
    last_logits(masked, Layouts())
    assert masked.network.config._attn_implementation == before


def test_a_network_without_rotary_positions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rotary"):
        loaded(write_model(tmp_path, gpt2_config()))


def test_the_ids_of_the_tests_are_the_vocabularys() -> None:
    assert max(joined()) < VOCABULARY
