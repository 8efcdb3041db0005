"""A folder of plain documents, read as one immutable snapshot, for an engine without a library.

.txt and .md files (`semcache.folder`), in the order of their paths; the first that cannot be read
is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from semcache.errors import ConfigError, KnowledgeTooLarge
from semcache.folder import Stamp
from semcache.folder import stamp_of as folder_stamp
from semcache.retrieval import Document as Document

SUFFIXES = frozenset({".txt", ".md"})


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
    return folder_stamp(folder, SUFFIXES)


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
