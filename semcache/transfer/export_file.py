"""An export on the disk: written batch by batch, each durable, and gone on with where it broke off.

A file whose name ends with `.gz` is gzip members, one for each batch, which every gzip reads as one
stream; so a torn end costs the last batch only. Mode 0600: it holds questions and answers.
"""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import orjson

from semcache.errors import ConfigError, RequestError
from semcache.transfer.header import Header, header_of

_READ_BYTES = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(slots=True)
class _Sound:
    """The part of a file that is whole: its length in bytes, its entries, the id of the last."""

    end: int = 0
    header: Header | None = None
    entries: int = 0
    last: int = 0


class ExportFile:
    """A file to write an export to. `resumed`: so many entries are there, up to the id `last`.

    Raises ConfigError where the file cannot be used, or holds something else.
    """

    def __init__(self, path: Path, header: Header, *, overwrite: bool = False) -> None:
        self._path = path
        self._packed = path.suffix == ".gz"
        self._file = _opened(path)
        try:
            sound = _Sound() if overwrite else _sound(self._file, self._packed, path)
            if sound.header not in (None, header):
                raise ConfigError(
                    f"{path} holds another export (other filters, vectors or installation): name "
                    "another file, or say '--overwrite'."
                )
            self._file.truncate(sound.end)
            self._file.seek(sound.end)
        except BaseException:
            self._file.close()
            raise
        self.resumed, self.last = sound.entries, sound.last
        if sound.header is None:
            self.write(header.line())

    def write(self, lines: bytes) -> None:
        """Append whole lines; durable when this returns. Raises ConfigError."""
        try:
            self._file.write(gzip.compress(lines, 6, mtime=0) if self._packed else lines)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise ConfigError(f"Cannot write {self._path}: {error.strerror}.") from None

    def __enter__(self) -> ExportFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


def _opened(path: Path) -> BinaryIO:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"Cannot write {path}: {error.strerror}.") from None
    file = os.fdopen(descriptor, "r+b")
    try:
        path.chmod(0o600)
        _lock(descriptor)
    except OSError as error:
        file.close()
        said = "another export writes it" if isinstance(error, BlockingIOError) else error.strerror
        raise ConfigError(f"Cannot write {path}: {said}.") from None
    return file


def _lock(descriptor: int) -> None:
    """For as long as the file is open. Raises BlockingIOError where another process has it."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sound(file: BinaryIO, packed: bool, path: Path) -> _Sound:
    """Look at every line, until the first that is not whole."""
    sound = _Sound()
    try:
        for end, lines in _members(file) if packed else _lines(file):
            if not _take(sound, lines):
                break
            sound.end = end
    except zlib.error:
        pass
    except RequestError as error:
        raise ConfigError(f"{path}: {error} Name another file, or say '--overwrite'.") from None
    if sound.header is None and file.seek(0, os.SEEK_END):
        raise ConfigError(
            f"{path} is there, and is no export that could go on: name another file, or say "
            "'--overwrite'."
        )
    return sound


def _take(sound: _Sound, lines: bytes) -> bool:
    """Count whole lines in; False, and nothing is counted, where one of them is none."""
    header, entries, last = sound.header, sound.entries, sound.last
    for line in lines.splitlines():
        try:
            said = orjson.loads(line)
        except orjson.JSONDecodeError:
            return False
        if header is None:
            header = header_of(said)
            continue
        found = said.get("id") if isinstance(said, dict) else None
        if not isinstance(found, int) or found <= last:
            return False
        last, entries = found, entries + 1
    sound.header, sound.entries, sound.last = header, entries, last
    return True


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(where it ends, a line) of every line that has an end."""
    end = 0
    for line in file:
        if not line.endswith(b"\n"):
            return
        end += len(line)
        yield end, line


def _members(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(where it ends, what it holds) of every gzip member that is whole and ends a line."""
    end, data = 0, b""
    while True:
        unpacker, found = zlib.decompressobj(_GZIP), bytearray()
        read = 0
        while not unpacker.eof:
            data = data or file.read(_READ_BYTES)
            if not data:
                return
            found += unpacker.decompress(data)
            read += len(data)
            data = b""
        data = unpacker.unused_data
        end += read - len(data)
        if not found.endswith(b"\n"):
            return
        yield end, bytes(found)
