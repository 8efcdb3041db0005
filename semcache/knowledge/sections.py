"""A document's text in sections, each under its headings.

Headings are Markdown's (`## Prices`), and, in a text that has none, short lines that open with a
word and a number (`Incident 3: …`, `第3章 …`) or a number (`2.1 Prices`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_MARKDOWN = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t]*#*$")
_NUMBERED = re.compile(
    r"(?:[^\W\d_]+ \d+[:.)](?: |$)|\d+(?:\.\d+)*[.)] \S|第[\d一二三四五六七八九十百]+[章节条篇])"
)
_FENCE = re.compile(r" {0,3}(```|~~~)")
_NUMBERED_LEVEL = 7
_HEADING_CHARS = 100


@dataclass(frozen=True, slots=True)
class Section:
    """`text` with its own heading line, if it has one; `path`: headings, outermost first."""

    path: tuple[str, ...]
    text: str


def sections_of(text: str) -> Iterator[Section]:
    """The sections in order; together they are the text, less blank lines around them."""
    lines = text.splitlines()
    levels = _levels(lines)
    path: list[tuple[int, str]] = []
    held: list[str] = []
    for line, level in zip(lines, levels, strict=True):
        if level:
            yield from _section(path, held)
            held = []
            path = [(above, name) for above, name in path if above < level]
            path.append((level, _name(line)))
        held.append(line)
    yield from _section(path, held)


def _section(path: Sequence[tuple[int, str]], lines: Sequence[str]) -> Iterator[Section]:
    text = "\n".join(lines).strip("\n")
    if text.strip():
        yield Section(tuple(name for _, name in path if name), text)


def _levels(lines: Sequence[str]) -> list[int]:
    """For each line the level of the heading that it is, 1 the outermost; 0 for no heading."""
    levels = []
    fenced = False
    for line in lines:
        if _FENCE.match(line):
            fenced = not fenced
        found = None if fenced else _MARKDOWN.match(line)
        levels.append(len(found[1]) if found else 0)
    if any(levels[1:]):
        return levels
    numbered = [_NUMBERED_LEVEL if _NUMBERED.match(line) else 0 for line in lines]
    return [own or other for own, other in zip(levels, numbered, strict=True)]


def _name(line: str) -> str:
    found = _MARKDOWN.match(line)
    name = found[2] if found else line.strip()
    return name if len(name) <= _HEADING_CHARS else ""
