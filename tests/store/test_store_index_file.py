"""The index on disk is a copy: whatever happens to it, searches find what the rows hold."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from semcache.interfaces import Vector
from semcache.store import LocalStore, upkeep
from semcache.store.vector_index import LARGE
from tests.store.samples import DIM, EMBEDDER, entry, scope, unit

COUNT = LARGE + 60
VECTORS = unit(np.random.default_rng(0), 2 * COUNT)


def reopen(directory: Path, embedder: str = EMBEDDER) -> LocalStore:
    return LocalStore(directory, dim=DIM, embedder=embedder, synchronous="NORMAL")


def found(store: LocalStore, vector: Vector) -> str:
    """The key of the nearest in any of the three scopes."""
    each = [store.search(scope(name), vector, 1) for name in ("large", "small", "tiny")]
    best = max((c for candidates in each for c in candidates), key=lambda c: c.similarity)
    return best.entry.key if best.similarity > 0.999 else "nothing"


def fill(store: LocalStore, start: int = 0, end: int = COUNT) -> None:
    for at in range(start, end):
        name = "tiny" if at % 100 == 0 else "small" if at % 20 == 0 else "large"
        store.put(entry(f"k{at}", scope(name)), VECTORS[at])


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("filled")
    with reopen(directory) as store:
        fill(store)
    return directory


@pytest.fixture
def directory(filled: Path, tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(filled, tmp_path / "copy")
    yield tmp_path / "copy"
    with reopen(tmp_path / "copy") as store:
        report = store.check()
        assert report.problems == ()
        assert report.vectors == report.entries


def says_built(caplog: pytest.LogCaptureFixture) -> bool:
    return any("vectors built" in record.message for record in caplog.records)


def test_a_good_file_is_used(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "semcache.store")
    with reopen(directory) as store:
        assert not says_built(caplog)
        assert store.stats().detail["large_scopes"] == 1
        for at in range(0, COUNT, 7):
            assert found(store, VECTORS[at]) == f"k{at}"


def flip(at: float) -> Callable[[bytes], bytes]:
    def damage(content: bytes) -> bytes:
        changed = bytearray(content)
        changed[int(at * (len(content) - 1))] ^= 0x10
        return bytes(changed)

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"\x80\x04K\x01.",
        lambda content: content[:100],
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: content.replace(b'"count": ', b'"count": 9', 1),
        lambda content: b" " + content,
        lambda content: content[:8] + b" " + content[8:],
        lambda content: content[:8].upper() + b"\r" + content[8:],
        *(flip(at) for at in (0.0, 0.003, 0.01, 0.1, 0.5, 0.9, 1.0)),
    ],
)
def test_a_damaged_file_is_built_again(
    directory: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "semcache.store")
    path = directory / "semcache.index"
    path.write_bytes(damage(path.read_bytes()))
    with reopen(directory) as store:
        assert says_built(caplog)
        assert found(store, VECTORS[3]) == "k3"


def test_a_lost_file_is_built_again(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "semcache.store")
    (directory / "semcache.index").unlink()
    with reopen(directory) as store:
        assert says_built(caplog)
        assert found(store, VECTORS[3]) == "k3"
    assert (directory / "semcache.index").exists()


def test_an_older_file_catches_up(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    old = (directory / "semcache.index").read_bytes()
    with reopen(directory) as store:
        fill(store, COUNT, COUNT + 30)
        store.remove(["k1", "k2"])
        store.put(entry("k5", scope("large")), VECTORS[COUNT + 40])
    (directory / "semcache.index").write_bytes(old)
    caplog.set_level(logging.INFO, "semcache.store")
    with reopen(directory) as store:
        assert not says_built(caplog)
        assert found(store, VECTORS[COUNT + 3]) == f"k{COUNT + 3}"
        assert found(store, VECTORS[1]) == "nothing"
        assert found(store, VECTORS[5]) == "nothing"
        assert found(store, VECTORS[COUNT + 40]) == "k5"


def test_a_file_older_than_the_tombstones_is_built_again(
    directory: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "TOMBSTONES_KEPT", 3)
    old = (directory / "semcache.index").read_bytes()
    with reopen(directory) as store:
        for at in range(10):
            store.remove([f"k{at}"])
    (directory / "semcache.index").write_bytes(old)
    caplog.set_level(logging.INFO, "semcache.store")
    with reopen(directory) as store:
        assert says_built(caplog)
        assert found(store, VECTORS[1]) == "nothing"
        assert found(store, VECTORS[11]) == "k11"


def test_a_lost_database_does_not_answer_from_the_index(directory: Path) -> None:
    """The old database's ids start at 1 again: its index must not point into the new one."""
    for path in directory.glob("semcache.db*"):
        path.unlink()
    with reopen(directory) as store:
        assert found_nothing(store)
        store.put(entry("new", scope("large")), VECTORS[COUNT])
        assert [c.entry.key for c in store.search(scope("large"), VECTORS[3], 5)] == ["new"]


def found_nothing(store: LocalStore) -> bool:
    return all(not store.search(scope(name), VECTORS[0], 5) for name in ("large", "small", "tiny"))


def test_a_database_restored_from_before_the_index(directory: Path, tmp_path: Path) -> None:
    with reopen(directory) as store:
        store.backup(tmp_path / "backup")
        fill(store, COUNT, COUNT + 10)
        store.remove(["k3"])
    shutil.copy(tmp_path / "backup", directory / "semcache.db")
    with reopen(directory) as store:
        assert found(store, VECTORS[3]) == "k3"
        assert found(store, VECTORS[COUNT + 3]) == "nothing"


def test_a_backup_is_a_store(directory: Path, tmp_path: Path) -> None:
    from semcache.errors import StoreError

    (tmp_path / "other").mkdir()
    copy = tmp_path / "other" / "semcache.db"
    with reopen(directory) as store:
        store.backup(copy)
        with pytest.raises(StoreError, match="new file"):
            store.backup(copy)
        wanted = list(store.scan())
    assert copy.stat().st_mode & 0o777 == 0o600
    with reopen(tmp_path / "other") as store:
        assert list(store.scan()) == wanted
        assert found(store, VECTORS[3]) == "k3"
        assert store.check().problems == ()


def test_another_encoder_starts_with_an_empty_index_and_the_first_comes_back(
    directory: Path,
) -> None:
    with reopen(directory, "encoder-b") as store:
        assert found_nothing(store)
        assert store.get("k3") is not None
        store.put(entry("b", scope("large"), embedder="encoder-b"), VECTORS[3])
        assert found(store, VECTORS[3]) == "b"
        assert store.check().problems == ()
        store.remove(["b"])
    with reopen(directory) as store:
        assert found(store, VECTORS[3]) == "k3"


def test_abandoned_temporary_files_are_swept_and_fresh_ones_kept(directory: Path) -> None:
    import os

    old, fresh = (directory / f"semcache.index.{name}.tmp" for name in ("1-a", "1-b"))
    for path in (old, fresh):
        path.touch()
    os.utime(old, (1, 1))
    with reopen(directory) as store:
        store.remove(["k1"])
    assert not old.exists()
    assert fresh.exists()
