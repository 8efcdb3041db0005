"""Fine-tuning for blocks: losses, LoRA, checkpoints, and a whole run with its gate report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from semcache.cag.blocks.gate import read_gate
from semcache.cag.finetune.base import Base, open_base
from semcache.cag.finetune.checkpoint import Checkpoints
from semcache.cag.finetune.evaluation import says
from semcache.cag.finetune.examples import Examples
from semcache.cag.finetune.losses import FULL, step_loss
from semcache.cag.finetune.masking import Layouts
from semcache.cag.finetune.pairs import Pair, Passage, read_pairs, split
from semcache.cag.finetune.questions import questions_of
from semcache.cag.finetune.run import REPORT, Wanted, finetune
from semcache.cag.finetune.trainable import Trainable
from semcache.cag.finetune.training import Recipe, train
from semcache.cag.network.identity import identify
from semcache.cag.network.model import load_model
from semcache.cag.settings import CagSettings
from semcache.errors import ConfigError

PASSAGES = [
    Passage("a.txt", "The kettle\n\nThe kettle in room 7 boils in 4 minutes. Anna keeps it."),
    Passage("b.txt", "The lift\n\nThe lift stops on 12 floors. The key is with Berta Lund."),
    Passage("c.txt", "The gate\n\nThe gate was painted in 1998, and the paint is green."),
    Passage("d.txt", "The garden\n\nThe garden has 31 trees. In May the gardener is Carl."),
]
PAIRS = [
    Pair("How long?", "4 minutes", 0),
    Pair("Who keeps it?", "Anna", 0),
    Pair("How many floors?", "12", 1),
    Pair("Which year?", "1998", 2),
    Pair("How many trees?", "31", 3),
    Pair("Who are you?", "a kettle", None),
]
BLOCKS = Layouts(apart=True)


@pytest.fixture
def base(tiny_llama: Path, tmp_path: Path) -> Base:
    return open_base(CagSettings(model=str(tiny_llama), device="cpu"), tmp_path, lambda line: None)


def examples(base: Base, pairs: list[Pair]) -> Examples:
    return Examples(base.texts, PASSAGES, pairs, base.stop, seed=3)


def no_teacher(*given: Any) -> torch.Tensor:
    raise AssertionError("labels need no teacher")


@pytest.mark.parametrize("rank", [None, 4])
def test_an_untrained_model_is_its_own_teacher(base: Base, rank: int | None) -> None:
    """Distillation begins at zero with full attention, and above it with blocks."""
    unlabelled = questions_of(PASSAGES, 4, seed=0)
    assert not any(pair.labelled for pair in unlabelled)
    trainable = Trainable(base.network, rank, seed=0)
    teacher = trainable.teacher(needed=True)
    example = examples(base, unlabelled).at(0)
    with trainable.masked.in_force(), torch.no_grad():
        wholly = float(step_loss(trainable.masked, example, FULL, teacher))
        assert wholly == pytest.approx(0, abs=1e-5)
        assert float(step_loss(trainable.masked, example, BLOCKS, teacher)) > 1e-3


def test_a_context_fits_its_room(base: Base) -> None:
    passages = [Passage(f"{n}.txt", "The kettle boils. " * 10) for n in range(9)]
    pairs = [Pair("What?", "Tea", n) for n in range(9)]
    block = len(base.texts.block(passages[0].text))
    made = Examples(base.texts, passages, pairs, base.stop, 0, room=2 * block + 20)
    sizes = {len(made.at(step).blocks) for step in range(9)}
    assert sizes == {2}
    assert {len(one.blocks) for one, _ in made.testing(pairs, 6)} == {2}


def test_labels_cost_their_surprise(base: Base) -> None:
    """The oracle: each question by itself through transformers' own forward pass and loss."""
    example = examples(base, PAIRS[:5]).at(0)
    trainable = Trainable(base.network, None, seed=0)
    with trainable.masked.in_force(), torch.no_grad():
        found = float(step_loss(trainable.masked, example, FULL, no_teacher))
    context = [*example.head, *(token for block in example.blocks for token in block)]
    total, count = 0.0, 0
    for question, answer in zip(example.questions, example.answers, strict=True):
        ids = [*context, *question, *answer]
        labels = [-100] * (len(ids) - len(answer)) + list(answer)
        with torch.no_grad():
            loss = base.network(input_ids=torch.tensor([ids]), labels=torch.tensor([labels])).loss
        total, count = total + float(loss) * len(answer), count + len(answer)
    assert found == pytest.approx(total / count, rel=1e-4)


def test_lora_changes_nothing_at_first_and_is_merged_exactly(base: Base) -> None:
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    with torch.no_grad():
        before = base.network(input_ids=ids).logits
        trainable = Trainable(base.network, 4, seed=0)
        torch.testing.assert_close(base.network(input_ids=ids).logits, before)
        names = set(trainable.parameters())
        assert names
        assert all(name.endswith((".up", ".down")) for name in names)
        for parameter in trainable.parameters().values():
            parameter.add_(0.05)
        changed = base.network(input_ids=ids).logits
        assert float((changed - before).abs().max()) > 1e-2
        trainable.merge()
        torch.testing.assert_close(base.network(input_ids=ids).logits, changed, rtol=0, atol=1e-4)


@pytest.mark.parametrize("rank", [None, 8])
def test_training_lowers_the_loss(base: Base, rank: int | None, tmp_path: Path) -> None:
    trainable = Trainable(base.network, rank, seed=0)
    recipe = Recipe(40, 2e-2, BLOCKS, save_every=100)
    checkpoints = Checkpoints(tmp_path / "checkpoint", "x")
    losses = train(trainable, examples(base, PAIRS[:3]), recipe, no_teacher, checkpoints, told())
    assert sum(losses[-6:]) < 0.6 * sum(losses[:6])


@pytest.mark.parametrize("rank", [None, 4])
def test_a_killed_training_goes_on_as_if_nothing_had_been(
    tiny_llama: Path, tmp_path: Path, rank: int | None
) -> None:
    def trained(folder: str, stop_at: int | None) -> dict[str, torch.Tensor]:
        settings = CagSettings(model=str(tiny_llama), device="cpu")
        base = open_base(settings, tmp_path, lambda line: None)
        trainable = Trainable(base.network, rank, seed=0)
        recipe = Recipe(6, 1e-3, BLOCKS, save_every=2)
        checkpoints = Checkpoints(tmp_path / folder, "the same")
        train(trainable, examples(base, PAIRS), recipe, no_teacher, checkpoints, told(stop_at))
        return {n: p.detach().clone() for n, p in trainable.parameters().items()}

    whole = trained("whole", None)
    with pytest.raises(KeyboardInterrupt):
        trained("killed", stop_at=5)
    assert json.loads((tmp_path / "killed" / "state.json").read_text())["steps"] == 4
    resumed = trained("killed", None)
    for name, parameter in whole.items():
        torch.testing.assert_close(resumed[name], parameter, rtol=0, atol=0)


def test_a_checkpoint_of_another_training_is_refused(base: Base, tmp_path: Path) -> None:
    trainable = Trainable(base.network, 4, seed=0)
    recipe = Recipe(1, 1e-3, BLOCKS)
    folder = tmp_path / "checkpoint"
    train(trainable, examples(base, PAIRS), recipe, no_teacher, Checkpoints(folder, "a"), told())
    with pytest.raises(ConfigError, match="another training"):
        train(
            trainable, examples(base, PAIRS), recipe, no_teacher, Checkpoints(folder, "b"), told()
        )
    (folder / "trained.safetensors").write_bytes(b"broken")
    with pytest.raises(ConfigError, match="cannot be read"):
        train(
            trainable, examples(base, PAIRS), recipe, no_teacher, Checkpoints(folder, "a"), told()
        )


def test_a_run_writes_a_model_that_the_engine_loads_and_its_gate(
    base: Base, tmp_path: Path
) -> None:
    out = tmp_path / "trained"
    wanted = Wanted(out, steps=4, learning_rate=1e-3, rank=4, test=2, save_every=2)
    lines: list[str] = []
    report = finetune(base, PASSAGES, PAIRS[:5], wanted, lines.append, told())
    assert len(report.losses) == 4
    assert report.before["full"].same == report.after["full"].same == 1.0
    assert report.after["blocks"].questions > 0
    assert any("before" in line for line in lines)
    assert not (out / "checkpoint").exists()
    model = load_model(out, CagSettings(model=str(out), device="cpu"))
    gate = read_gate(out, model.identity.weights)
    assert gate is not None
    assert (gate.repair, gate.questions) == ("head", report.after["blocks"].questions)
    assert gate.agreement == report.after["blocks"].same
    assert model.identity.weights != identify(base.folder, "").weights
    assert len(json.loads((out / REPORT).read_text())["losses"]) == 4
    with pytest.raises(ConfigError, match="finished"):
        finetune(base, PASSAGES, PAIRS[:5], wanted, lines.append, told())


def test_pairs_are_read_and_refused_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    rows: list[dict[str, Any]] = [
        {"input": "How many floors?", "output": "12", "document": "b.txt"},
        {"input": "Hello", "output": "Good day"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    assert read_pairs(path, PASSAGES) == [
        Pair("How many floors?", "12", 1),
        Pair("Hello", "Good day", None),
    ]
    for bad in ('{"input": "a"}', "[]", "{", '{"input": "a", "output": "b", "document": "z"}'):
        path.write_text('{"input": "a", "output": "b"}\n' + bad, encoding="utf-8")
        with pytest.raises(ConfigError, match="line 2"):
            read_pairs(path, PASSAGES)


def test_no_passage_is_trained_and_tested_on() -> None:
    training, testing = split(questions_of(PASSAGES, 5, seed=0), 4, seed=1)
    assert testing
    assert {p.passage for p in training} & {p.passage for p in testing} == set()


def test_questions_need_their_passage() -> None:
    made = questions_of(PASSAGES, 8, seed=0)
    assert made == questions_of(PASSAGES, 8, seed=0)
    assert {pair.passage for pair in made} == set(range(len(PASSAGES)))
    for pair in made:
        assert pair.passage is not None
        assert pair.answer in " ".join(PASSAGES[pair.passage].text.split())
        assert pair.answer not in pair.question
    chinese = Passage("zh.md", "手册\n\n该设备于2023年投入使用，每天运行12小时，由李明负责。")
    drawn = {p.answer for seed in range(9) for p in questions_of([chinese], 9, seed)}
    assert {"2023", "12"} <= drawn


def test_whole_words_are_said() -> None:
    assert says("It takes 4  minutes.", "4 minutes")
    assert not says("It takes 14 minutes.", "4 minutes")


def told(stop_at: int | None = None) -> Callable[[int, float], None]:
    def tell(done: int, loss: float) -> None:
        if done == stop_at:
            raise KeyboardInterrupt

    return tell
