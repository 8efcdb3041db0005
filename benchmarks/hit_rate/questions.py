"""What the benchmark asks: read from our own data, or from files in GPTCache's formats.

A case is a question put into the cache (or none) and a question asked of it:

- a paraphrase: `stored` and `asked` share an answer; a hit on `stored` is right;
- a trap: they look alike and must not share one; any hit is wrong;
- unseen: nothing was stored for it; any hit is wrong.

Formats, told apart by their fields: `origin/similar` (GPTCache's mock data), `text_a/text_b/label`
(GPTCache's QQP file; TSV traps carry `category` in place of `label`), `a/b/same_answer`,
`question`. Files are JSON, JSON lines or TSV with a header, plain or gzipped.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

OWN_DATA = Path(__file__).resolve().parent.parent / "data"

Kind = Literal["paraphrase", "trap", "unseen"]


@dataclass(frozen=True, slots=True)
class Case:
    """One question asked, and the question stored for it (None: nothing)."""

    kind: Kind
    asked: str
    stored: str | None
    category: str


def read_cases(path: Path) -> list[Case]:
    """All cases of a file, or of every data file in a folder. Raises ValueError, naming the row."""
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix in {".tsv", ".json", ".jsonl", ".gz"})
        alone = [file for file in files if file.stem != "conversations"]  # not single questions
        return [case for file in alone for case in read_cases(file)]
    rows = _rows(path)
    return [_case(row, f"{path.name}, row {at}", path) for at, row in enumerate(rows, start=1)]


def _rows(path: Path) -> Iterable[Mapping[str, Any]]:
    raw = path.read_bytes()
    name = path.name
    if name.endswith(".gz"):
        raw, name = gzip.decompress(raw), name.removesuffix(".gz")
    text = raw.decode("utf-8")
    if name.endswith(".tsv"):
        return list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    rows: list[Mapping[str, Any]] = json.loads(text)
    return rows


def _case(row: Mapping[str, Any], where: str, path: Path) -> Case:
    domain = path.name.split(".")[1] if path.name.count(".") > 1 else path.stem
    if "origin" in row:
        return Case("paraphrase", row["similar"], row["origin"], domain)
    if "question" in row:
        return Case("unseen", row["question"], None, domain)
    if "text_a" in row:
        same = str(row.get("label", "0")).strip().lower() in {"1", "1.0", "true"}
        return _pair(row["text_a"], row["text_b"], same, row.get("category") or domain)
    if "same_answer" in row:
        return _pair(row["a"], row["b"], bool(row["same_answer"]), row.get("category") or domain)
    raise ValueError(f"{where}: none of the known formats; fields are {', '.join(row)}")


def _pair(stored: str, asked: str, same: bool, category: str) -> Case:
    return Case("paraphrase" if same else "trap", asked, stored, category)
