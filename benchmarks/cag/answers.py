"""python -m benchmarks.cag.answers: is what the local engine says right?

Questions on documents written for this project, with the words that a right answer must hold; the
settings that are meant to help a small model, on and off. One greedy answer each, so a difference
of one or two questions means little.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.cag.opening import engine_over
from semcache.cag.engine import CagEngine
from semcache.cag.settings import CagSettings
from semcache.chat import text_request
from semcache.completion import collect
from semcache.embedding import SentenceEncoder
from semcache.interfaces import Embedder

DATA = Path(__file__).resolve().parents[1] / "data"
REPORTS = DATA / "reports"
SETTINGS: dict[str, dict[str, bool]] = {
    "all in one prefix": {"passages": False, "spell_out": False},
    "the same, spelt out": {"passages": False, "spell_out": True},
    "nearest passage": {"passages": True, "spell_out": False},
    "the same, spelt out ": {"passages": True, "spell_out": True},
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and what a right answer holds: one of the words of each group."""

    question: str
    groups: tuple[tuple[str, ...], ...]

    def is_right(self, answer: str) -> bool:
        """Whether every group is there; case does not matter."""
        said = answer.lower()
        return all(any(word.lower() in said for word in group) for group in self.groups)


def read_questions(path: Path) -> list[Asked]:
    """From the table; the first line is a heading."""
    asked = []
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        question, _, words = line.partition("\t")
        groups = tuple(tuple(group.strip().split("|")) for group in words.split(";"))
        asked.append(Asked(question, groups))
    return asked


async def _say(engine: CagEngine, question: str) -> str:
    request = text_request(question, tenant="bench", model="semcache")
    return collect([chunk async for chunk in engine.answer(request)]).text


def answered(
    settings: CagSettings, questions: Sequence[Asked], data_dir: Path, embedder: Embedder
) -> list[str]:
    """The engine's answers, in order."""
    with engine_over(settings, data_dir, embedder) as engine:
        shown = tqdm(questions, desc="asking", disable=None, leave=False)
        return [asyncio.run(_say(engine, asked.question)) for asked in shown]


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cag.answers", description=__doc__)
    parser.add_argument("--knowledge", type=Path, default=REPORTS, help="folder of .txt and .md")
    parser.add_argument("--questions", type=Path, default=DATA / "report_questions.tsv")
    parser.add_argument("--model", help="another than the default")
    parser.add_argument("--instruction", help="another than the default")
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--show", action="store_true", help="print every answer")
    args = parser.parse_args(argv)
    questions = read_questions(args.questions)
    given = {n: v for n in ("model", "instruction") if (v := getattr(args, n)) is not None}
    embedder = SentenceEncoder.open()
    result: dict[str, Any] = {"questions": len(questions), "right": {}}
    print(f"\n{len(questions)} questions\n")
    with tempfile.TemporaryDirectory() as folder:
        for name, options in SETTINGS.items():
            values: dict[str, Any] = {**given, **options}
            settings = CagSettings(knowledge=args.knowledge, max_tokens=args.max_tokens, **values)
            answers = answered(settings, questions, Path(folder), embedder)
            right = [asked.is_right(said) for asked, said in zip(questions, answers, strict=True)]
            result["right"][name] = sum(right)
            print(f"{name:20}{sum(right):4d} right")
            if args.show:
                for asked, said, good in zip(questions, answers, right, strict=True):
                    print(f"  {'+' if good else '-'} {asked.question}\n      {said!r}")
    embedder.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
