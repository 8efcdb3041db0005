"""A copy of a data directory while others write to it, and the way back.

A backup is a folder, or a tar with the same files: a manifest with the digest of each, the
databases (each in one state, copied by SQLite itself), the secret and the admin's key. The store is
copied before what refers to it: no verdict is lost whose entry is there. What can be made again
from the rest (indexes, converted models, prefixes) is left out.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import sqlite3
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from semcache.errors import ConfigError, StoreError

STORE = "semcache.db"
MANIFEST = "manifest.json"
SECRETS = ("secret", "admin_key")
KNOWLEDGE = "knowledge.db"
_FORMAT = 1
_MARK = "semcache_backup"
_NAME = re.compile(r"[a-z_]{1,40}(\.db)?")
_TAR = (".tar", ".tar.gz", ".tgz")
_MAX_MANIFEST = 1 << 20
_PIECE = 1 << 20

Say = Callable[[str], None]


def back_up(
    data: Path, copy_store: Callable[[Path], None], target: Path, now: float, *, knowledge: bool
) -> dict[str, int]:
    """Write a backup; the sizes of its files in bytes. A target that is there is never overwritten.

    `copy_store` writes a consistent copy of the store to a path. Raises ConfigError, StoreError.
    """
    if target.exists():
        raise ConfigError(f"{target} is there already: name another file or folder.")
    with _beside(target) as folder:
        copy_store(folder / STORE)
        for path in sorted(data.glob("*.db")):
            if path.name != STORE and (knowledge or path.name != KNOWLEDGE):
                _copy_database(path, folder / path.name)
        for name in SECRETS:
            if (data / name).exists():
                _write(folder / name, (data / name).read_bytes())
        files = {path.name: _described(path) for path in sorted(folder.iterdir())}
        _write(folder / MANIFEST, orjson.dumps({_MARK: _FORMAT, "made_at": now, "files": files}))
        if target.name.endswith(_TAR):
            _pack(folder, target)
        else:
            _sync(folder)
            folder.rename(target)
    return {name: said["bytes"] for name, said in files.items()}


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A folder of our own on the target's disk, gone at the end unless it was renamed."""
    folder = target.with_name(f".{target.name}-{secrets.token_hex(8)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        yield folder
    except OSError as error:
        raise ConfigError(f"Cannot write {target}: {error.strerror or error}.") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_database(path: Path, copy: Path) -> None:
    _write(copy, b"")
    try:
        with (
            closing(sqlite3.connect(f"file:{path.resolve()}?mode=rw", uri=True)) as live,
            closing(sqlite3.connect(copy)) as to,
        ):
            live.execute("PRAGMA busy_timeout = 5000")
            live.backup(to)
            to.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be copied: {error}.") from None


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _described(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return {"bytes": path.stat().st_size, "sha256": digest}


def _pack(folder: Path, target: Path) -> None:
    packed = folder / "packed"
    names = [MANIFEST, *sorted(path.name for path in folder.iterdir() if path.name != MANIFEST)]
    mode = "w" if target.name.endswith(".tar") else "w:gz"
    _write(packed, b"")
    with packed.open("wb") as file:
        with tarfile.open(fileobj=file, mode=mode) as tar:  # type: ignore[call-overload]
            for name in names:
                tar.add(folder / name, name, recursive=False, filter=_anonymous)
        file.flush()
        os.fsync(file.fileno())
    os.link(packed, target)  # fails where somebody was quicker
    _sync(target.parent)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _sync(folder: Path) -> None:
    """What was made in a folder is there after a power cut too."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --------------------------------------------------------------------------------------- restore


def restore(source: Path, data: Path) -> list[str]:
    """Put the files of a backup into a data directory that has none of them; their names.

    Each is compared with its digest first; nothing is in place until all are. Raises ConfigError.
    """
    placed: list[str] = []
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _beside(data / "restored") as folder:
            names = _unpacked(source, folder)
            there = [name for name in names if (data / name).exists()]
            if there:
                raise ConfigError(f"{data} has a {there[0]} already: name an empty directory (-d).")
            for name in sorted(names, key=lambda one: one == STORE):  # the store comes last
                os.link(folder / name, data / name)
                placed.append(name)
            _sync(data)
    except BaseException as error:
        for name in placed:
            (data / name).unlink(missing_ok=True)
        if isinstance(error, OSError | tarfile.TarError):
            raise ConfigError(f"Cannot restore {source}: {error}.") from None
        raise
    return sorted(placed)


def _unpacked(source: Path, folder: Path) -> list[str]:
    """The files of a backup, checked, in a folder of ours."""
    opened = _of_folder if source.is_dir() else _of_tar
    wanted: dict[str, Any] | None = None
    for name, file in opened(source):
        if wanted is None:
            wanted = _manifest(source, name, file)
            continue
        if name not in wanted:
            raise ConfigError(f"{source} holds a file '{name}' that its manifest does not name.")
        if _copied(file, folder / name) != wanted.pop(name)["sha256"]:
            raise ConfigError(f"{source} is damaged: its {name} is not what was backed up.")
    if wanted is None or wanted:
        missing = f"it has no {next(iter(wanted))}" if wanted else "it is empty"
        raise ConfigError(f"{source} is not whole: {missing}.")
    return sorted(path.name for path in folder.iterdir())


def _manifest(source: Path, name: str, file: IO[bytes]) -> dict[str, Any]:
    try:
        said = orjson.loads(file.read(_MAX_MANIFEST)) if name == MANIFEST else None
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict) or said.get(_MARK) != _FORMAT:
        raise ConfigError(f"{source} is no backup of this version of semcache.")
    files = said.get("files")
    if isinstance(files, dict) and STORE in files:
        fine = (isinstance(one, dict) and "sha256" in one for one in files.values())
        if all(map(_NAME.fullmatch, files)) and all(fine):
            return files
    raise ConfigError(f"{source} has a damaged manifest.")


def _copied(file: IO[bytes], path: Path) -> str:
    digest = hashlib.sha256()
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as copy:
        while piece := file.read(_PIECE):
            digest.update(piece)
            copy.write(piece)
        copy.flush()
        os.fsync(copy.fileno())
    return digest.hexdigest()


def _of_folder(source: Path) -> Iterator[tuple[str, IO[bytes]]]:
    names = sorted((one.name for one in source.iterdir()), key=lambda name: name != MANIFEST)
    for name in names:
        with (source / name).open("rb") as file:
            yield name, file


def _of_tar(source: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(source, "r:*") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            if file is None:
                raise ConfigError(f"{source} holds '{member.name}', which is no plain file.")
            yield member.name, file
