"""Labelled pairs of questions: read, and parted so that no question is on both sides."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Pair:
    """The question asked, the question answered before, and whether one answer serves both."""

    asked: str
    answered: str
    same: bool
    category: str = ""


def read_pairs(path: Path) -> list[Pair]:
    """JSON lines `{"a", "b", "same_answer", "category"?}`, plain or gzipped.

    Raises ValueError with the line where one is not of this form.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        return [_pair(line, f"{path}, line {at}") for at, line in enumerate(lines, start=1)]


def _pair(line: str, where: str) -> Pair:
    try:
        row: dict[str, Any] = json.loads(line)
        asked, answered, same = row["a"], row["b"], row["same_answer"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{where}: give {{"a", "b", "same_answer"}} as JSON') from error
    if not (isinstance(asked, str) and isinstance(answered, str) and isinstance(same, bool)):
        raise ValueError(f"{where}: a and b are texts, same_answer is true or false")
    return Pair(asked, answered, same, str(row.get("category") or ""))


def disjoint_parts(pairs: Sequence[Pair], shares: Sequence[float], seed: int) -> list[list[Pair]]:
    """Parts of about these shares; two pairs with a question in common are in one part."""
    parent: dict[str, str] = {}

    def root(text: str) -> str:
        parent.setdefault(text, text)
        while parent[text] != text:
            parent[text] = parent[parent[text]]
            text = parent[text]
        return text

    for pair in pairs:
        parent[root(pair.asked)] = root(pair.answered)
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(root(pair.asked), []).append(pair)
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    parts: list[list[Pair]] = [[] for _ in shares]
    for name in order:
        fill = [len(part) / (share * len(pairs)) for part, share in zip(parts, shares, strict=True)]
        parts[fill.index(min(fill))].extend(groups[name])
    return parts
