"""Which files belong to the knowledge: a folder, and what was added to it or left out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from semcache.errors import ConfigError
from semcache.knowledge.folder import stamp_of
from semcache.knowledge.loading import SUFFIXES


@dataclass(frozen=True, slots=True)
class File:
    """`path`: absolute. `name`: what a user knows it by, unique, in POSIX form."""

    path: str
    name: str
    size: int
    mtime_ns: int


def files_of(folder: Path | None, named: Mapping[str, bool]) -> list[File]:
    """All files, by name. `named`: paths that were added (True) or are left out (False).

    A file of `folder` is named by its path inside it, one of an added folder by that folder's name
    and its path inside it; where two would have one name, the later one has its whole path.
    Raises ConfigError for a folder or an added path that is not there.
    """
    left_out = [Path(path) for path, wanted in named.items() if not wanted]
    found: dict[str, File] = {}
    names: set[str] = set()
    roots = [] if folder is None else [(folder.absolute(), "")]
    roots += [(Path(path), Path(path).name) for path, wanted in sorted(named.items()) if wanted]
    for root, prefix in roots:
        for inside, size, mtime_ns in _stamp(root, is_folder=not prefix):
            path = root / inside if inside else root
            if str(path) in found or any(path.is_relative_to(one) for one in left_out):
                continue
            name = "/".join(part for part in (prefix, inside) if part)
            name = path.as_posix() if name in names else name
            names.add(name)
            found[str(path)] = File(str(path), name, size, mtime_ns)
    return sorted(found.values(), key=lambda file: (file.name, file.path))


def _stamp(root: Path, *, is_folder: bool) -> list[tuple[str, int, int]]:
    if is_folder or root.is_dir():
        return list(stamp_of(root, SUFFIXES))
    try:
        status = root.stat()
    except OSError:
        raise ConfigError(
            f"The document {root} is not there: bring it back, or say "
            f"'semcache knowledge remove {root}'."
        ) from None
    return [("", status.st_size, status.st_mtime_ns)]
