"""Documents in passages of a bounded length, each of which says what it is about.

A document of few tokens stays whole. Otherwise it is cut at its headings, or, where it has none but
a title, at its blank lines; what is too short to stand alone goes to its neighbour, and what is too
long is split where sentences, paragraphs, rows
and list items end, with an overlap (`semantic_text_splitter`, Unicode's rules, so Chinese sentences
stay whole). A passage repeats the headings that it does not hold itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import takewhile
from typing import TypeAlias

from semantic_text_splitter import MarkdownSplitter

from semcache.interfaces import Passage
from semcache.knowledge.sections import Section, sections_of

Count: TypeAlias = Callable[[str], int]
"""The length of a text, in tokens or in characters."""

_WHOLE = 128
_LEAST = 32
_HEAD_SHARE = 4
_JOINT = 4
_BETWEEN = " > "
_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")


@dataclass(frozen=True, slots=True)
class Cut:
    """How long a passage may be, by `size`; `overlap`, a share, is said twice where text is cut.

    `name` stands for all of it: passages cut by one name are never mixed with another's.
    """

    name: str
    size: Count
    most: int
    overlap: float

    @property
    def whole(self) -> int:
        """Up to this a document is one passage."""
        return min(self.most, _WHOLE)


def passages_of(document: str, text: str, cut: Cut, count: Count) -> Iterator[Passage]:
    """The passages in order, each at most `cut.most` long; `count` counts the model's tokens."""
    text = text.strip()
    if not text:
        return
    if cut.size(text) <= cut.whole:
        yield _passage(document, _common([s.path for s in sections_of(text)]), text, count)
        return
    title = _title(text)
    sections = list(sections_of(text))
    parts = _paragraphs(sections[0]) if len(sections) == 1 else _with_text(sections)
    for section in _merged(parts, cut):
        path = section.path if not title or section.path[:1] == (title,) else (title, *section.path)
        for piece in _bounded(path, section.text, cut):
            yield _passage(document, path, piece, count)


def _passage(document: str, path: Sequence[str], text: str, count: Count) -> Passage:
    return Passage(
        id=blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest(),
        document=document,
        heading=_BETWEEN.join(path),
        text=text,
        tokens=count(text),
    )


def _title(text: str) -> str:
    """A short first line that a blank line follows, or the first heading."""
    first = text.partition("\n\n")[0]
    name = first.lstrip("#").strip()
    return name if "\n" not in first and len(name) <= 100 else ""


def _paragraphs(section: Section) -> list[Section]:
    return [
        Section(section.path, one.strip("\n"))
        for one in _BLANK_LINES.split(section.text)
        if one.strip()
    ]


def _with_text(sections: Sequence[Section]) -> list[Section]:
    """All but bare headings that only announce the headings below them."""
    kept = []
    for section, after in zip(sections, [*sections[1:], None], strict=True):
        bare = section.path and section.text.strip("# \n") == section.path[-1]
        if not (bare and after and after.path[: len(section.path)] == section.path):
            kept.append(section)
    return kept


def _merged(sections: Sequence[Section], cut: Cut) -> Iterator[Section]:
    """What is too short to stand alone goes to its neighbour."""
    held: Section | None = None
    held_size = 0
    for section in sections:
        size = cut.size(section.text)
        if held is None:
            held, held_size = section, size
        elif min(held_size, size) < _LEAST and held_size + size + _JOINT <= _room(cut):
            path = _common([held.path, section.path])
            held = Section(path, f"{held.text.rstrip()}\n\n{section.text}")
            held_size = cut.size(held.text)
        else:
            yield held
            held, held_size = section, size
    if held is not None:
        yield held


def _room(cut: Cut) -> int:
    """What headings always leave to the text."""
    return cut.most - cut.most // _HEAD_SHARE


def _bounded(path: Sequence[str], text: str, cut: Cut) -> Iterator[str]:
    head = _head(path, text, cut)
    joined = f"{head}\n\n{text.strip()}" if head else text.strip()
    if cut.size(joined) <= cut.most:
        yield joined
        return
    head = _head(path, "", cut)
    room = cut.most - (cut.size(head) + _JOINT if head else 0)
    overlap = min(int(cut.most * cut.overlap), room - 1)
    splitter = MarkdownSplitter.from_callback(cut.size, room, overlap=overlap)
    for piece in _with_their_headings(splitter.chunks(text), path):
        missing = _head([name for name in path if name not in piece.partition("\n")[0]], "", cut)
        yield f"{missing}\n\n{piece}" if missing else piece


def _with_their_headings(pieces: Sequence[str], path: Sequence[str]) -> Iterator[str]:
    """A piece that is nothing but a heading of the path is said by the next one anyway."""
    for at, piece in enumerate(pieces):
        bare = piece.strip("# \n")
        if at + 1 < len(pieces) and bare in path:
            continue
        yield piece


def _head(path: Sequence[str], text: str, cut: Cut) -> str:
    """The headings that a text does not hold itself, the innermost that there is room for."""
    names = [name for name in path if name not in text]
    while names and cut.size(_BETWEEN.join(names)) > cut.most // _HEAD_SHARE:
        names = names[1:]
    return f"# {_BETWEEN.join(names)}" if names else ""


def _common(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The headings that all of them stand under."""
    if not paths:
        return ()
    levels = takewhile(lambda level: len(set(level)) == 1, zip(*paths, strict=False))
    return tuple(level[0] for level in levels)
