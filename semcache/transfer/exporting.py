"""From an archive to lines."""

from __future__ import annotations

from collections.abc import Iterator

from semcache.transfer.header import Header
from semcache.transfer.lines import line_of
from semcache.whole import Archive

BATCH = 256


def exported(archive: Archive, header: Header, after: int = 0) -> Iterator[tuple[int, bytes]]:
    """(how many, their lines) batch by batch, by ascending id, beyond `after`.

    What is stored meanwhile comes at the end. Raises StoreError.
    """
    for wholes in archive.read(header.wanted, after, vectors=header.vectors, batch=BATCH):
        yield len(wholes), b"".join(line_of(one, vectors=header.vectors) for one in wholes)
