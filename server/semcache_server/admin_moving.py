"""`GET /v1/cache/export` and `POST /v1/cache/import`: entries as JSON lines, streamed both ways."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from semcache.cache import SemCache
from semcache.errors import ConfigError, RequestError
from semcache.transfer.bulk import Bulk
from semcache.transfer.exporting import exported
from semcache.transfer.header import Header
from semcache.transfer.importing import Importing
from semcache.transfer.placing import ANYBODY, Placing
from semcache.whole import Archive, Archived, Wanted
from semcache_server.wire import ASGIScope

MAX_LINE_BYTES = 16 << 20
_EXPORT = frozenset({"tenant", "model", "namespace", "since", "after", "vectors"})
_TENANT = re.compile("[0-9a-f]{32}")
_IMPORT = frozenset({"tenant", "into", "strict"})


@dataclass(frozen=True, slots=True)
class AdminMoving:
    """The handlers. `check` raises for whoever is not the admin; `installation` as in `Header`."""

    cache: SemCache
    check: Callable[[ASGIScope], None]
    installation: str

    def routes(self) -> list[Route]:
        """Both."""
        return [
            Route("/v1/cache/export", self.export, methods=["GET"]),
            Route("/v1/cache/import", self.import_, methods=["POST"]),
        ]

    async def export(self, request: Request) -> Response:
        """`?tenant=&model=&namespace=&since=&vectors=`; `after`: entries beyond this id only."""
        self.check(request.scope)
        asked = _only(request.query_params, _EXPORT)
        since, after = asked.get("since"), asked.get("after")
        wanted = Wanted(
            asked.get("tenant"),
            asked.get("model"),
            None if since is None else _number(since, "since"),
            asked.get("namespace"),
        )
        lines = self._lines(wanted, int(_number(after or "0", "after")), _flag(asked, "vectors"))
        headers = {"cache-control": "private, no-store"}
        return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)

    def _lines(self, wanted: Wanted, after: int, vectors: bool) -> Iterator[bytes]:
        """Read in a thread, batch by batch, as fast as they are taken."""
        archive, embedder = self._archive, self.cache.layers.embedder
        fingerprint = None if embedder is None else embedder.fingerprint
        count = archive.count(wanted, after)
        header = Header(self.installation, fingerprint, vectors, wanted, count)
        yield header.line()
        for _, lines in exported(archive, self.cache.layers.journal, header, after):
            yield lines

    async def import_(self, request: Request) -> Response:
        """`?tenant=&into=&strict=`, with the lines of an export as the body."""
        self.check(request.scope)
        asked, layers = _only(request.query_params, _IMPORT), self.cache.layers
        bulk = Bulk(
            layers.store,
            self._archive,
            layers.embedder,
            layers.settings,
            _flag(asked, "strict"),
            written=self._forget,
        )
        into = asked.get("into")
        if into is not None and into != ANYBODY and not _TENANT.fullmatch(into):
            raise RequestError(
                "'into' must be the digest of a tenant, 32 hex digits.", param="into"
            )
        placing = Placing(into, asked.get("tenant"))
        work = Importing(bulk, placing, self.installation, layers.journal)
        async for lines in _whole_lines(request.stream(), bulk.refuse):
            await asyncio.to_thread(_add, work, lines)
        report = await asyncio.to_thread(work.finish)
        return JSONResponse(report.as_json())

    @property
    def _archive(self) -> Archive:
        store = self.cache.layers.store
        if not isinstance(store, Archived):
            raise ConfigError("The entries of this store cannot be moved.")
        return store.archive

    def _forget(self, keys: Sequence[str]) -> None:
        """What was written in the store is not what memory holds."""
        for key in keys:
            self.cache.layers.memory.withdraw(key)


def _add(work: Importing, lines: Sequence[tuple[int, bytes]]) -> None:
    for number, line in lines:
        work.add(number, line)


async def _whole_lines(
    body: AsyncIterator[bytes], refuse: Callable[[int, str], None]
) -> AsyncIterator[list[tuple[int, bytes]]]:
    """Numbered lines, as many at a time as have come; `refuse` hears of one that is too long."""
    lines = _Lines(refuse)
    async for piece in body:
        if found := lines.taken(piece):
            yield found
    if found := lines.taken(b"\n"):
        yield found


class _Lines:
    """Puts lines together from pieces; of one that is too long nothing is kept."""

    def __init__(self, refuse: Callable[[int, str], None]) -> None:
        self._refuse = refuse
        self._parts: list[bytes] = []
        self._size = 0
        self._number = 0

    def taken(self, piece: bytes) -> list[tuple[int, bytes]]:
        """The lines that end in this piece, with their numbers."""
        found = []
        *ends, rest = piece.split(b"\n")
        for end in ends:
            self._add(end)
            self._number += 1
            if self._size <= MAX_LINE_BYTES:
                found.append((self._number, b"".join(self._parts)))
            else:
                self._refuse(self._number, f"It has more than {MAX_LINE_BYTES} bytes.")
            self._parts, self._size = [], 0
        self._add(rest)
        return found

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > MAX_LINE_BYTES:
            self._parts = []
        elif part:
            self._parts.append(part)


def _only(said: QueryParams, names: frozenset[str]) -> dict[str, str]:
    """Raises RequestError for a parameter that is not known, or is given twice."""
    for name, _ in said.multi_items():
        if name not in names or len(said.getlist(name)) > 1:
            raise RequestError(f"'{name}' is not known here, or stands twice.", param=name)
    return {name: value for name, value in said.items() if value}


def _number(said: str, name: str) -> float:
    try:
        value = float(said)
    except ValueError:
        value = -1.0
    if not 0 <= value < 2**53:
        raise RequestError(f"'{name}' must be a number that is not negative.", param=name)
    return value


def _flag(asked: dict[str, str], name: str) -> bool:
    value = asked.get(name, "false").lower()
    if value not in {"true", "false", "1", "0"}:
        raise RequestError(f"'{name}' must be true or false.", param=name)
    return value in {"true", "1"}
