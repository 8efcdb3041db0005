"""A fine-tuning from beginning to end: measure, train, measure, write the model and its gate."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from semcache.cag.blocks.places import Sink
from semcache.cag.finetune.base import Base
from semcache.cag.finetune.checkpoint import Checkpoints
from semcache.cag.finetune.evaluation import Score, evaluate, says
from semcache.cag.finetune.examples import Example, Examples
from semcache.cag.finetune.gate import write_gate
from semcache.cag.finetune.masking import Layouts
from semcache.cag.finetune.pairs import Pair, Passage, split
from semcache.cag.finetune.trainable import Trainable
from semcache.cag.finetune.training import Recipe, Tell, train
from semcache.cag.network.identity import identify
from semcache.cag.prompting.plain_format import PLAIN_TEMPLATE
from semcache.errors import ConfigError

REPORT = "finetune.json"
_TEST_PASSAGES = 6


@dataclass(frozen=True, slots=True)
class Wanted:
    """`rank` None: the full model is trained. `test`: how many questions are kept from training.

    `sink`: what blocks are read after, in training as later in the engine.
    """

    out: Path
    steps: int
    learning_rate: float
    rank: int | None
    sink: Sink = "head"
    test: int = 40
    seed: int = 0
    save_every: int = 25


@dataclass(frozen=True, slots=True)
class Report:
    """Scores by name ("full", "blocks"); empty where nothing was kept for the test."""

    before: dict[str, Score]
    after: dict[str, Score]
    losses: tuple[float, ...]


def finetune(
    base: Base,
    passages: Sequence[Passage],
    pairs: Sequence[Pair],
    wanted: Wanted,
    progress: Callable[[str], None],
    tell: Tell,
) -> Report:
    """Train and write `wanted.out`. An interrupted one goes on at its last checkpoint.

    `progress` gets a line for each stage, `tell` each step. Raises ConfigError, OSError.
    """
    if (wanted.out / REPORT).exists():
        raise ConfigError(f"{wanted.out} holds a finished model already: name another folder.")
    training, testing = split(pairs, wanted.test, wanted.seed)
    if not training:
        raise ConfigError("There is nothing to train on: add documents or questions.")
    examples = Examples(
        base.texts, passages, training, base.stop, wanted.seed, room=base.window * 3 // 4
    )
    contexts = examples.testing(testing, _TEST_PASSAGES)
    wanted.out.mkdir(mode=0o700, parents=True, exist_ok=True)
    blocks = Layouts(apart=True, sink=wanted.sink)
    measure = _measuring(base, contexts, blocks, progress)
    trainable = Trainable(base.network, wanted.rank, wanted.seed)
    before = _kept(wanted.out / "before.json", lambda: measure(trainable, "before"))
    recipe = Recipe(wanted.steps, wanted.learning_rate, blocks, wanted.save_every)
    checkpoints = Checkpoints(wanted.out / "checkpoint", _purpose(base, passages, training, wanted))
    teacher = trainable.teacher(any(not pair.labelled for pair in training))
    losses = train(trainable, examples, recipe, teacher, checkpoints, tell)
    trainable.merge()
    after = measure(trainable, "after")
    report = Report(before, after, losses)
    _write(base, wanted, report)
    checkpoints.remove()
    (wanted.out / "before.json").unlink(missing_ok=True)
    return report


def _measuring(
    base: Base,
    contexts: Sequence[tuple[Example, Sequence[Pair]]],
    blocks: Layouts,
    progress: Callable[[str], None],
) -> Callable[[Trainable, str], dict[str, Score]]:
    asked = [pair for _, pairs in contexts for pair in pairs]

    def measure(trainable: Trainable, when: str) -> dict[str, Score]:
        if not asked:
            return {}
        return evaluate(
            trainable.masked,
            [example for example, _ in contexts],
            {"blocks": lambda example: blocks},
            base.asking(),
            lambda number, text: says(text, asked[number].answer),
            lambda done: progress(f"{when}: {done} of {len(asked)} questions"),
        )

    return measure


def _kept(path: Path, measure: Callable[[], dict[str, Score]]) -> dict[str, Score]:
    """Measured once, though training may be interrupted many times."""
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {name: Score(**score) for name, score in kept.items()}
    found = measure()
    path.write_text(json.dumps(_plain(found)), encoding="utf-8")
    return found


def _purpose(base: Base, passages: Sequence[Passage], pairs: Sequence[Pair], wanted: Wanted) -> str:
    """What has to be the same for a training to go on; `out` and saving may change."""
    facts: Any = [
        identify(base.folder, "").weights,
        [passage.text for passage in passages],
        [asdict(pair) for pair in pairs],
        [wanted.steps, wanted.learning_rate, wanted.rank, wanted.sink, wanted.seed],
        base.texts.instruction,
    ]
    return blake2b(json.dumps(facts).encode(), digest_size=32).hexdigest()


def _write(base: Base, wanted: Wanted, report: Report) -> None:
    """The model's folder; the report comes last, so that a folder with one is whole."""
    base.network.save_pretrained(wanted.out)
    base.tokenizer.save_pretrained(wanted.out)
    template = base.tokenizer.chat_template or PLAIN_TEMPLATE
    if report.after:
        weights = identify(wanted.out, template).weights
        blocks = report.after["blocks"]
        write_gate(wanted.out, weights, wanted.sink, report.after["full"], blocks)
    recipe = {**asdict(wanted), "out": wanted.out.name}
    said = {
        "recipe": recipe,
        "before": _plain(report.before),
        "after": _plain(report.after),
        "losses": report.losses,
    }
    (wanted.out / REPORT).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def _plain(scores: dict[str, Score]) -> dict[str, Any]:
    return {name: asdict(score) for name, score in scores.items()}
