"""Lines of a file that may be packed, torn or far too long."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from semcache.errors import ConfigError

MAX_LINE_BYTES = 64 << 20
_MAGIC = b"\x1f\x8b"


@contextmanager
def opened(name: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """(the file, its size in bytes if it has one); `-` is standard input. Raises ConfigError."""
    if name == "-":
        yield cast(BinaryIO, sys.stdin.buffer), None
        return
    path = Path(name)
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.") from None
    with file:
        yield file, path.stat().st_size


def lines_of(
    file: BinaryIO, torn: Callable[[int, str], None], *, most: int = MAX_LINE_BYTES
) -> Iterator[tuple[int, bytes]]:
    """(number, line) of every line, from 1; gzip is seen by its first bytes.

    `torn` hears of a line that is longer than `most` bytes, and of a packed file that ends in the
    middle: what could be read of it comes first.
    """
    head = cast(io.BufferedReader, file).peek(2)[:2]
    number = 0
    packed = head == _MAGIC
    source = cast(IO[bytes], gzip.GzipFile(fileobj=file)) if packed else file
    try:
        while line := source.readline(most + 1):
            number += 1
            if len(line) <= most:
                yield number, line
                continue
            torn(number, f"It has more than {most} bytes.")
            while line and not line.endswith(b"\n"):
                line = source.readline(most)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        torn(number + 1, "The packed file ends in the middle.")
