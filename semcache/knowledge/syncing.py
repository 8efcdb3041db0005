"""Brings the catalogue up to date with the files: what has not changed is not read.

A file is looked at by size and time first, then by content. Each is one transaction, and vectors
are kept as they are made, so whoever is interrupted goes on where he was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from semcache.errors import UnreadableDocument
from semcache.interfaces import Embedder, Passage
from semcache.knowledge.catalog import Catalog, Known
from semcache.knowledge.encoding import vectors_of
from semcache.knowledge.loading import content_of, text_of
from semcache.knowledge.sources import File
from semcache.knowledge.splitting import Count, Cut, passages_of

_LOADERS = 3
"""Changes whenever a file would be read as another text, or cut at other places."""

_ENCODED_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Making:
    """How files become passages with vectors. `count` counts the answering model's tokens.

    `threads` encode at once. `text_of` reads a file with this content, see `loading`.
    """

    cut: Cut
    count: Count
    embedder: Embedder | None
    max_file_bytes: int
    threads: int = 1
    text_of: Callable[[Path, bytes, int], str] = text_of

    @property
    def encoder(self) -> str:
        """The encoder's fingerprint; empty without one."""
        return "" if self.embedder is None else self.embedder.fingerprint

    @property
    def recipe(self) -> str:
        """Stands for all of it."""
        return f"{_LOADERS} {self.cut.name} {self.encoder}"


@dataclass(frozen=True, slots=True)
class Step:
    """Where a run is: `done` of `total` files, at this file; `of_passages` in it are `encoded`."""

    done: int
    total: int
    name: str
    changed: bool
    problem: str | None = None
    encoded: int = 0
    of_passages: int = 0


def sync(catalog: Catalog, files: Sequence[File], making: Making, now: float) -> Iterator[Step]:
    """Read what is new or other than before, and forget what is gone; a step after each file.

    A file that cannot be read is a step with a problem; its last good state stays in force.
    Raises StoreError, EmbeddingError.
    """
    known = catalog.known()
    gone = sorted(known.keys() - {file.path for file in files})
    if gone:
        catalog.drop(gone, now)
    for done, file in enumerate(files, start=1):
        before = known.get(file.path)
        if before is not None and _looks_the_same(before, file, making):
            yield Step(done, len(files), file.name, changed=False, problem=before.problem)
        else:
            yield from _brought_in(catalog, file, before, making, now, (done, len(files)))
    catalog.purge(now)


def _looks_the_same(before: Known, file: File, making: Making) -> bool:
    return (before.size, before.mtime_ns, before.recipe, before.name) == (
        file.size,
        file.mtime_ns,
        making.recipe,
        file.name,
    )


def _brought_in(
    catalog: Catalog,
    file: File,
    before: Known | None,
    making: Making,
    now: float,
    place: tuple[int, int],
) -> Iterator[Step]:
    try:
        content = content_of(Path(file.path), making.max_file_bytes)
        seen = _seen(file, making, digest=blake2b(content, digest_size=32).hexdigest())
        if before is not None and _is_the_same(before, seen):
            catalog.seen(seen)
            yield Step(*place, file.name, changed=False)
            return
        text = making.text_of(Path(file.path), content, making.max_file_bytes)
    except UnreadableDocument as error:
        catalog.seen(_seen(file, making, problem=str(error)))
        yield Step(*place, file.name, changed=True, problem=str(error))
        return
    passages = list(passages_of(file.name, text, making.cut, making.count))
    for encoded in _encoded(catalog, passages, making):
        yield Step(place[0] - 1, place[1], file.name, True, None, encoded, len(passages))
    vectors = catalog.encoded([passage.id for passage in passages], making.encoder)
    catalog.put(seen, text, ((one, vectors.get(one.id)) for one in passages), now)
    yield Step(*place, file.name, True, None, len(passages), len(passages))


def _is_the_same(before: Known, seen: Known) -> bool:
    """Only touched: what it holds, and what would be made of it, are in the catalogue already."""
    return before.problem is None and (before.digest, before.recipe, before.name) == (
        seen.digest,
        seen.recipe,
        seen.name,
    )


def _seen(
    file: File, making: Making, *, digest: str | None = None, problem: str | None = None
) -> Known:
    return Known(
        id=0,
        path=file.path,
        name=file.name,
        size=file.size,
        mtime_ns=file.mtime_ns,
        recipe=making.recipe,
        problem=problem,
        digest=digest,
    )


def _encoded(catalog: Catalog, passages: Sequence[Passage], making: Making) -> Iterator[int]:
    """Encode what has no vector yet; after each batch, how many passages have one."""
    if making.embedder is None:
        return
    texts = {passage.id: passage.text for passage in passages}
    there = catalog.encoded(list(texts), making.encoder)
    missing = [digest for digest in texts if digest not in there]
    for at in range(0, len(missing), _ENCODED_AT_ONCE):
        some = missing[at : at + _ENCODED_AT_ONCE]
        vectors = vectors_of([texts[one] for one in some], making.embedder, making.threads)
        catalog.add_vectors(making.encoder, dict(zip(some, vectors, strict=True)))
        yield len(passages) - len(missing) + at + len(some)
