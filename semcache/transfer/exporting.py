"""From an archive to lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from semcache.journal import Journal
from semcache.transfer.header import Header
from semcache.transfer.lines import line_of
from semcache.whole import Archive

BATCH = 64  # an answer may have a megabyte


def exported(
    archive: Archive, journal: Journal, header: Header, after: int = 0
) -> Iterator[tuple[int, bytes]]:
    """(how many, their lines) batch by batch, by ascending id, beyond `after`.

    What is stored meanwhile comes at the end. Raises StoreError.
    """
    refuted = journal.refutations()
    for wholes in archive.read(header.wanted, after, vectors=header.vectors, batch=BATCH):
        lines = []
        for whole in wholes:
            wrong = refuted.get(whole.entry.key, ())
            lines.append(line_of(replace(whole, refuted=wrong), vectors=header.vectors))
        yield len(lines), b"".join(lines)
