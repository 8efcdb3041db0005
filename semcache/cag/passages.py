"""Documents in passages that a small model can read one at a time.

A document of a few sentences stays whole. A longer one is cut where it has headings, or at its
blank lines, and inside a section that is beyond the bound at the ends of lines. Each passage
repeats the document's title, so that it says what it is about.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Count: TypeAlias = Callable[[str], int]
"""The tokens of a text."""

_WHOLE_TOKENS = 128
_LEAST_TOKENS = 40
_TITLE_TOKENS = 32
_HEADING = re.compile(r"#{1,6} \S|[^\W\d_]+ \d+[:.)](?: |$)|\d+(?:\.\d+)*[.)] \S")


@dataclass(frozen=True, slots=True)
class Section:
    """Some lines that belong together, and how many tokens they have."""

    text: str
    tokens: int


def passages_of(texts: Iterable[str], count: Count, most_tokens: int) -> tuple[str, ...]:
    """The documents' passages, in order, of at most about `most_tokens` and a title."""
    return tuple(
        passage for text in texts for passage in _passages(text.strip(), count, most_tokens)
    )


def _passages(text: str, count: Count, most_tokens: int) -> Iterator[str]:
    if count(text) <= min(most_tokens, _WHOLE_TOKENS):
        yield text
        return
    title, body = _title(text, count)
    sections = [
        Section(piece, count(piece))
        for section in _sections(body.splitlines(keepends=True))
        for piece in _bounded(section, count, most_tokens)
    ]
    for section in _merged(sections, most_tokens):
        yield f"{title}\n\n{section.text.strip()}".strip()


def _title(text: str, count: Count) -> tuple[str, str]:
    """A short first line that a blank line follows, and the rest."""
    head, blank, body = text.partition("\n\n")
    if blank and "\n" not in head and count(head) <= _TITLE_TOKENS:
        return head, body
    return "", text


def _sections(lines: Sequence[str]) -> Iterator[str]:
    """Cut before headings; at blank lines where there is none."""
    headed = any(_HEADING.match(line) for line in lines)
    section = ""
    for line in lines:
        if section.strip() and (_HEADING.match(line) if headed else not line.strip()):
            yield section
            section = ""
        section += line
    if section.strip():
        yield section


def _bounded(section: str, count: Count, most_tokens: int) -> Iterator[str]:
    """The section in pieces of whole lines, none much longer than the bound."""
    piece, tokens = "", 0
    for line in section.splitlines(keepends=True):
        more = count(line)
        if piece and tokens + more > most_tokens:
            yield piece
            piece, tokens = "", 0
        piece, tokens = piece + line, tokens + more
    if piece.strip():
        yield piece


def _merged(sections: Sequence[Section], most_tokens: int) -> Iterator[Section]:
    """What is too short to stand alone goes to its neighbour."""
    held: Section | None = None
    for section in sections:
        if held is None:
            held = section
        elif (
            min(held.tokens, section.tokens) < _LEAST_TOKENS
            and held.tokens + section.tokens <= most_tokens
        ):
            joint = "\n" if held.text.endswith("\n") else "\n\n"
            held = Section(held.text + joint + section.text, held.tokens + section.tokens)
        else:
            yield held
            held = section
    if held is not None:
        yield held
