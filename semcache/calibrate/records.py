"""Labelled pairs from a file: JSON lines, a JSON list or TSV, plain or gzipped.

    {"a", "b", "same_answer", "at"?}          ours
    {"text_a", "text_b", "label", …}          GPTCache's QQP file
    {"origin", "similar", …}                  GPTCache's mock data: every pair shares an answer
    {"score", "wrong", "weight"?, "at"?}      a log of judged lookups, scored already

`at` (also `time`, `timestamp`) is Unix seconds or ISO 8601; `weight` is 1 / the probability with
which the lookup was chosen for checking.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from semcache.errors import ConfigError

_TIMES = ("at", "time", "timestamp")
_PAIRS = (("a", "b", "same_answer"), ("text_a", "text_b", "label"), ("origin", "similar", None))
_TRUE, _FALSE = {"1", "true", "yes"}, {"0", "false", "no"}


@dataclass(frozen=True, slots=True)
class Record:
    """One label. Either the two questions, or, from a log, a `score` (0..1) in their place."""

    wrong: bool
    asked: str = ""
    stored: str = ""
    score: float | None = None
    weight: float = 1.0
    at: float | None = None


def read_records(path: Path) -> list[Record]:
    """All labels of a file. Raises ConfigError, naming the row."""
    try:
        rows = _rows(path)
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror or error}.") from None
    except (ValueError, EOFError, zlib.error) as error:
        raise ConfigError(f"{path} is neither JSON, JSON lines nor TSV: {error}.") from None
    records = [_record(row, f"{path.name}, row {at}") for at, row in enumerate(rows, start=1)]
    if not records:
        raise ConfigError(f"{path} holds no labels.")
    if len({record.score is None for record in records}) > 1:
        raise ConfigError(f"{path} holds pairs and scored lookups: give them one by one.")
    return records


def _rows(path: Path) -> Sequence[object]:
    raw, name = path.read_bytes(), path.name
    if name.endswith(".gz"):
        raw, name = gzip.decompress(raw), name.removesuffix(".gz")
    text = raw.decode("utf-8-sig")
    if name.endswith(".tsv"):
        return list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))
    if text.lstrip().startswith("["):
        rows: list[object] = json.loads(text)
        return rows
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _record(row: object, where: str) -> Record:
    if not isinstance(row, Mapping):
        raise ConfigError(f"{where}: expected an object, for instance {{a, b, same_answer}}.")
    at = _time(row, where)
    weight = _number(row.get("weight", 1.0), f"{where}: 'weight'")
    if weight < 1.0:
        raise ConfigError(f"{where}: 'weight' is 1 / a probability, so at least 1.")
    if "score" in row and "wrong" in row:
        score = _number(row["score"], f"{where}: 'score'")
        if not 0 <= score <= 1:
            raise ConfigError(f"{where}: 'score' lies in 0..1.")
        wrong = _truth(row["wrong"], f"{where}: 'wrong'")
        return Record(wrong, score=score, weight=weight, at=at)
    for a, b, label in _PAIRS:
        if a in row and b in row and (label is None or label in row):
            asked, stored = row[b], row[a]
            if not (isinstance(asked, str) and isinstance(stored, str) and asked and stored):
                raise ConfigError(f"{where}: '{a}' and '{b}' must be texts.")
            same = label is None or _truth(row[label], f"{where}: '{label}'")
            return Record(not same, asked, stored, weight=weight, at=at)
    raise ConfigError(
        f"{where}: expected a/b/same_answer, text_a/text_b/label, origin/similar or score/wrong."
    )


def _truth(value: Any, where: str) -> bool:
    said = str(value).strip().lower()
    if said in _TRUE:
        return True
    if said in _FALSE:
        return False
    raise ConfigError(f"{where} must be true or false, 1 or 0.")


def _number(value: Any, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{where} must be a number.")
    return number


def _time(row: Mapping[str, Any], where: str) -> float | None:
    name = next((name for name in _TIMES if row.get(name) not in (None, "")), None)
    if name is None:
        return None
    value = row[name]
    try:
        return float(value)
    except (TypeError, ValueError):
        pass
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except ValueError:
        raise ConfigError(f"{where}: '{name}' must be Unix seconds or ISO 8601.") from None
