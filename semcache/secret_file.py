"""A secret of this installation in a file: made once, read ever after, by its owner only."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from semcache.errors import ConfigError


def made_once(path: Path, make: Callable[[], bytes]) -> bytes:
    """The file's content; what `make` gives, mode 0600, where there is no file yet.

    Written beside and linked into place: of two processes that start at once, one wins for both.
    Raises ConfigError where it can neither be read nor made.
    """
    try:
        if not path.exists():
            _make(path, make())
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"Cannot read or make {path}: {error.strerror}.") from None


def _make(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink()
