"""The first line of an export: what it is, whose it is, and what of it was wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import blake2b
from typing import Any

import orjson

from semcache.errors import RequestError
from semcache.whole import EVERYTHING, Wanted

FORMAT = 1
_MARK = "semcache_export"


@dataclass(frozen=True, slots=True)
class Header:
    """`installation` tells one installation's secret from another's, and nothing of it.

    `embedder` is the fingerprint of the encoder of the newest vector. `entries`: how many there
    were when the export began. Neither is compared: a store lives on.
    """

    installation: str
    embedder: str | None = field(compare=False)
    vectors: bool = False
    wanted: Wanted = EVERYTHING
    entries: int = field(default=0, compare=False)

    def line(self) -> bytes:
        """With its newline."""
        said = {_MARK: FORMAT, **asdict(self)}
        return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)


def installation_of(secret: bytes) -> str:
    """16 hex digits that are equal where the secret is, and with it every tenant's digest."""
    return blake2b(secret, digest_size=8, person=b"installation").hexdigest()


def header_of(said: Any) -> Header:
    """The header of a decoded first line. Raises RequestError where it is none of ours."""
    if not isinstance(said, dict) or _MARK not in said:
        raise RequestError("This is no export of semcache: its first line is not a header.")
    if said[_MARK] != FORMAT:
        raise RequestError(
            f"The export has format {said[_MARK]!r}, and this version of semcache reads format "
            f"{FORMAT}: export again, or use the version that wrote it."
        )
    wanted, entries = said.get("wanted"), said.get("entries")
    installation, embedder = said.get("installation"), said.get("embedder")
    if not isinstance(installation, str) or not isinstance(embedder, str | None):
        raise RequestError("The header of the export is damaged.")
    return Header(
        installation,
        embedder,
        said.get("vectors") is True,
        _wanted(wanted),
        entries if isinstance(entries, int) else 0,
    )


def _wanted(said: Any) -> Wanted:
    named: Mapping[str, Any] = said if isinstance(said, dict) else {}
    return Wanted(**{one.name: named.get(one.name) for one in fields(Wanted)})
