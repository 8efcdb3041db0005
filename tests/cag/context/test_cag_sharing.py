"""Logits from a shared prefix against a plain forward pass, for every kind of model."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from semcache.cag.context.attention import prefix_attention
from semcache.cag.context.prefix import Prefix, shared_length
from semcache.cag.context.probe import choose_sharing
from semcache.cag.context.segments import Context, Segment
from semcache.cag.context.sharing import Sharing
from semcache.cag.network.model import LanguageModel, load_model
from semcache.cag.settings import CagSettings
from tests.cag.asking import Oracle
from tests.cag.tiny_models import (
    VOCABULARY,
    capped_config,
    gpt2_config,
    llama_config,
    qwen2_config,
    sliding_config,
    write_model,
)

KINDS: dict[str, tuple[Any, str]] = {
    "llama": (llama_config, "split"),
    "qwen2": (qwen2_config, "split"),
    "gpt2": (gpt2_config, "split"),
    "sliding": (sliding_config, "fork"),
    "capped": (capped_config, "fork"),
}


@pytest.fixture(scope="module", params=KINDS)
def kind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, LanguageModel, Sharing, Oracle]:
    """A model of each kind, how it is shared, and its oracle."""
    config, expected = KINDS[request.param]
    folder = write_model(tmp_path_factory.mktemp(request.param), config(), template=None)
    model = load_model(folder, CagSettings(model=str(folder)))
    return expected, model, choose_sharing(model), Oracle(folder)


def _read_prefix(model: LanguageModel, sharing: Sharing, ids: list[int]) -> Prefix:
    cache = sharing.begin(None, 0, capacity=len(ids))
    for at in range(0, len(ids), 9):
        model.read(ids[at : at + 9], sharing.arguments(cache))
    return sharing.freeze(ids, cache)


def _after(
    model: LanguageModel, sharing: Sharing, prefix: Prefix | None, reused: int, rest: list[int]
) -> torch.Tensor:
    """Logits after each of the rest: a chunk of five, then token by token."""
    cache = sharing.begin(prefix, reused)
    logits = [model.read(rest[:5], sharing.arguments(cache))]
    logits += [model.read([token], sharing.arguments(cache)) for token in rest[5:]]
    return torch.stack(logits)


@torch.inference_mode()
def test_the_prefix_gives_the_logits_of_a_plain_forward_pass(
    kind: tuple[str, LanguageModel, Sharing, Oracle],
) -> None:
    expected_way, model, sharing, oracle = kind
    rng = random.Random(1)
    ids = [rng.randrange(3, VOCABULARY) for _ in range(75)]
    prefix = _read_prefix(model, sharing, ids[:50])
    frozen = [(key.clone(), value.clone()) for key, value in prefix.layers]
    found = _after(model, sharing, prefix, 50, ids[50:])
    assert sharing.name == expected_way
    assert torch.allclose(found, oracle.logits(ids)[54:], atol=2e-4, rtol=1e-4)
    assert all(
        torch.equal(now, then)
        for pair, before in zip(prefix.layers, frozen, strict=True)
        for now, then in zip(pair, before, strict=True)
    )


@torch.inference_mode()
def test_two_requests_on_one_prefix_never_see_each_other(
    kind: tuple[str, LanguageModel, Sharing, Oracle],
) -> None:
    _, model, sharing, oracle = kind
    rng = random.Random(2)
    ids = [rng.randrange(3, VOCABULARY) for _ in range(30)]
    tails = [[rng.randrange(3, VOCABULARY) for _ in range(12)] for _ in range(3)]
    prefix = _read_prefix(model, sharing, ids)
    caches = [sharing.begin(prefix, len(ids)) for _ in tails]
    for at in range(12):
        found = [
            model.read([tail[at]], sharing.arguments(cache))
            for tail, cache in zip(tails, caches, strict=True)
        ]
    for tail, last in zip(tails, found, strict=True):
        assert torch.allclose(last, oracle.logits([*ids, *tail])[-1], atol=2e-4, rtol=1e-4)


@torch.inference_mode()
def test_a_copied_tail_goes_its_own_way(
    kind: tuple[str, LanguageModel, Sharing, Oracle],
) -> None:
    _, model, sharing, oracle = kind
    prefix = _read_prefix(model, sharing, list(range(10, 40)))
    cache = sharing.begin(prefix, 30)
    model.read([50, 51], sharing.arguments(cache))
    copy = sharing.copy(cache)
    for token in (60, 61, 62):
        model.read([token], sharing.arguments(cache))
    found = model.read([70], sharing.arguments(copy))
    expected = oracle.logits([*range(10, 40), 50, 51, 70])[-1]
    assert torch.allclose(found, expected, atol=2e-4, rtol=1e-4)


@torch.inference_mode()
def test_a_restored_prefix_is_the_prefix(
    kind: tuple[str, LanguageModel, Sharing, Oracle],
) -> None:
    _, model, sharing, _ = kind
    prefix = _read_prefix(model, sharing, list(range(10, 60)))
    restored = sharing.restore(prefix.ids, prefix.layers)
    rest = list(range(100, 112))
    assert torch.equal(
        _after(model, sharing, prefix, 50, rest), _after(model, sharing, restored, 50, rest)
    )


@torch.inference_mode()
def test_a_leading_part_of_a_split_prefix_can_be_used(tiny_llama: Path) -> None:
    model = load_model(tiny_llama, CagSettings(model=str(tiny_llama)))
    sharing, oracle = choose_sharing(model), Oracle(tiny_llama)
    prefix = _read_prefix(model, sharing, list(range(10, 60)))
    rest = [200, 201, 202, 203, 204, 205]
    found = _after(model, sharing, prefix, 20, rest)
    expected = oracle.logits([*range(10, 30), *rest])[-2:]
    assert torch.allclose(found, expected, atol=2e-4, rtol=1e-4)


def test_shared_length_leaves_a_token_to_read() -> None:
    prefix = Prefix((1, 2, 3), ())
    assert shared_length([1, 2, 3, 4], prefix) == 3
    assert shared_length([1, 2, 3], prefix) == 2
    assert shared_length([1, 2], prefix) == 1
    assert shared_length([1, 9, 3, 4], prefix) == 1
    assert shared_length([9, 2, 3], prefix) == 0
    assert shared_length([1, 2, 3, 4], None) == 0


@pytest.mark.parametrize("asked", [1, 4])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_attention_is_a_causal_softmax_over_prefix_and_tail(asked: int, groups: int) -> None:
    torch.manual_seed(asked * groups)
    heads, dim, before, seen = 6, 8, 11, 7
    query = torch.randn(1, heads, asked, dim)
    prefix = (torch.randn(1, groups, before, dim), torch.randn(1, groups, before, dim))
    tail = (torch.randn(1, groups, seen, dim), torch.randn(1, groups, seen, dim))

    class Layer:
        layer_idx = 1

    found, _ = prefix_attention(
        Layer(),
        query,
        *tail,
        None,
        scaling=0.3,
        shared_prefix=Context([Segment((prefix[::-1], prefix))]),
    )
    for head in range(heads):
        group = head * groups // heads
        for at in range(asked):
            visible = before + seen - asked + at + 1
            keys, values = (
                torch.cat((a[0, group], b[0, group]))[:visible].double()
                for a, b in zip(prefix, tail, strict=True)
            )
            weights = torch.softmax(0.3 * keys @ query[0, head, at].double(), 0)
            assert torch.allclose(found[0, at, head].double(), weights @ values, atol=1e-5)


@pytest.mark.parametrize("wish", ["softcap", "s_aux", "sliding_window"])
def test_attention_refuses_what_it_does_not_know(wish: str) -> None:
    states = torch.zeros(1, 1, 1, 4)
    wished: dict[str, Any] = {wish: 1}
    with pytest.raises(ValueError, match="not a plain causal softmax"):
        prefix_attention(None, states, states, states, None, **wished)
