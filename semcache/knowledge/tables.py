"""CSV and JSON as text that a model can read piece by piece: a row, or a record, says it all.

A row far down a table means nothing without the names of its columns, so each value stands with
its name: `city: Rome; population: 2.8 million`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from semcache.errors import UnreadableDocument

_NUMBER = re.compile(r"[-+]?[\d.,]+%?")
_SAMPLE_CHARS = 65_536
_DELIMITERS = ",;\t|"


def from_csv(name: str, text: str) -> str:
    """A line a row. The first row names the columns, unless it looks like data."""
    try:
        rows = [
            row for row in csv.reader(io.StringIO(text), _dialect(text)) if any(map(_said, row))
        ]
    except csv.Error as error:
        raise UnreadableDocument(f"{name} cannot be read as CSV: {error}.") from None
    if len(rows) < 2 or not _is_header(rows[0]):
        return "\n".join(" | ".join(cell.strip() for cell in row) for row in rows)
    return "\n".join(_record(rows[0], row) for row in rows[1:])


def from_json(name: str, text: str) -> str:
    """A paragraph for each record of a list; elsewhere a line a value, under its dotted name."""
    try:
        return _joined(list(_paragraphs(json.loads(text))))
    except RecursionError:
        raise UnreadableDocument(f"{name} is nested too deeply to be read.") from None
    except ValueError as error:
        raise UnreadableDocument(f"{name} cannot be read as JSON: {error}.") from None


def from_json_lines(name: str, text: str) -> str:
    """A paragraph for each line."""
    lines = [line for line in text.splitlines() if line.strip()]
    return _joined([from_json(f"{name}, line {at}", line) for at, line in enumerate(lines, 1)])


def _joined(records: Sequence[str]) -> str:
    """A blank line between two, if one of them has several lines."""
    return ("\n\n" if any("\n" in record for record in records) else "\n").join(records).strip()


def _dialect(text: str) -> type[csv.Dialect]:
    try:
        return csv.Sniffer().sniff(text[:_SAMPLE_CHARS], _DELIMITERS)
    except csv.Error:
        return csv.excel


def _is_header(row: Sequence[str]) -> bool:
    cells = [cell.strip() for cell in row]
    return (
        all(cells)
        and len(set(cells)) == len(cells)
        and not any(_NUMBER.fullmatch(cell) for cell in cells)
    )


def _record(names: Sequence[str], row: Sequence[str]) -> str:
    pairs = [
        f"{column.strip()}: {cell.strip()}"
        for column, cell in zip(names, row, strict=False)
        if _said(cell)
    ]
    return "; ".join([*pairs, *(cell.strip() for cell in row[len(names) :] if _said(cell))])


def _said(cell: str) -> bool:
    return bool(cell.strip())


def _paragraphs(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for record in value:
            yield "\n".join(_lines(record, ""))
    else:
        yield "\n".join(_lines(value, ""))


def _lines(value: Any, name: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _lines(one, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        if all(not isinstance(one, dict | list) for one in value):
            yield _line(name, ", ".join(_text(one) for one in value))
        else:
            for at, one in enumerate(value, 1):
                yield from _lines(one, f"{name}.{at}" if name else str(at))
    else:
        yield _line(name, _text(value))


def _line(name: str, said: str) -> str:
    return f"{name}: {said}" if name else said


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
