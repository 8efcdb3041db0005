"""Files as text, by what their names end with.

A file that cannot be read is an UnreadableDocument that names it. No file makes the process
fetch anything, run anything, or hold much more than `max_bytes` of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from stat import S_ISREG
from typing import TypeAlias

from semcache.errors import UnreadableDocument
from semcache.knowledge.decoding import decoded

DEFAULT_MAX_BYTES = 50_000_000

Loader: TypeAlias = Callable[[str, bytes, int], str]
"""From a name, the content, and the most bytes or characters that may come of it."""


def content_of(path: Path, max_bytes: int) -> bytes:
    """What a regular file holds. Raises UnreadableDocument."""
    try:
        status = path.stat()
        if not S_ISREG(status.st_mode):
            raise UnreadableDocument(f"{path} is not a regular file.")
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise UnreadableDocument(f"Cannot read {path}: {error.strerror or error}.") from None
    if len(content) > max_bytes:
        raise UnreadableDocument(
            f"{path} has {max(status.st_size, len(content)):,} bytes, more than the {max_bytes:,} "
            "that a document may have ('knowledge.max_file_bytes'): split it."
        )
    return content


def text_of(path: Path, content: bytes, max_bytes: int = DEFAULT_MAX_BYTES) -> str:
    """The text of a file with this content; may be empty. Raises UnreadableDocument."""
    loader = _LOADERS.get(path.suffix.lower())
    if loader is None:
        known = " ".join(sorted(SUFFIXES))
        raise UnreadableDocument(f"{path} is of a kind that is not read; these are: {known}.")
    text = loader(str(path), content, max_bytes).strip()
    if len(text) > max_bytes:
        raise UnreadableDocument(
            f"{path} holds more than {max_bytes:,} characters ('knowledge.max_file_bytes'): "
            "split it."
        )
    return text.replace("\0", "")


def _plain(name: str, content: bytes, most: int) -> str:
    return decoded(name, content)


def _html(name: str, content: bytes, most: int) -> str:
    from semcache.knowledge.markup import from_html

    return from_html(name, content)


def _pdf(name: str, content: bytes, most: int) -> str:
    from semcache.knowledge.office import from_pdf

    return from_pdf(name, content, most)


def _docx(name: str, content: bytes, most: int) -> str:
    from semcache.knowledge.office import from_docx

    return from_docx(name, content, most)


def _csv(name: str, content: bytes, most: int) -> str:
    from semcache.knowledge.tables import from_csv

    return from_csv(name, decoded(name, content))


def _json(name: str, content: bytes, most: int) -> str:
    from semcache.knowledge.tables import from_json

    return from_json(name, decoded(name, content))


def _json_lines(name: str, content: bytes, most: int) -> str:
    from semcache.knowledge.tables import from_json_lines

    return from_json_lines(name, decoded(name, content))


_LOADERS: Mapping[str, Loader] = {
    ".txt": _plain,
    ".md": _plain,
    ".markdown": _plain,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
    ".docx": _docx,
    ".csv": _csv,
    ".tsv": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
}
SUFFIXES = frozenset(_LOADERS)
