"""The knowledge as it is now, and as it changes. Implements `interfaces.Library`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from semcache.errors import ConfigError
from semcache.knowledge.catalog import Catalog
from semcache.knowledge.lexical import LexicalIndex
from semcache.knowledge.loading import SUFFIXES
from semcache.knowledge.sources import File, files_of
from semcache.knowledge.state import Freeze, KnowledgeState, Meaning
from semcache.knowledge.syncing import Making, Step, sync

_WAITED_S = 2.0
_TOLD_EVERY_S = 2.0
_QUICK_S = 0.05
_REST_SHARE = 40  # one part looking, 39 parts not


class Library:
    """A folder's documents and those added to them, catalogued in `data_dir`.

    Several processes may have the same: one at a time brings the catalogue up to date, and the
    others go on with what is there. `freeze` makes vectors searchable.
    """

    def __init__(
        self,
        data_dir: Path,
        folder: Path | None,
        making: Making,
        freeze: Freeze,
        clock: Callable[[], float] = time.time,
        closing: Callable[[], None] = lambda: None,
    ) -> None:
        """Open or create the catalogue. Raises StoreError.

        Without a `folder` only what was added is read; see `use_last_folder`. `closing` is called
        when no more files are read for the time being.
        """
        self.catalog = Catalog(data_dir / "knowledge.db")
        self._lock = FileLock(data_dir / "knowledge.lock", mode=0o600)
        self._folder = folder
        self._making = making
        self._freeze = freeze
        self._clock = clock
        self._closing = closing
        self._changing = threading.Lock()
        self._words = LexicalIndex()
        self._indexed: set[int] = set()
        self._state: KnowledgeState | None = None
        self._files: list[File] | None = None
        self._resting = 0.0, 0.0

    def update(self, progress: Callable[[str], None]) -> KnowledgeState:
        """See `interfaces.Library.update`.

        While another process is at it, what it has finished so far is the state; nothing finished,
        it is waited for.
        """
        with self._changing:
            before = self._state
            if before is not None and before.contents and not self.touched():
                return before
            for step in _told(self._steps(progress), progress):
                if step.problem is not None:
                    progress(f"knowledge: cannot be read: {step.problem}")
            state = self._current()
            if not state.contents:
                raise ConfigError(_nothing(self._folder))
            return state

    def steps(self) -> Iterator[Step]:
        """`update` a file at a time, after waiting for any other process; for progress bars."""
        with self._changing, self._lock:
            yield from self._synced()

    def state(self) -> KnowledgeState:
        """What the catalogue holds, up to date or not. Raises StoreError."""
        with self._changing:
            return self._current()

    def touched(self) -> bool:
        """Whether files or catalogue are other than at the last update. Raises ConfigError.

        Looking at very many files takes its time, so they are then looked at less often.
        """
        state = self._state
        if state is None or self.catalog.generation() != state.generation:
            return True
        began = self._clock()
        looked_at, until = self._resting
        if looked_at <= began < until:
            return False
        files = files_of(self._folder, self.catalog.sources())
        took_s = self._clock() - began
        if took_s > _QUICK_S:
            self._resting = began, began + _REST_SHARE * took_s
        return files != self._files

    def use_last_folder(self) -> None:
        """Where no folder was given, go on with the one that was named last."""
        if self._folder is None:
            self._folder = self.catalog.folder()

    def add(self, path: Path) -> None:
        """A file or folder from elsewhere, or one that was left out. Raises ConfigError."""
        path = path.absolute()
        if not path.exists():
            raise ConfigError(f"{path} does not exist.")
        if path.is_file() and path.suffix.lower() not in SUFFIXES:
            known = " ".join(sorted(SUFFIXES))
            raise ConfigError(f"{path} is of a kind that is not read; these are: {known}.")
        inside = self._folder is not None and path.is_relative_to(self._folder.absolute())
        self.catalog.set_source(str(path), None if inside else True)

    def remove(self, path: Path) -> None:
        """Leave a file or folder out: one that was added, or one of those there are.

        A path, or a document's name as the list has it. Raises ConfigError.
        """
        known = self.catalog.known()
        named = [one.path for one in known.values() if one.name == path.as_posix()]
        whole = named[0] if named else str(path.absolute())
        sources = self.catalog.sources()
        if sources.get(whole):
            self.catalog.set_source(whole, None)
        elif any(Path(one).is_relative_to(whole) for one in known):
            self.catalog.set_source(whole, False)
        else:
            raise ConfigError(
                f"No document is {path}, or lies in it: see the list for their names."
            )

    def close(self) -> None:
        """Close the catalogue; states that it gave out cannot be searched any more."""
        self.catalog.close()

    def _steps(self, progress: Callable[[str], None]) -> Iterator[Step]:
        try:
            self._lock.acquire(timeout=_WAITED_S)
        except Timeout:
            if self.catalog.generation():
                return
            progress("knowledge: another process reads it for the first time; waiting")
            self._lock.acquire()
        try:
            yield from self._synced()
        finally:
            self._lock.release()

    def _synced(self) -> Iterator[Step]:
        if self._folder is not None and self._folder.absolute() != self.catalog.folder():
            self.catalog.set_folder(self._folder.absolute())
        files = files_of(self._folder, self.catalog.sources())
        try:
            yield from sync(self.catalog, files, self._making, self._clock())
        finally:
            self._closing()
        self._files = files

    # ------------------------------------------------------------------------------------ states

    def _current(self) -> KnowledgeState:
        before = self._state
        if before is not None and before.generation == self.catalog.generation():
            return before
        generation, documents, ids = self.catalog.state()
        digest = blake2b(b"knowledge", digest_size=32)
        for name, _, content, _ in documents:
            for part in (name.encode(errors="surrogateescape"), content.encode()):
                digest.update(b"%d:" % len(part))
                digest.update(part)
        self._index(ids)
        self._state = KnowledgeState(
            digest=digest.hexdigest() if documents else "",
            size_bytes=sum(size for *_, size in documents),
            generation=generation,
            contents=tuple((path, content) for _, path, content, _ in documents),
            ids=ids,
            catalog=self.catalog,
            embedder=self._making.embedder,
            meaning=self._meaning(ids, None if before is None else before.meaning),
            words=self._words.state(),
        )
        return self._state

    def _index(self, ids: NDArray[np.int64]) -> None:
        wanted = set(ids.tolist())
        added, removed = sorted(wanted - self._indexed), self._indexed - wanted
        if added or removed:
            self._words.apply(self._texts(added), removed)
            self._indexed = wanted

    def _texts(self, ids: list[int]) -> Iterator[tuple[int, str]]:
        for at in range(0, len(ids), 1_000):
            found = self.catalog.passages(ids[at : at + 1_000])
            yield from ((one, passage.text) for one, passage in found.items())

    def _meaning(self, ids: NDArray[np.int64], before: Meaning | None) -> Meaning | None:
        """The vectors of the passages that have one; those of the last state are not read again."""
        embedder = self._making.embedder
        if embedder is None:
            return None
        wanted = np.sort(ids)
        vectors = np.zeros((len(wanted), embedder.dim), dtype=np.float16)
        held = np.zeros(len(wanted), dtype=np.bool_)
        if before is not None and len(before.ids):
            held = np.isin(wanted, before.ids)
            vectors[held] = before.vectors[np.searchsorted(before.ids, wanted[held])]
        fresh = wanted[~held].tolist()
        vectors[~held] = self.catalog.vectors_of(fresh, embedder.fingerprint, embedder.dim)
        real = vectors.any(axis=1)
        if not real.all():
            wanted, vectors = wanted[real], vectors[real]
        return Meaning(wanted, vectors, self._freeze(vectors))


def _nothing(folder: Path | None) -> str:
    place = "" if folder is None else f" in {folder}"
    return f"There is no document{place}: put one there, or say 'semcache knowledge add FILE'."


def _told(steps: Iterator[Step], progress: Callable[[str], None]) -> Iterator[Step]:
    """The steps, and a line now and then for who waits for them."""
    told_at = time.monotonic()
    for step in steps:
        if step.changed and time.monotonic() - told_at > _TOLD_EVERY_S:
            told_at = time.monotonic()
            progress(f"knowledge: {step.done:,} of {step.total:,} documents, now {step.name}")
        yield step
