"""Repairs against the model itself: to read all moved tokens again is full attention."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from semcache.cag.blocks.block_probe import proved_rotation
from semcache.cag.blocks.block_store import BlockKeys
from semcache.cag.blocks.places import Place, Sink, block_order, blocks, tree
from semcache.cag.blocks.repair import Repair, Repairing, flattened, repair_of
from semcache.cag.context.probe import choose_sharing
from semcache.cag.context.segments import Context, Segment
from semcache.cag.context.sharing import SplitSharing
from semcache.cag.network.identity import ModelIdentity
from semcache.cag.network.model import load_model
from semcache.cag.settings import CagSettings
from semcache.errors import ConfigError
from tests.cag.tiny_models import VOCABULARY, llama_config, write_model

KEYS = BlockKeys(ModelIdentity("w", "t", "c"), torch.float32, "split")


def _ids(rng: random.Random, count: int) -> tuple[int, ...]:
    return tuple(rng.randrange(3, VOCABULARY) for _ in range(count))


RNG = random.Random(7)
HEAD, TEXTS, TAIL = _ids(RNG, 9), [_ids(RNG, n) for n in (14, 21, 3, 17)], _ids(RNG, 6)
IDS = [token for text in (HEAD, *TEXTS, TAIL) for token in text]


class World:
    """A tiny model, what it makes of places, and the library's own logits."""

    def __init__(self, folder: Path) -> None:
        self.model = load_model(folder, CagSettings(model=str(folder)))
        sharing = choose_sharing(self.model)
        assert isinstance(sharing, SplitSharing)
        rotation = proved_rotation(self.model, sharing)
        assert rotation is not None
        self.sharing, self.rotation = sharing, rotation
        network: Any = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
        with torch.inference_mode():
            self.full: Tensor = network.eval()(torch.tensor([IDS]), use_cache=False).logits[0, -1]

    def segments(self, places: Sequence[Place]) -> list[Segment]:
        """Each place's tokens, read after what it says."""
        made: list[Segment] = []
        for place in places:
            before = Context([made[at].part(0, count) for at, count in place.after])
            cache = self.sharing.after(before, before.length, len(place.ids))
            self.model.read(place.ids, self.sharing.arguments(cache))
            made.append(Segment(self.sharing.freeze(place.ids, cache).layers, place.shift))
        return made

    def logits(self, segments: Sequence[Segment]) -> Tensor:
        """After the tail."""
        context = Context(segments, self.rotation)
        cache = self.sharing.after(context, context.length)
        return self.model.read(TAIL, self.sharing.arguments(cache))

    def repaired(self, spelt: str, chunk: int = 16) -> tuple[Tensor, int]:
        """Logits after a repair, and how many tokens it has read again."""
        repair = repair_of(spelt)
        places = blocks(KEYS, HEAD, TEXTS, repair.sink)
        segments = self.segments(places)
        before = [key.clone() for one in segments for key, _ in one.layers]
        repairing = Repairing(self.model, self.sharing, self.rotation, chunk)
        flat, count = repairing.repaired(repair, places, segments)
        after = [key for one in segments for key, _ in one.layers]
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        return self.logits([flat]), count


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    # Small weights: differences do not explode as they pass through random layers.
    config = llama_config(initializer_range=0.25)
    return World(write_model(tmp_path_factory.mktemp("repair"), config, template=None))


def _distance(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@torch.inference_mode()
def test_a_tree_is_full_attention(world: World) -> None:
    places = tree(KEYS, HEAD, TEXTS)
    assert [place.shift for place in places] == [0] * 5
    assert _distance(world.logits(world.segments(places)), world.full) < 1e-4


@pytest.mark.parametrize("sink", ["none", "sink", "head"])
@torch.inference_mode()
def test_the_best_passage_of_blocks_is_exact(world: World, sink: Sink) -> None:
    places = blocks(KEYS, HEAD, TEXTS, sink)
    exact = tree(KEYS, HEAD, TEXTS)
    assert places[:2] == exact[:2]
    assert [one.ids for one in places] == [one.ids for one in exact]
    starts = [sum(len(one.ids) for one in places[:at]) for at in range(len(places))]
    read_at = {"none": 0, "sink": 4, "head": len(HEAD)}[sink]
    assert [one.shift for one in places[2:]] == [start - read_at for start in starts[2:]]
    assert _distance(world.logits(world.segments(places)), world.full) > 1e-3


@pytest.mark.parametrize("sink", ["none", "sink", "head"])
@pytest.mark.parametrize(("method", "chunk"), [("epic:99", 16), ("blend:1", 16), ("blend:1", 99)])
@torch.inference_mode()
def test_to_read_every_moved_token_again_is_full_attention(
    world: World, sink: str, method: str, chunk: int
) -> None:
    found, count = world.repaired(f"{sink}+{method}", chunk)
    assert count == 21 + 3 + 17
    assert _distance(found, world.full) < 1e-4


@torch.inference_mode()
def test_a_repair_reads_what_it_says(world: World) -> None:
    assert world.repaired("epic:5")[1] == 5 + 3 + 5
    assert world.repaired("blend:0.2")[1] == round(0.2 * 41)
    plain = _distance(world.logits(world.segments(blocks(KEYS, HEAD, TEXTS, "none"))), world.full)
    assert _distance(world.repaired("epic:12")[0], world.full) < plain
    assert _distance(world.repaired("blend:0.8")[0], world.full) < plain


@torch.inference_mode()
def test_blend_reads_the_tokens_whose_values_differ_most(world: World) -> None:
    places = blocks(KEYS, HEAD, TEXTS, "none")
    segments = world.segments(places)
    stored = flattened(segments, world.rotation)
    exact = flattened(world.segments(tree(KEYS, HEAD, TEXTS)), world.rotation)
    difference = (exact.layers[1][1] - stored.layers[1][1]).square().sum(dim=(0, 1, 3))
    expected = set(difference.topk(10).indices.tolist())
    repairing = Repairing(world.model, world.sharing, world.rotation, 16)
    flat, _ = repairing.repaired(Repair("none", "blend", 10 / 41), places, segments)
    moved = (flat.layers[2][1] - stored.layers[2][1]).abs().amax(dim=(0, 1, 3)) > 1e-6
    assert set(moved.nonzero().flatten().tolist()) == expected


@torch.inference_mode()
def test_flattened_keys_are_those_that_the_turned_query_sees(world: World) -> None:
    segments = world.segments(blocks(KEYS, HEAD, TEXTS, "sink"))
    flat = flattened(segments, world.rotation)
    assert _distance(world.logits([flat]), world.logits(segments)) < 1e-5


def test_blocks_share_what_was_read_after_the_same() -> None:
    first = blocks(KEYS, HEAD, TEXTS, "head")
    second = blocks(KEYS, HEAD, TEXTS[::-1], "head")
    assert {one.key for one in first} == {one.key for one in second}
    assert {one.key for one in first} & {one.key for one in tree(KEYS, HEAD, TEXTS)} == {
        one.key for one in first[:2]
    }
    alone = blocks(KEYS, HEAD, TEXTS, "none")
    assert blocks(KEYS, (9, 9), TEXTS, "none")[2:] != alone[2:]  # other places …
    assert [one.key for one in blocks(KEYS, (9, 9), TEXTS, "none")[2:]] == [
        one.key for one in alone[2:]
    ]  # … of the same blocks


def test_the_better_ones_stand_nearer_to_the_question() -> None:
    assert block_order([(1,), (2,), (3,), (4,)]) == [(1,), (4,), (3,), (2,)]
    assert block_order([]) == []


@pytest.mark.parametrize(
    ("spelt", "repair"),
    [
        ("none", Repair()),
        ("sink", Repair("sink")),
        ("head", Repair("head")),
        ("epic:16", Repair("none", "epic", 16)),
        ("blend:0.15", Repair("none", "blend", 0.15)),
        ("head+epic:4", Repair("head", "epic", 4)),
        ("sink+blend:1", Repair("sink", "blend", 1.0)),
    ],
)
def test_a_repair_can_be_spelt(spelt: str, repair: Repair) -> None:
    assert repair_of(spelt) == repair
    assert repair_of(repair.name) == repair


@pytest.mark.parametrize(
    "spelt", ["", "epic", "epic:0", "blend:2", "blend:0.0", "tail", "headepic:4", "sink+", "+"]
)
def test_what_is_no_repair_is_refused(spelt: str) -> None:
    with pytest.raises(ConfigError, match=r"is unknown|read nothing"):
        repair_of(spelt)
