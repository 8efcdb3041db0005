"""Forward passes that several requests share, against a plain forward pass of each alone."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from semcache.cag.context.cascade import merged, part_over
from semcache.cag.context.prefix import Prefix
from semcache.cag.context.probe import choose_sharing
from semcache.cag.context.sharing import Sharing
from semcache.cag.network.model import LanguageModel, load_model
from semcache.cag.settings import CagSettings
from semcache.cag.turning.packed_probe import can_pack
from semcache.cag.turning.packing import LONGEST_TOGETHER, Span
from semcache.cag.turning.together import Together
from tests.cag.asking import Oracle
from tests.cag.tiny_models import (
    VOCABULARY,
    gpt2_config,
    llama_config,
    qwen2_config,
    sliding_config,
    write_model,
)

KINDS = {"llama": llama_config, "qwen2": qwen2_config, "gpt2": gpt2_config}


class Bench:
    """A model, its oracle, and requests that remember what they have read."""

    def __init__(self, folder: Path, packs: bool = True) -> None:
        self.model: LanguageModel = load_model(folder, CagSettings(model=str(folder)))
        self.sharing: Sharing = choose_sharing(self.model)
        self.oracle = Oracle(folder)
        self.together = Together(self.model, self.sharing, packs)
        self.rng = random.Random(4)

    def ids(self, count: int) -> list[int]:
        return [self.rng.randrange(3, VOCABULARY) for _ in range(count)]

    def prefix(self, length: int) -> Prefix:
        ids = self.ids(length)
        cache = self.sharing.begin(None, 0, capacity=length)
        self.model.read(ids, self.sharing.arguments(cache))
        return self.sharing.freeze(ids, cache)

    def request(self, prefix: Prefix | None, question: int) -> Request:
        return Request(self, prefix, self.ids(question))

    def turn(self, *wanted: tuple[Request, int, int]) -> None:
        """One pass of (request, rows, scored); each span's logits are compared with the oracle's.

        A request that decodes reads the tokens that it is told to: the test knows them all.
        """
        spans = []
        for request, rows, scored in wanted:
            tokens = self.ids(rows)
            request.ids += tokens
            spans.append(Span(request.cache, tokens, scored, answers=scored == rows))
        found = self.together.read(spans)
        for (request, _, scored), logits in zip(wanted, found, strict=True):
            assert logits.shape == (scored, VOCABULARY)
            if scored:
                expected = self.oracle.logits(request.ids)[-scored:]
                assert torch.allclose(logits, expected, atol=3e-4, rtol=1e-4)


class Request:
    """A cache, and all tokens that it stands for."""

    def __init__(self, bench: Bench, prefix: Prefix | None, question: list[int]) -> None:
        reused = 0 if prefix is None else len(prefix.ids)
        self.cache: Any = bench.sharing.begin(prefix, reused)
        self.ids = [*(() if prefix is None else prefix.ids), *question]
        if question:
            bench.model.read(question, bench.sharing.arguments(self.cache))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        name: write_model(tmp_path_factory.mktemp(name), config(), template=None)
        for name, config in KINDS.items()
    }


@pytest.fixture
def bench(folders: dict[str, Path]) -> Bench:
    return Bench(folders["llama"])


@pytest.mark.parametrize("name", KINDS)
@torch.inference_mode()
def test_rows_of_many_requests_have_the_logits_of_each_alone(
    folders: dict[str, Path], name: str
) -> None:
    bench = Bench(folders[name])
    assert can_pack(bench.model, bench.sharing)
    one, other = bench.prefix(40), bench.prefix(25)
    a, b, c = (bench.request(one, 3 + at) for at in range(3))
    d, e = bench.request(other, 6), bench.request(None, 9)
    new = bench.request(one, 0)
    bench.turn((a, 1, 1), (d, 1, 1), (b, 1, 1))
    bench.turn((a, 1, 1), (d, 3, 3), (b, 1, 1), (e, 1, 1))
    bench.turn((c, 2, 2), (new, 7, 0), (a, 1, 1), (d, 1, 1), (e, 4, 4))
    bench.turn((c, 1, 1), (new, 5, 1), (e, 1, 1))
    bench.turn((e, 1, 1), (new, 1, 1), (a, 5, 5))


@torch.inference_mode()
def test_requests_join_and_leave_while_their_tails_grow(bench: Bench) -> None:
    prefix = bench.prefix(30)
    running: list[Request] = []
    for step in range(60):
        if step % 4 == 0 and len(running) < 9:
            running.append(bench.request(prefix, 1 + 5 * (step % 7)))
        if step % 11 == 10:
            running.pop(bench.rng.randrange(len(running)))
        bench.rng.shuffle(running)
        sitting_out = running[:1] if step % 5 == 0 and len(running) > 3 else []
        bench.turn(
            *((r, 1 + (step + at) % 3, 1) for at, r in enumerate(running) if r not in sitting_out)
        )


@torch.inference_mode()
def test_what_was_drafted_in_vain_is_forgotten(bench: Bench) -> None:
    prefix = bench.prefix(20)
    a, b = bench.request(prefix, 4), bench.request(prefix, 6)
    for kept in (1, 3, 4, 2):
        bench.turn((a, 4, 4), (b, 1, 1))
        a.cache.cut(a.cache.length - 4 + kept)
        del a.ids[len(a.ids) - 4 + kept :]
    assert a.cache.get_seq_length() == len(a.ids)
    bench.turn((a, 1, 1))
    bench.turn((a, 1, 1), (b, 2, 2))


@torch.inference_mode()
def test_a_copy_of_a_tail_that_lies_with_others_is_its_own(bench: Bench) -> None:
    prefix = bench.prefix(20)
    a, b = bench.request(prefix, 4), bench.request(prefix, 6)
    bench.turn((a, 1, 1), (b, 1, 1))
    c = bench.request(prefix, 0)
    c.cache, c.ids = bench.sharing.copy(a.cache), [*a.ids]
    bench.turn((a, 1, 1), (b, 1, 1), (c, 1, 1))
    bench.turn((c, 2, 2), (a, 1, 1))


@torch.inference_mode()
def test_a_long_tail_attends_alone(folders: dict[str, Path], tmp_path: Path) -> None:
    bench = Bench(write_model(tmp_path, llama_config(max_position_embeddings=1024), template=None))
    prefix = bench.prefix(10)
    long, short = bench.request(prefix, LONGEST_TOGETHER - 1), bench.request(prefix, 5)
    for _ in range(3):
        bench.turn((long, 1, 1), (short, 1, 1))
    assert long.cache.length > LONGEST_TOGETHER
    bench.turn((short, 1, 1), (long, 2, 2))


@torch.inference_mode()
def test_a_failing_pass_leaves_every_cache_as_it_was(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = bench.prefix(20)
    a, b, c = (bench.request(prefix, 4 + at) for at in range(3))
    bench.turn((a, 1, 1), (b, 1, 1))
    last = bench.model.network.model.layers[2]
    forward = last.forward

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(last, "forward", broken)
    lengths = [one.cache.length for one in (a, b, c)]
    with pytest.raises(MemoryError):
        bench.together.read(
            [Span(a.cache, [5], 1), Span(b.cache, [6], 1), Span(c.cache, [7, 8], 0)]
        )
    monkeypatch.setattr(last, "forward", forward)
    assert [one.cache.length for one in (a, b, c)] == lengths
    bench.turn((a, 1, 1), (b, 1, 1), (c, 3, 1))


def test_a_model_with_its_own_attention_is_not_packed(tmp_path: Path) -> None:
    bench = Bench(write_model(tmp_path, sliding_config(), template=None), packs=False)
    assert not can_pack(bench.model, bench.sharing)
    bench.turn((bench.request(None, 5), 1, 1), (bench.request(None, 8), 3, 1))


def test_a_model_whose_packed_logits_are_wrong_is_not_packed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    network = bench.model.network
    forward = network.forward

    def without_positions(*args: Any, position_ids: Any = None, **kwargs: Any) -> Any:
        return forward(*args, **kwargs)

    monkeypatch.setattr(network, "forward", without_positions)
    assert not can_pack(bench.model, bench.sharing)
    assert "one by one" in caplog.text


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("biased", [False, True])
def test_two_parts_make_one_softmax(
    fused: bool, biased: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not fused:
        monkeypatch.setattr("semcache.cag.context.cascade._FUSED", None)
    torch.manual_seed(5)
    query = torch.randn(3, 2, 6, 16)
    keys, values = (torch.randn(3, 2, 30, 16) for _ in range(2))
    bias = torch.zeros(3, 1, 6, 30)
    if biased:
        bias.masked_fill_(torch.rand(3, 1, 6, 30) < 0.4, float("-inf"))
        bias[..., 0] = bias[..., 11] = 0.0
    cut = 11
    found, log_sum = merged(
        part_over(query, keys[:, :, :cut], values[:, :, :cut], 0.2, bias[..., :cut]),
        part_over(query, keys[:, :, cut:], values[:, :, cut:], 0.2, bias[..., cut:]),
    )
    scores = 0.2 * query.double() @ keys.double().transpose(-1, -2) + bias.double()
    assert torch.allclose(found.double(), scores.softmax(-1) @ values.double(), atol=1e-5)
    assert torch.allclose(log_sum.double(), scores.logsumexp(-1, keepdim=True), atol=1e-5)
