"""The network with quick kernels against transformers' own, which is the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from semcache.cag.context.probe import choose_sharing
from semcache.cag.context.sharing import SplitSharing
from semcache.cag.lean.folder import lean_parts
from semcache.cag.lean.network import MOST_ROWS, LeanNetwork
from semcache.cag.network.model import LanguageModel
from semcache.cag.opening.quickening import PLAIN, quickened
from semcache.cag.turning.packing import Span
from semcache.cag.turning.together import Together
from tests.cag.grid_models import WIDE, loaded, write_grid_model
from tests.cag.tiny_models import gpt2_config, llama_config, qwen2_config, write_model

SCALE = 1e-3
"""Largest difference of logits, against their own scale."""


@pytest.fixture(scope="module", params=["llama", "qwen2"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights on a grid; with biases, and without."""
    config = {"llama": llama_config, "qwen2": qwen2_config}[request.param]
    place = tmp_path_factory.mktemp(request.param)
    return write_grid_model(place, config(**WIDE, tie_word_embeddings=request.param == "llama"))


@pytest.fixture(scope="module")
def pair(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LanguageModel, LanguageModel, SplitSharing]]:
    plain = loaded(folder)
    sharing = choose_sharing(plain)
    assert isinstance(sharing, SplitSharing)
    quick, kind = quickened(plain, sharing, "exact", tmp_path_factory.mktemp("cache"), _silent)
    assert kind == "exact"
    assert isinstance(quick.network, LeanNetwork)
    with torch.inference_mode():
        yield plain, quick, sharing


def _silent(line: str) -> None:
    return None


def ids(count: int, seed: int = 0) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(3, 384, (count,), generator=generator).tolist()


def assert_near(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= SCALE * float(expected.abs().max())


@pytest.mark.parametrize("rows", [1, 2, 7, MOST_ROWS])
@pytest.mark.parametrize("reused", [40, 25, 0], ids=["whole", "part of it", "none"])
def test_logits_after_a_prefix(
    pair: tuple[LanguageModel, LanguageModel, SplitSharing], rows: int, reused: int
) -> None:
    plain, quick, sharing = pair
    start = sharing.begin(None, 0)
    plain.read(ids(40), sharing.arguments(start))
    prefix = sharing.freeze(ids(40), start)
    logits = []
    for model in (plain, quick):
        cache = sharing.begin(prefix, reused)
        model.read(ids(20, seed=1), sharing.arguments(cache))
        first = model.read_last(ids(rows, seed=2), rows, sharing.arguments(cache))
        then = model.read_last(ids(rows, seed=3), 1, sharing.arguments(cache))
        logits.append(torch.cat((first, then)))
    assert_near(logits[1], logits[0])
    assert not torch.equal(logits[1], logits[0])  # they were computed in another way indeed


def test_a_tail_that_grows_moves_to_other_memory(
    pair: tuple[LanguageModel, LanguageModel, SplitSharing],
) -> None:
    plain, quick, sharing = pair
    caches = [sharing.begin(None, 0) for _ in range(2)]
    for at, token in enumerate(ids(200)):
        found, expected = (
            model.read([token], sharing.arguments(cache))
            for model, cache in zip((quick, plain), caches, strict=True)
        )
        if at % 16 == 15:
            assert_near(found, expected)


def test_requests_that_take_turns_do_not_meet(
    pair: tuple[LanguageModel, LanguageModel, SplitSharing],
) -> None:
    plain, quick, sharing = pair
    runs = []
    for seed, reused in ((1, 30), (2, 30), (3, 0)):
        start = sharing.begin(None, 0)
        plain.read(ids(30, seed), sharing.arguments(start))
        prefix = sharing.freeze(ids(30, seed), start)
        runs.append([sharing.begin(prefix, reused) for _ in range(2)])
    for token in ids(12, seed=4):
        for caches in runs:
            found, expected = (
                model.read([token], sharing.arguments(cache))
                for model, cache in zip((quick, plain), caches, strict=True)
            )
            assert_near(found, expected)


def test_greedy_answers_are_the_same(
    pair: tuple[LanguageModel, LanguageModel, SplitSharing],
) -> None:
    plain, quick, sharing = pair
    for seed in range(10):
        answers = []
        for model in (plain, quick):
            cache = sharing.begin(None, 0)
            logits = model.read(ids(30, seed), sharing.arguments(cache))
            tokens = []
            for _ in range(24):
                tokens.append(int(logits.argmax()))
                logits = model.read_last(tokens[-1:], 1, sharing.arguments(cache))[0]
            answers.append(tokens)
        assert answers[0] == answers[1]


def test_packed_requests_and_drafts(
    pair: tuple[LanguageModel, LanguageModel, SplitSharing],
) -> None:
    plain, quick, sharing = pair
    start = sharing.begin(None, 0)
    plain.read(ids(40), sharing.arguments(start))
    prefix = sharing.freeze(ids(40), start)
    logits = []
    for model in (plain, quick):
        spans = []
        for number, rows in enumerate((1, 4, 2)):
            cache = sharing.begin(prefix, 40)
            model.read(ids(18 + number, number), sharing.arguments(cache))
            spans.append(Span(cache, ids(rows, 9 + number), rows, answers=True))
        together = Together(model, sharing, packs=True)
        logits.append(torch.cat(together.read(spans)))
    assert_near(logits[1], logits[0])
    assert not torch.equal(logits[1], logits[0])


def test_many_rows_are_read_by_the_plain_network(
    pair: tuple[LanguageModel, LanguageModel, SplitSharing],
) -> None:
    plain, quick, sharing = pair
    logits = [
        model.read_last(ids(MOST_ROWS + 1), 1, sharing.arguments(sharing.begin(None, 0)))
        for model in (plain, quick)
    ]
    assert torch.equal(*logits)


def test_threads_are_as_before(
    pair: tuple[LanguageModel, LanguageModel, SplitSharing],
) -> None:
    _, quick, sharing = pair
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        quick.read_last(ids(1), 1, sharing.arguments(sharing.begin(None, 0)))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def answering(folder: Path, weights: str, cache: Path, lines: list[str]) -> tuple[Any, Any, str]:
    plain = loaded(folder)
    sharing = choose_sharing(plain)
    return plain, *quickened(plain, sharing, weights, cache, lines.append)


def test_weights_on_no_grid_are_never_rounded_unasked(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", llama_config(**WIDE))
    plain, model, kind = answering(folder, "exact", tmp_path / "cache", [])
    assert model is plain
    assert kind == PLAIN
    assert not list((tmp_path / "cache").rglob("*.onnx"))


def test_rounded_weights_are_near_and_have_a_name_of_their_own(tmp_path: Path) -> None:
    config = llama_config(**{**WIDE, "initializer_range": 0.1})
    folder = write_model(tmp_path / "model", config)
    plain, model, kind = answering(folder, "int8", tmp_path / "cache", [])
    assert kind == "int8"
    assert model.identity.weights != plain.identity.weights
    sharing = choose_sharing(plain)
    with torch.inference_mode():
        caches = [sharing.begin(None, 0) for _ in range(2)]
        for cache in caches:
            plain.read(ids(30), sharing.arguments(cache))
        own, found = (
            one.read_last(ids(8, 1), 8, sharing.arguments(cache))
            for one, cache in zip((plain, model), caches, strict=True)
        )
    error = float((found - own).norm() / own.norm())
    assert 1e-5 < error < 0.03


@pytest.mark.parametrize(
    ("config", "weights"),
    [(gpt2_config(), "int8"), (llama_config(), "int8"), (llama_config(**WIDE), PLAIN)],
    ids=["another family", "odd widths", "not wanted"],
)
def test_other_networks_stay_as_they_are(tmp_path: Path, config: Any, weights: str) -> None:
    folder = write_model(tmp_path / "model", config)
    plain, model, kind = answering(folder, weights, tmp_path / "cache", [])
    assert model is plain
    assert kind == PLAIN


def test_parts_are_made_once(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = write_grid_model(tmp_path / "model")
    lines: list[str] = []
    for _ in range(2):
        kind = answering(folder, "exact", tmp_path / "cache", lines)[2]
        assert kind == "exact"
    assert len(lines) == 1


def test_parts_that_fail_to_be_made_leave_nothing(tmp_path: Path) -> None:
    class Graph:
        def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
            return b"part"

    def failing() -> Iterator[Any]:
        yield Graph()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        lean_parts(tmp_path, "w", "exact", failing)
    assert [path.suffix for path in (tmp_path / "models").iterdir()] == [".lock"]


def test_damaged_parts_leave_the_plain_network(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_grid_model(tmp_path / "model")
    answering(folder, "exact", tmp_path / "cache", [])
    for path in (tmp_path / "cache").rglob("*.onnx"):
        path.write_bytes(b"not a graph")
    plain, model, kind = answering(folder, "exact", tmp_path / "cache", [])
    assert model is plain
    assert kind == PLAIN
    assert "the plain network decodes" in caplog.text
