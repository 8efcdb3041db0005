"""Segments against the model itself: eager attention, explicit masks, explicit positions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from transformers import AutoModelForCausalLM

from semcache.cag.blocks.block_probe import proved_rotation
from semcache.cag.context.probe import choose_sharing
from semcache.cag.context.rotation import Rotation
from semcache.cag.context.segments import Context, LayerKV, Segment
from semcache.cag.context.sharing import SplitSharing
from semcache.cag.network.model import LanguageModel, load_model
from semcache.cag.settings import CagSettings
from tests.cag.tiny_models import (
    VOCABULARY,
    gpt2_config,
    llama_config,
    qwen2_config,
    sliding_config,
    write_model,
)

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}


def partial_config() -> Any:
    """Only a quarter of each head is turned, and no layer norm separates attention and MLP."""
    return transformers.GPTNeoXConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=2,
    )


def interleaved_config() -> Any:
    """Neighbouring components are pairs."""
    return transformers.CohereConfig(
        vocab_size=VOCABULARY,
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=0,
        logit_scale=1.0,
        initializer_range=0.3,
    )


TURNED: dict[str, Any] = {
    "llama": llama_config,
    "llama3": lambda: llama_config(rope_parameters=LLAMA3),
    "linear": lambda: llama_config(rope_parameters=LINEAR),
    "qwen2": qwen2_config,
    "partial": partial_config,
    "interleaved": interleaved_config,
}


class Blocks:
    """A model in both forms: ours with its rotation, and the library's with eager attention."""

    def __init__(self, folder: Path) -> None:
        self.model: LanguageModel = load_model(folder, CagSettings(model=str(folder)))
        sharing = choose_sharing(self.model)
        assert isinstance(sharing, SplitSharing)
        self.sharing = sharing
        rotation = proved_rotation(self.model, sharing)
        assert rotation is not None
        self.rotation: Rotation = rotation
        network: Any = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
        self.eager = network.eval()

    def alone(self, ids: Sequence[int], context: Context | None = None) -> tuple[LayerKV, ...]:
        """Keys and values of a block, read by itself or after a context."""
        start = 0 if context is None else context.length
        cache = self.sharing.after(context, start, len(ids))
        self.model.read(ids, self.sharing.arguments(cache))
        return self.sharing.freeze(ids, cache).layers

    def after(self, context: Context, tail: Sequence[int]) -> Tensor:
        """Logits after the tail's first five tokens, and then after each."""
        cache = self.sharing.after(context, context.length)
        logits = [self.model.read(tail[:5], self.sharing.arguments(cache))]
        logits += [self.model.read([t], self.sharing.arguments(cache)) for t in tail[5:]]
        return torch.stack(logits)

    def masked(self, ids: Sequence[int], seen: Tensor, positions: Sequence[int]) -> Tensor:
        """The library's logits where each token sees what `seen` (tokens, tokens) says."""
        mask = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
        logits: Tensor = self.eager(
            input_ids=torch.tensor([list(ids)]),
            attention_mask=mask[None, None],
            position_ids=torch.tensor([list(positions)]),
            use_cache=False,
        ).logits
        return logits[0]


@pytest.fixture(scope="module", params=TURNED)
def blocks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Blocks:
    """Each kind of model that turns its keys."""
    folder = tmp_path_factory.mktemp(request.param)
    return Blocks(write_model(folder, TURNED[request.param](), template=None))


def _ids(rng: random.Random, count: int) -> list[int]:
    return [rng.randrange(3, VOCABULARY) for _ in range(count)]


def _block_mask(lengths: Sequence[int], tail: int) -> Tensor:
    """Block-Attention's mask (arXiv 2409.15355): blocks see themselves, the last sees all."""
    total = sum(lengths) + tail
    seen = torch.zeros(total, total, dtype=torch.bool)
    start = 0
    for length in lengths:
        seen[start : start + length, start : start + length] = True
        start += length
    seen[start:, :] = True
    return seen & torch.ones(total, total, dtype=torch.bool).tril()


def _close(found: Tensor, expected: Tensor) -> None:
    assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()), rtol=1e-4)


@torch.inference_mode()
def test_turned_keys_are_the_keys_computed_there(blocks: Blocks) -> None:
    ids = _ids(random.Random(1), 30)
    here = blocks.alone(ids)
    outputs: Any = blocks.eager(
        input_ids=torch.tensor([ids]),
        position_ids=torch.arange(211, 241)[None],
        attention_mask=torch.zeros(1, 1, 30, 30).masked_fill(
            ~torch.ones(30, 30, dtype=torch.bool).tril(), torch.finfo(torch.float32).min
        ),
        use_cache=True,
    )
    for (key, value), layer in zip(here, outputs.past_key_values.layers, strict=True):
        _close(blocks.rotation.shifted(key, 211), layer.keys)
        _close(value, layer.values)
        assert torch.equal(blocks.rotation.shifted(key, 0), key)


@torch.inference_mode()
def test_one_block_gives_the_models_own_logits(blocks: Blocks) -> None:
    rng = random.Random(2)
    ids, tail = _ids(rng, 40), _ids(rng, 9)
    context = Context([Segment(blocks.alone(ids))])
    expected = blocks.masked(ids + tail, _block_mask([40], 9), range(49))
    _close(blocks.after(context, tail), expected[44:])
    causal = blocks.eager(input_ids=torch.tensor([ids + tail]), use_cache=False).logits[0]
    _close(expected, causal)


@torch.inference_mode()
def test_blocks_are_the_models_own_forward_pass_under_the_block_mask(blocks: Blocks) -> None:
    rng = random.Random(3)
    texts, tail = [_ids(rng, n) for n in (17, 1, 23, 17, 8)], _ids(rng, 11)
    starts = [sum(len(t) for t in texts[:at]) for at in range(len(texts))]
    segments = [
        Segment(blocks.alone(text), start) for text, start in zip(texts, starts, strict=True)
    ]
    found = blocks.after(Context(segments, blocks.rotation), tail)
    ids = [token for text in texts for token in text] + tail
    expected = blocks.masked(ids, _block_mask([len(t) for t in texts], 11), range(len(ids)))
    _close(found, expected[len(ids) - 7 :])


@torch.inference_mode()
def test_blocks_that_saw_the_same_head(blocks: Blocks) -> None:
    rng = random.Random(4)
    head, first, second, tail = (_ids(rng, n) for n in (6, 15, 21, 8))
    shared = Segment(blocks.alone(head))
    alone = [Segment(blocks.alone(text, Context([shared]))) for text in (first, second)]
    moved = Segment(alone[1].layers, shift=15)
    found = blocks.after(Context([shared, alone[0], moved], blocks.rotation), tail)
    # The second block moves together with the head that it saw: a second head stands before it,
    # which nobody else sees.
    ids = [*head, *first, *head, *second, *tail]
    seen = torch.ones(56, 56, dtype=torch.bool).tril()
    seen[21:48, :21] = False
    seen[48:, 21:27] = False
    expected = blocks.masked(ids, seen, [*range(21), *range(15, 50)])
    _close(found, expected[52:])


@torch.inference_mode()
def test_blocks_read_one_after_another_are_full_attention(blocks: Blocks) -> None:
    rng = random.Random(5)
    texts, tail = [_ids(rng, n) for n in (12, 20, 9)], _ids(rng, 10)
    segments: list[Segment] = []
    for text in texts:
        segments.append(Segment(blocks.alone(text, Context(segments) if segments else None)))
    found = blocks.after(Context(segments), tail)
    ids = [token for text in texts for token in text] + tail
    causal = blocks.eager(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    _close(found, causal[len(ids) - 6 :])


@torch.inference_mode()
def test_a_segments_part_stands_where_it_stood(blocks: Blocks) -> None:
    rng = random.Random(6)
    ids, tail = _ids(rng, 30), _ids(rng, 7)
    whole = Segment(blocks.alone(ids))
    context = Context([whole.part(0, 11), whole.part(11, 11), whole.part(11, 30)])
    assert len(context.segments) == 2
    _close(
        blocks.after(context, tail), blocks.masked(ids + tail, _block_mask([30], 7), range(37))[34:]
    )


@pytest.mark.parametrize(
    "config",
    [gpt2_config, lambda: llama_config(rope_parameters=DYNAMIC), sliding_config],
    ids=["absolute", "dynamic", "sliding"],
)
def test_a_model_whose_keys_cannot_be_moved_is_known(config: Any, tmp_path: Path) -> None:
    folder = write_model(tmp_path, config(), template=None)
    model = load_model(folder, CagSettings(model=str(folder)))
    assert proved_rotation(model, choose_sharing(model)) is None


def test_a_wrong_rotation_is_found_out(tmp_path: Path) -> None:
    folder = write_model(tmp_path, template=None)
    model = load_model(folder, CagSettings(model=str(folder)))
    sharing = choose_sharing(model)
    stretched = model.network.model.rotary_emb.inv_freq * 1.01

    class Lying:
        def modules(self) -> list[Any]:
            return [type("R", (), {"inv_freq": stretched, "rope_type": "default"})()]

        config = model.network.config

        def __call__(self, **arguments: Any) -> Any:
            return model.network(**arguments)

    lying: Any = Lying()
    assert proved_rotation(replace(model, network=lying), sharing) is None


def test_a_shifted_segment_needs_the_rotation() -> None:
    layers = ((torch.zeros(1, 1, 2, 4), torch.zeros(1, 1, 2, 4)),)
    with pytest.raises(ValueError, match="rotation"):
        Context([Segment(layers, 3)])
