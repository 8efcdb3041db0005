"""Which files of a folder are documents, and whether they have changed since.

Recursively, in the order of their paths. Hidden files and folders, folders behind symlinks and
symlinks that lead outside are not part of it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from stat import S_ISREG
from typing import TypeAlias

from semcache.errors import ConfigError

Stamp: TypeAlias = tuple[tuple[str, int, int], ...]
"""(path inside the folder in POSIX form, size in bytes, mtime in ns) of every document, by path."""


def stamp_of(folder: Path, suffixes: Collection[str]) -> Stamp:
    """What `stat` says of every file whose name ends so; reads no content. Raises ConfigError."""
    if not folder.is_dir():
        raise ConfigError(f"The knowledge folder {folder} does not exist or is no folder.")
    stamp = []
    for path in _documents(folder, suffixes):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # removed between listing and looking
        except OSError as error:
            raise ConfigError(f"Cannot read {path}: {error.strerror}.") from None
        if not S_ISREG(status.st_mode):
            continue
        stamp.append((path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns))
    return tuple(sorted(stamp))


def _documents(folder: Path, suffixes: Collection[str]) -> Iterator[Path]:
    root = folder.resolve()

    def refuse(error: OSError) -> None:
        raise ConfigError(f"Cannot list {error.filename}: {error.strerror}.")

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(parent, name)
            if name.startswith(".") or path.suffix.lower() not in suffixes:
                continue
            if path.is_symlink() and not _is_inside(path, root):
                continue
            yield path


def _is_inside(link: Path, root: Path) -> bool:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    return target.is_file() and target.is_relative_to(root)
