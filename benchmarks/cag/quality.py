"""python -m benchmarks.cag.quality: what answering from blocks costs in accuracy, and what helps.

The question set's documents, six to a prompt, two questions about each, asked side by side; greedy
answers under explicit masks (`semcache.cag.finetune.masking`), so that every way of reading is the
same arithmetic but for what is seen. Reported for each way: right answers; answers in the very
words of full attention; KL divergence from it, over the tokens of its answers. An exact prefix is
full attention (whole and tree modes are token-identical), so it has no row of its own.

Documents stand in any order. With `--best-first`, one question is asked of each prompt, and the
document that answers it comes first, where it is exact in every mode.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.cag.deviation import deviating
from benchmarks.cag.question_set import SEED, Asked, Document, QuestionSet, make
from semcache.cag.blocks.repair import repair_of
from semcache.cag.finetune.base import Base, open_base
from semcache.cag.finetune.evaluation import Score, Way, evaluate
from semcache.cag.finetune.examples import Example
from semcache.cag.finetune.masked_network import MaskedNetwork
from semcache.cag.finetune.masking import Layouts
from semcache.cag.settings import CagSettings, default_cache_dir

STALE = "not re-encoded"
WAYS = (STALE, "none", "sink", "head", "epic:16", "head+epic:16", "blend:0.15", "head+blend:0.15")


@dataclass(frozen=True, slots=True)
class Context:
    """A prompt's documents and the questions on it."""

    documents: tuple[Document, ...]
    asked: tuple[Asked, ...]


def contexts_of(
    questions: QuestionSet, count: int, *, best_first: bool = False, seed: int = 0
) -> list[Context]:
    """Contexts of six documents for about `count` questions: twelve each, or one each."""
    rng = random.Random(seed)
    documents = list(questions.documents)
    found: list[Context] = []
    if best_first:
        by_name = {one.name: one for one in documents}
        for asked in questions.sample(count, seed):
            best = by_name[asked.document]
            others = rng.sample([one for one in documents if one is not best], 5)
            found.append(Context((best, *others), (asked,)))
        return found
    rng.shuffle(documents)
    at = 0
    while sum(len(one.asked) for one in found) < count and at + 6 <= len(documents):
        chosen = tuple(documents[at : at + 6])
        asked_here = [one for d in chosen for one in rng.sample(questions.of(d.name), 2)]
        found.append(Context(chosen, tuple(asked_here)))
        at += 6
    return found


def example_of(base: Base, context: Context) -> Example:
    """Its token ids; nothing in it is learnt."""
    texts = base.texts
    questions = tuple(tuple(texts.ending(one.question)) for one in context.asked)
    return Example(
        head=tuple(texts.head()),
        blocks=tuple(tuple(texts.block(one.text)) for one in context.documents),
        questions=questions,
        answers=((),) * len(questions),
        labelled=(False,) * len(questions),
    )


def way_of(name: str, network: MaskedNetwork) -> Way:
    """By the name that the engine's `cag.repair` has for it."""
    if name == STALE:
        return partial(_always, Layouts(apart=True, sink="none", turned=False))
    repair = repair_of(name)
    how = Layouts(apart=True, sink=repair.sink)
    if repair.method == "blend":
        return lambda context: deviating(network, context, how, repair.amount)
    if repair.method == "epic":
        how = Layouts(apart=True, sink=repair.sink, reread=int(repair.amount))
    return partial(_always, how)


def _always(how: Layouts, context: Example) -> Layouts:
    return how


def measure(base: Base, contexts: Sequence[Context], ways: Sequence[str]) -> dict[str, Score]:
    """The score of full attention and of each way."""
    network = MaskedNetwork(base.network)
    asked = [one for context in contexts for one in context.asked]
    with tqdm(total=len(asked), desc="questions", disable=None) as bar:
        return evaluate(
            network,
            [example_of(base, context) for context in contexts],
            {name: way_of(name, network) for name in ways},
            base.asking(),
            lambda number, text: asked[number].is_right(text),
            lambda done: bar_to(bar, done),
        )


def bar_to(bar: Any, done: int) -> None:
    """Move a progress bar."""
    bar.update(done - bar.n)


def kinds_of(contexts: Sequence[Context]) -> list[str]:
    """The kind of the document behind each question."""
    kinds = {one.name: one.kind for context in contexts for one in context.documents}
    return [kinds[one.document] for context in contexts for one in context.asked]


def show(scores: Mapping[str, Mapping[str, Any]]) -> None:
    """The table for people."""
    print(f"\n{'':18}{'right':>8}{'same answer':>13}{'KL':>8}")
    for name, score in scores.items():
        print(f"{name:18}{score['right']:8.3f}{score['same']:13.3f}{score['divergence']:8.3f}")
    print()


def result_of(
    model: str | None,
    questions: int,
    ways: Sequence[str] = WAYS,
    *,
    best_first: bool = False,
    seed: int = SEED,
    device: str = "auto",
) -> dict[str, Any]:
    """What a model scores, for JSON; `model` None is the default one."""
    settings = CagSettings(device=device)
    if model is not None:
        settings = replace(settings, model=model)
    base = open_base(settings, default_cache_dir(), lambda line: None)
    base.network.requires_grad_(False)
    contexts = contexts_of(make(seed=seed), questions, best_first=best_first)
    scores = measure(base, contexts, ways)
    return {
        "model": settings.short_name,
        "best_first": best_first,
        "kinds": kinds_of(contexts),
        "scores": {name: asdict(score) for name, score in scores.items()},
    }


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cag.quality", description=__doc__)
    parser.add_argument("--model", help="another than the default, for instance a fine-tuned one")
    parser.add_argument("--questions", type=int, default=240)
    parser.add_argument("--ways", nargs="*", default=WAYS, help="as cag.repair spells them")
    parser.add_argument("--best-first", action="store_true")
    parser.add_argument("--seed", type=int, default=SEED, help="of the question set")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="a JSON file")
    args = parser.parse_args(argv)
    result = result_of(
        args.model,
        args.questions,
        args.ways,
        best_first=args.best_first,
        seed=args.seed,
        device=args.device,
    )
    show(result["scores"])
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
