"""Sealed entries in bulk: opened on their way out, sealed on their way in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from semcache.store.archive import LocalArchive
from semcache.whole import EVERYTHING, Wanted, Whole


@dataclass(frozen=True, slots=True)
class Envelopes:
    """`opened` is None for what cannot be opened here. `sealed` raises StoreError for the same."""

    opened: Callable[[Whole], Whole | None]
    sealed: Callable[[Whole], Whole]


class SealedArchive(LocalArchive):
    """The `Archive` of a SealedStore; what cannot be opened is left out."""

    def __init__(self, envelopes: Envelopes, *parts: Any) -> None:
        super().__init__(*parts)
        self._envelopes = envelopes

    def read(
        self, wanted: Wanted = EVERYTHING, after: int = 0, *, vectors: bool = True, batch: int = 256
    ) -> Iterator[list[Whole]]:
        """Batches by ascending id, beyond `after`; nothing is held open between them."""
        for wholes in super().read(wanted, after, vectors=vectors, batch=batch):
            found = [one for one in map(self._envelopes.opened, wholes) if one is not None]
            if found:
                yield found

    def put(self, wholes: Sequence[Whole]) -> list[int]:
        """Seal and store all of them in one transaction."""
        return super().put([self._envelopes.sealed(whole) for whole in wholes])
