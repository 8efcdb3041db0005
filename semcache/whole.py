"""An entry with all that hangs on it, and the store as a place to move such entries in and out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from semcache.entry import Entry, Vector
from semcache.sketch import Sketch


@dataclass(frozen=True, slots=True)
class Alias:
    """A further question that leads to an entry. `vector` None: to be encoded anew."""

    question: str
    embedder: str | None = None
    vector: Vector | None = None
    sketch: Sketch | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """An entry with its vector, sketch and aliases, as far as they are there.

    `refuted`: questions for which its answer was called wrong; they lie in the journal, not here.
    """

    entry: Entry
    vector: Vector | None = None
    sketch: Sketch | None = None
    aliases: tuple[Alias, ...] = ()
    refuted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries: None stands for any. `since`: made then or later, in Unix seconds.

    `namespace`: what requests asked for this part of their cache, or was stored by `members`, the
    tenant whose keys share a namespace of this name.
    """

    tenant: str | None = None
    model: str | None = None
    since: float | None = None
    namespace: str | None = None
    members: str | None = None


EVERYTHING = Wanted()


class Archive(Protocol):
    """Entries in bulk. Methods may raise StoreError."""

    def count(self, wanted: Wanted = EVERYTHING, after: int = 0) -> int:
        """How many there are with an id beyond `after`."""
        ...

    def encoder(self) -> str | None:
        """The fingerprint of the encoder that made the newest vector."""
        ...

    def read(
        self, wanted: Wanted = EVERYTHING, after: int = 0, *, vectors: bool = True, batch: int = 256
    ) -> Iterator[list[Whole]]:
        """Batches by ascending id, beyond `after`; nothing is held open between them."""
        ...

    def put(self, wholes: Sequence[Whole]) -> list[int]:
        """Store all of them in one transaction, durable when this returns; their ids.

        What stands under an equal key stays where it is as new or newer: its id is given as 0.
        """
        ...


@runtime_checkable
class Archived(Protocol):
    """A store whose entries can be moved."""

    @property
    def archive(self) -> Archive: ...
