"""Questions with their answers and passages: what a model is trained and tested on."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from semcache.errors import ConfigError

_MOST_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Passage:
    """A text that one block holds; `document` is the name of the file that it comes from."""

    document: str
    text: str


@dataclass(frozen=True, slots=True)
class Pair:
    """`passage` is the number of the passage that answers, or None: no documents are needed.

    `labelled`: the answer is the user's own, to be learnt word by word. Otherwise it is a text
    over which the model keeps the probabilities that it has with full attention.
    """

    question: str
    answer: str
    passage: int | None
    labelled: bool = True


def read_pairs(path: Path, passages: Sequence[Passage]) -> list[Pair]:
    """JSON lines with `input`, `output` and, if a document answers, its `document` (file name).

    Raises ConfigError, with the line's number.
    """
    by_name: dict[str, list[int]] = {}
    for number, passage in enumerate(passages):
        by_name.setdefault(passage.document, []).append(number)
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read {path}: {error}.") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            found.append(_pair(line, f"{path}, line {number}", passages, by_name))
    if not found:
        raise ConfigError(f"{path} holds no questions: write one JSON object on each line.")
    return found


def split(pairs: Sequence[Pair], test: int, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Pairs to train on and at most `test` to test on, no passage in both; without passages by lot.

    Never more than a third of the passages are kept for the test.
    """
    groups: dict[int, list[Pair]] = {}
    for at, pair in enumerate(pairs):
        groups.setdefault(-1 - at if pair.passage is None else pair.passage, []).append(pair)
    order = sorted(groups)
    random.Random(seed).shuffle(order)  # noqa: S311 - which pairs test is no secret
    kept: list[Pair] = []
    for key in order[: len(order) // 3]:
        if len(kept) >= test:
            break
        kept += groups[key][: test - len(kept)]
        del groups[key]
    return [pair for key in sorted(groups) for pair in groups[key]], kept


def _pair(
    line: str, where: str, passages: Sequence[Passage], by_name: dict[str, list[int]]
) -> Pair:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where} is not JSON: {error}.") from None
    question, answer = (row.get(name) if isinstance(row, dict) else None for name in _FIELDS)
    for text in (question, answer):
        if not isinstance(text, str) or not text.strip() or len(text) > _MOST_CHARACTERS:
            raise ConfigError(f"{where}: 'input' and 'output' must be texts, not empty.")
    name = row.get("document")
    if name is None:
        return Pair(str(question), str(answer), None)
    if name not in by_name:
        raise ConfigError(f"{where}: no document '{name}' in the folder of documents.")
    return Pair(str(question), str(answer), _telling(str(answer), by_name[name], passages))


_FIELDS = ("input", "output")


def _telling(answer: str, numbers: Iterable[int], passages: Sequence[Passage]) -> int:
    """The document's passage that holds the answer, or else its first."""
    candidates = list(numbers)
    wanted = answer.lower()
    return next((n for n in candidates if wanted in passages[n].text.lower()), candidates[0])
