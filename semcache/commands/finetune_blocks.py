"""`semcache finetune-blocks OUT`: a model that answers from blocks read apart from each other."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from semcache.cag.settings import CagSettings, default_cache_dir
from semcache.config import Config
from semcache.errors import ConfigError

if TYPE_CHECKING:
    from semcache.cag.finetune.base import Base
    from semcache.cag.finetune.pairs import Pair, Passage
    from semcache.cag.finetune.run import Report, Wanted

_LORA_RATE, _FULL_RATE = 1e-3, 1e-4


def add(commands: Any) -> argparse.ArgumentParser:
    """The command's options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "finetune-blocks", help="train the local model to answer from separate blocks"
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the trained model")
    parser.add_argument("--documents", type=Path, metavar="FOLDER", help="(cag.knowledge)")
    parser.add_argument("--data", type=Path, metavar="FILE", help="JSON lines: input, output")
    parser.add_argument("--steps", type=int, default=200, help="(200)")
    parser.add_argument("--rank", type=int, default=32, help="of LoRA's additions (32)")
    parser.add_argument("--full", action="store_true", help="train all weights, without LoRA")
    parser.add_argument("--lr", type=float, help="(0.001; with --full 0.0001)")
    parser.add_argument("--device", help="cpu, cuda, … (cag.device)")
    parser.add_argument("--sink", choices=("none", "sink", "head"), default="head", help="(head)")
    parser.add_argument("--questions", type=int, default=8, help="made for each passage (8)")
    parser.add_argument("--test", type=int, default=40, help="questions kept to test on (40)")
    parser.add_argument("--seed", type=int, default=0, help="(0)")
    return parser


def run(args: argparse.Namespace, config: Config) -> int:
    """Exit code 0 once the model is written. Raises ConfigError."""
    if min(args.steps, args.rank, args.questions) < 1 or args.test < 0:
        raise ConfigError("'--steps', '--rank' and '--questions' must be at least 1.")
    if args.lr is not None and not 0 < args.lr < 1:
        raise ConfigError("'--lr' must lie between 0 and 1.")
    settings = config.cag if args.device is None else replace(config.cag, device=args.device)
    folder = args.documents or settings.knowledge
    if folder is None and args.data is None:
        raise ConfigError(
            "Name documents ('--documents FOLDER'), questions ('--data FILE') or both."
        )
    from semcache.cag.finetune.base import open_base
    from semcache.cag.finetune.run import Wanted

    base = open_base(settings, default_cache_dir(), _say)
    passages = _passages(folder, base, settings) if folder is not None else []
    pairs = _pairs(args, passages)
    _say(f"{len(passages)} passages, {len(pairs)} questions")
    wanted = Wanted(
        out=args.out,
        steps=args.steps,
        learning_rate=args.lr or (_FULL_RATE if args.full else _LORA_RATE),
        rank=None if args.full else args.rank,
        sink=args.sink,
        test=args.test,
        seed=args.seed,
    )
    print(as_text(_trained(base, passages, pairs, wanted)))
    return 0


def _trained(
    base: Base, passages: Sequence[Passage], pairs: Sequence[Pair], wanted: Wanted
) -> Report:
    from semcache.cag.finetune.run import finetune

    bar = tqdm(total=wanted.steps, desc="training", unit="step", disable=None)

    def tell(done: int, loss: float) -> None:
        bar.update(done - bar.n)
        bar.set_postfix(loss=f"{loss:.3f}")

    try:
        return finetune(base, passages, pairs, wanted, _say, tell)
    except OSError as error:
        raise ConfigError(f"Cannot write {wanted.out}: {error}.") from error
    finally:
        bar.close()


def _passages(folder: Path, base: Base, settings: CagSettings) -> list[Passage]:
    """The documents as the engine would cut them."""
    from semcache.cag.finetune.pairs import Passage
    from semcache.knowledge.loading import DEFAULT_MAX_BYTES, content_of, text_of
    from semcache.knowledge.sources import files_of
    from semcache.knowledge.splitting import Cut, passages_of

    count = base.texts.chat_format.count
    cut = Cut("finetune", count, settings.passage_tokens, 0.0)
    found = []
    for file in files_of(folder, {}):
        path = Path(file.path)
        text = text_of(path, content_of(path, DEFAULT_MAX_BYTES))
        found += [Passage(file.name, one.text) for one in passages_of(file.name, text, cut, count)]
    if not found:
        raise ConfigError(f"No document with text in {folder}: add one.")
    return found


def _pairs(args: argparse.Namespace, passages: Sequence[Passage]) -> list[Pair]:
    """Those of the file; without one, questions made of the passages."""
    from semcache.cag.finetune.pairs import read_pairs
    from semcache.cag.finetune.questions import questions_of

    if args.data is not None:
        return read_pairs(args.data, passages)
    return questions_of(passages, args.questions, args.seed)


def as_text(report: Report) -> str:
    """For people."""
    if not report.after:
        return "trained; nothing was kept to test on, so there is no gate report"
    lines = [f"{'':8}{'full':>8}{'blocks':>8}{'same':>8}{'KL':>8}   (right; blocks like full)"]
    for when, scores in (("before", report.before), ("after", report.after)):
        full, blocks = scores["full"], scores["blocks"]
        lines.append(
            f"{when:8}{full.right:8.3f}{blocks.right:8.3f}{blocks.same:8.3f}"
            f"{blocks.divergence:8.3f}"
        )
    return "\n".join([*lines, f"{report.after['full'].questions} questions"])


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
