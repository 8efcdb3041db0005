"""python -m benchmarks.cag.question_set: over 200 documents, and questions whose answers are known.

Thirteen kinds of documents, each telling one thing (a person, a voyage, a lease …) that no other
document tells of; the same kind comes many times, so a question's document has look-alikes and
strangers around it. All of it follows from the seed. An answer is right if it holds the number,
name, place or cause that the document tells, whatever stands around it.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cag.corpus import outings, tales, trade, workplace
from benchmarks.cag.corpus.drawing import Draft, Kind, draw

KINDS: tuple[Kind, ...] = (
    *workplace.KINDS,
    *trade.KINDS,
    *outings.KINDS,
    *tales.KINDS,
)
DOCUMENTS = 260
SEED = 41


@dataclass(frozen=True, slots=True)
class Document:
    """`name` is its file; `text` is the title, a blank line and the rest."""

    name: str
    kind: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that one document answers; `accepted`: one word of each group must be said.

    `answer` is what the document says, as short as can be.
    """

    question: str
    document: str
    accepted: tuple[tuple[str, ...], ...]
    answer: str = ""

    def is_right(self, answer: str) -> bool:
        """Whole words, whatever their case: 4 is not said by 41."""
        return all(any(_says(answer, word) for word in group) for group in self.accepted)


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Documents in the order of their names, and all questions over them."""

    documents: tuple[Document, ...]
    questions: tuple[Asked, ...]

    def of(self, document: str) -> tuple[Asked, ...]:
        """The questions that a document answers."""
        return tuple(one for one in self.questions if one.document == document)

    def sample(self, questions: int, seed: int = 0) -> tuple[Asked, ...]:
        """Some of the questions, as many of each document as can be."""
        shuffled = random.Random(seed).sample(self.questions, len(self.questions))
        turns: dict[str, int] = {}
        keyed = []
        for at, one in enumerate(shuffled):
            turns[one.document] = turns.get(one.document, 0) + 1
            keyed.append((turns[one.document], at, one))
        return tuple(one for _, _, one in sorted(keyed, key=lambda key: key[:2])[:questions])


def make(
    documents: int = DOCUMENTS, seed: int = SEED, kinds: Sequence[Kind] = KINDS
) -> QuestionSet:
    """The set that follows from the seed; the kinds take turns."""
    rng = random.Random(seed)
    taken: set[str] = set()
    made: list[Document] = []
    asked: list[Asked] = []
    for at in range(documents):
        kind = kinds[at % len(kinds)]
        draft = _new(kind, rng, taken)
        suffix = "md" if rng.random() < 0.5 else "txt"
        name = f"{at:03d}-{_slug(draft.key)}.{suffix}"
        heading = f"# {draft.title}" if suffix == "md" else draft.title
        made.append(Document(name, kind.name, draft.title, f"{heading}\n\n{draft.text}"))
        asked += [Asked(one.text, name, one.accepted, one.answer) for one in draft.questions]
    return QuestionSet(tuple(made), tuple(asked))


def write(questions: QuestionSet, folder: Path) -> None:
    """A folder for `cag.knowledge`: one file for each document."""
    folder.mkdir(parents=True, exist_ok=True)
    for document in questions.documents:
        (folder / document.name).write_text(document.text + "\n", encoding="utf-8")


def _new(kind: Kind, rng: random.Random, taken: set[str]) -> Draft:
    """A document of something that none has told of, nor named."""
    while True:
        draft = draw(kind, rng)
        key = draft.key.lower()
        if not any(key in other or other in key for other in taken):
            taken.add(key)
            return draft


def _says(answer: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?![\w])(?!,\d)", answer, re.I) is not None


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cag.question_set")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for documents/ and questions"
    )
    parser.add_argument("--documents", type=int, default=DOCUMENTS)
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args(argv)
    made = make(args.documents, args.seed)
    write(made, args.out / "documents")
    lines = (
        json.dumps(
            {
                "input": one.question,
                "output": one.answer,
                "document": one.document,
                "accepted": one.accepted,
            }
        )
        for one in made.questions
    )
    (args.out / "questions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(made.documents)} documents, {len(made.questions)} questions in {args.out}")


if __name__ == "__main__":
    main()
