"""python -m benchmarks.cag.retrieval: is the passage that answers found, and is none where none is?

Three sets: questions about named things, each in a document of its own among look-alikes
(`question_set`); questions put in quite other words than what answers them (`benchmarks/data`, a
stored question stands for its answer); the same in Chinese, which the packaged encoder does not
read, so that words alone must find. A quarter of the questions have no answer among the documents:
what the relevance floor declines of them, and what it declines wrongly, is told.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cag import question_set
from semcache.config import default_config
from semcache.documents import open_documents
from semcache.installation import open_embedder
from semcache.knowledge.ranking import RELEVANCE_FLOOR
from semcache.retrieval import Found, Retriever

DATA = Path(__file__).parents[1] / "data"


@dataclass(frozen=True, slots=True)
class Set:
    """Documents by name, and (question, the document that answers it or None)."""

    name: str
    documents: dict[str, str]
    questions: list[tuple[str, str | None]]


def named_things(seed: int) -> Set:
    """Each third question of the set, and as many of another set's documents."""
    made = question_set.make(seed=seed)
    others = question_set.make(seed=seed + 1).questions[::9]
    asked: list[tuple[str, str | None]] = [(q.question, q.document) for q in made.questions[::3]]
    asked += [(q.question, None) for q in others]
    return Set("named things", {d.name: d.text for d in made.documents}, asked)


def other_words() -> Set:
    """Paraphrases written far from each other; each fourth has no partner among the documents."""
    documents: dict[str, str] = {}
    asked: list[tuple[str, str | None]] = []
    for at, (name, origin, similar) in enumerate(_pairs()):
        if at % 4:
            documents[name] = origin
        asked.append((similar, name if at % 4 else None))
    return Set("other words", documents, asked)


def _pairs() -> Iterator[tuple[str, str, str]]:
    for path in sorted(DATA.glob("pairs.*.tsv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
        for at, row in enumerate(rows):
            yield f"{path.stem}-{at:04}.txt", row[0], row[1]


def chinese() -> Set:
    """A shop's and an office's rules."""
    rules = json.loads((DATA / "knowledge" / "chinese_rules.json").read_text(encoding="utf-8"))
    return Set(
        "Chinese",
        {f"{name}.txt": text for name, text in rules["documents"].items()},
        [(q, f"{name}.txt" if name else None) for q, name in rules["questions"]],
    )


def measured(one: Set, model: str | None) -> dict[str, object]:
    """Recall, and what the floor does."""
    config = default_config()
    if model is not None:
        config = config.from_mapping({"embedding_config": {"model": model}})
    with tempfile.TemporaryDirectory() as folder:
        docs = Path(folder, "docs")
        docs.mkdir()
        for name, text in one.documents.items():
            (docs / name).write_text(text, encoding="utf-8")
        config = config.with_overrides(data_dir=Path(folder), knowledge=docs)
        embedder = open_embedder(config)
        library = open_documents(config, Path(folder), embedder, lambda line: None)
        try:
            return _figures(one, library.update(lambda line: None))
        finally:
            library.close()
            if embedder is not None:
                embedder.close()


def _figures(one: Set, retriever: Retriever) -> dict[str, object]:
    found = [(document, retriever.search(question, 4)) for question, document in one.questions]
    answered = [(document, best) for document, best in found if document is not None]
    without = [best for document, best in found if document is None]
    return {
        "set": one.name,
        "documents": len(one.documents),
        "questions": len(answered),
        "recall_at_1": _share([_is_in(document, best[:1]) for document, best in answered]),
        "recall_at_4": _share([_is_in(document, best) for document, best in answered]),
        "kept": _share([_top(best) >= RELEVANCE_FLOOR for _, best in answered]),
        "without_answer": len(without),
        "declined": _share([_top(best) < RELEVANCE_FLOOR for best in without]),
    }


def _is_in(document: str, found: Sequence[Found]) -> bool:
    return any(one.passage.document == document for one in found)


def _top(found: Sequence[Found]) -> float:
    return found[0].score if found else 0.0


def _share(these: Sequence[bool]) -> float:
    return round(sum(these) / len(these), 4) if these else 0.0


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cag.retrieval")
    parser.add_argument("--encoder", metavar="FOLDER", help="another one than the packaged")
    parser.add_argument("--seed", type=int, default=7, help="of the set of named things (7)")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    args = parser.parse_args(argv)
    sets = (named_things(args.seed), other_words(), chinese())
    rows = [measured(one, args.encoder) for one in sets]
    for row in rows:
        print(json.dumps(row))
    if args.out is not None:
        args.out.write_text(json.dumps({"floor": RELEVANCE_FLOOR, "sets": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
