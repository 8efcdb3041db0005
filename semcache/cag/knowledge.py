"""A folder of documents, read as one immutable snapshot.

.txt and .md files, recursively, in the order of their paths. Hidden files and folders, folders
behind symlinks and symlinks that lead outside are not part of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from stat import S_ISREG
from typing import TypeAlias

from semcache.errors import ConfigError, KnowledgeTooLarge

SUFFIXES = frozenset({".txt", ".md"})

Stamp: TypeAlias = tuple[tuple[str, int, int], ...]
"""(path inside the folder, size in bytes, mtime in ns) of every document."""


@dataclass(frozen=True, slots=True)
class Document:
    """One file: its path inside the folder, in POSIX form, and its text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The documents at one moment. `digest`: 64 hex digits over names and contents."""

    documents: tuple[Document, ...]
    digest: str
    stamp: Stamp

    @property
    def text(self) -> str:
        """The documents, one after another, a blank line between two."""
        return "\n\n".join(document.text for document in self.documents)


NO_KNOWLEDGE = Knowledge((), "", ())


def read_knowledge(folder: Path, *, max_bytes: int | None = None) -> Knowledge:
    """Read the folder. Raises ConfigError, naming the file; KnowledgeTooLarge above `max_bytes`."""
    stamp = stamp_of(folder)
    if not stamp:
        raise ConfigError(f"No .txt or .md file in the knowledge folder {folder}: add one.")
    size = sum(one[1] for one in stamp)
    if max_bytes is not None and size > max_bytes:
        raise KnowledgeTooLarge(
            f"The knowledge in {folder} has {size:,} bytes, far more than the {max_bytes:,} that "
            f"the model's window could hold: {size - max_bytes:,} too many."
        )
    digest = blake2b(b"knowledge", digest_size=32)
    documents = []
    for name, _, _ in stamp:
        content = _content(folder / name)
        for part in (name.encode(errors="surrogateescape"), content):
            digest.update(b"%d:" % len(part))
            digest.update(part)
        text = _text(folder / name, content)
        if text:
            documents.append(Document(name, text))
    if not documents:
        raise ConfigError(f"Every document in {folder} is empty: write into one.")
    return Knowledge(tuple(documents), digest.hexdigest(), stamp)


def stamp_of(folder: Path) -> Stamp:
    """What `stat` says of every document; cheap, reads no content. Raises ConfigError."""
    if not folder.is_dir():
        raise ConfigError(f"The knowledge folder {folder} does not exist or is no folder.")
    stamp = []
    for path in _documents(folder):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # removed between listing and looking
        except OSError as error:
            raise ConfigError(f"Cannot read {path}: {error.strerror}.") from None
        if not S_ISREG(status.st_mode):
            continue
        stamp.append((path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns))
    return tuple(sorted(stamp))


def _documents(folder: Path) -> Iterator[Path]:
    root = folder.resolve()

    def refuse(error: OSError) -> None:
        raise ConfigError(f"Cannot list {error.filename}: {error.strerror}.")

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(parent, name)
            if name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                continue
            if path.is_symlink() and not _is_inside(path, root):
                continue
            yield path


def _is_inside(link: Path, root: Path) -> bool:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    return target.is_file() and target.is_relative_to(root)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.") from None


def _text(path: Path, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8 (byte {error.start:,}): convert it, or keep it out of the folder."
        ) from None
    return text.replace("\r\n", "\n").strip()
