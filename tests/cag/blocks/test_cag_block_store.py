"""Stored blocks: bit by bit, whole or a miss, bounded, and never evicted while in use."""

from __future__ import annotations

import logging
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from semcache.cag.blocks.block_file import BlockFolder
from semcache.cag.blocks.block_store import BlockKeys, BlockStore
from semcache.cag.context.segments import LayerKV
from semcache.cag.network.identity import ModelIdentity

CPU = torch.device("cpu")
EXACT = torch.float32
LAYERS, TOKENS = 5, 40
SIZE = LAYERS * 2 * 2 * TOKENS * 8 * 4
KEYS = [f"{number:064x}" for number in range(8)]


def _block(seed: int = 0, dtype: torch.dtype = EXACT) -> tuple[LayerKV, ...]:
    """Views into larger buffers, as a tail makes them."""
    made = torch.Generator().manual_seed(seed)
    parts = [
        torch.randn(1, 2, TOKENS + 9, 8, generator=made).to(dtype)[:, :, :TOKENS]
        for _ in range(2 * LAYERS)
    ]
    return tuple(zip(parts[::2], parts[1::2], strict=True))


def _same(found: tuple[LayerKV, ...] | None, expected: tuple[LayerKV, ...]) -> bool:
    return found is not None and all(
        torch.equal(a, b)
        for ours, theirs in zip(found, expected, strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )


def _folder(path: Path, most: int = 100 * SIZE) -> BlockFolder:
    return BlockFolder(path / "blocks", most, EXACT, EXACT)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BlockStore]:
    store = BlockStore(_folder(tmp_path), 3 * SIZE, CPU)
    yield store
    store.close()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_what_is_saved_is_loaded_bit_by_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    folder = BlockFolder(tmp_path, 100 * SIZE, dtype, dtype)
    block = _block(dtype=dtype)
    assert folder.load(KEYS[0]) is None
    assert folder.save(KEYS[0], block)
    assert _same(folder.load(KEYS[0]), block)
    assert _same(BlockFolder(tmp_path, 100 * SIZE, dtype, dtype).load(KEYS[0]), block)


def test_half_precision_takes_half_the_space(tmp_path: Path) -> None:
    exact, half = _folder(tmp_path), BlockFolder(tmp_path / "h", 100 * SIZE, torch.float16, EXACT)
    for folder in (exact, half):
        folder.save(KEYS[0], _block())
    found = half.load(KEYS[0])
    assert found is not None
    assert found[1][0].dtype == EXACT
    assert torch.equal(found[1][0], _block()[1][0].half().float())
    assert exact.bytes() - half.bytes() == SIZE // 2


def test_file_and_folder_are_the_owners_only(tmp_path: Path) -> None:
    _folder(tmp_path).save(KEYS[0], _block())
    path = tmp_path / "blocks" / f"{KEYS[0]}.safetensors"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_loaded_block_lies_in_the_file_and_outlives_it(tmp_path: Path) -> None:
    _folder(tmp_path).save(KEYS[0], _block())
    found = _folder(tmp_path).load(KEYS[0])
    assert found is not None
    mapped = Path("/proc/self/maps").read_text()
    assert f"{KEYS[0]}.safetensors" in mapped
    (tmp_path / "blocks" / f"{KEYS[0]}.safetensors").unlink()
    assert _same(found, _block())


@pytest.mark.parametrize(
    "damage", ["truncated", "flipped", "swapped", "zeroed", "empty", "renamed"]
)
def test_a_damaged_file_is_a_miss_and_goes(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = _folder(tmp_path)
    folder.save(KEYS[0], _block())
    path = tmp_path / "blocks" / f"{KEYS[0]}.safetensors"
    content = bytearray(path.read_bytes())
    start = len(content) - SIZE
    if damage == "truncated":
        content = content[:-8]
    elif damage == "flipped":
        content[-300] ^= 1
    elif damage == "swapped":  # two pages of the same tensor change places
        one, other = slice(start, start + 4096), slice(start + 4096, start + 8192)
        content[one], content[other] = content[other], content[one]
    elif damage == "zeroed":
        content[start : start + 4096] = bytes(4096)
    elif damage == "empty":
        content = bytearray()
    else:
        path = path.rename(path.with_name(f"{KEYS[1]}.safetensors"))
    path.write_bytes(content)
    key = path.stem
    with caplog.at_level(logging.WARNING):
        assert folder.load(key) is None
    assert "refused, it is read anew" in caplog.text
    assert not path.exists()
    folder.save(key, _block(1))
    assert _same(folder.load(key), _block(1))


def test_a_file_that_changed_is_looked_at_again(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    folder.save(KEYS[0], _block())
    assert folder.load(KEYS[0]) is not None
    path = tmp_path / "blocks" / f"{KEYS[0]}.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, (1, 1))  # a file's time is as coarse as the system's clock
    assert folder.load(KEYS[0]) is None


def test_the_disk_is_bounded_and_the_least_recently_used_go(tmp_path: Path) -> None:
    folder = _folder(tmp_path, 4 * SIZE)  # three files, as each has a header
    for at, key in enumerate(KEYS[:3]):
        folder.save(key, _block(at))
        os.utime(tmp_path / "blocks" / f"{key}.safetensors", (at, at))
    assert folder.load(KEYS[0]) is not None
    (tmp_path / "blocks" / "mine.safetensors").write_bytes(b"not the engine's")
    folder.save(KEYS[3], _block(3))
    assert [folder.has(key) for key in KEYS[:4]] == [True, False, True, True]
    assert folder.bytes() <= 4 * SIZE
    assert (tmp_path / "blocks" / "mine.safetensors").exists()
    assert _folder(tmp_path).bytes() == folder.bytes()


def test_memory_is_bounded_but_for_what_is_in_use(store: BlockStore) -> None:
    using = store.lease()
    held = using.put(KEYS[0], _block(0))
    for at in range(1, 6):
        lease = store.lease()
        lease.put(KEYS[at], _block(at))
        lease.close()
    store.close()
    assert store.bytes <= 3 * SIZE
    again = store.lease()
    found = again.take(KEYS[0])
    assert found is held
    many = [again.take(key) for key in KEYS[1:6]]
    assert store.bytes == 6 * SIZE
    assert all(_same(one, _block(at)) for at, one in enumerate(many, 1))
    for lease in (using, again):
        lease.close()
    assert store.bytes <= 3 * SIZE


def test_what_was_evicted_comes_back_from_the_disk(tmp_path: Path) -> None:
    store = BlockStore(_folder(tmp_path), SIZE, CPU)
    for at in range(3):
        lease = store.lease()
        lease.put(KEYS[at], _block(at))
        lease.close()
    store.close()
    assert store.bytes == SIZE
    other = BlockStore(_folder(tmp_path), SIZE, CPU)
    lease = other.lease()
    for at in range(3):
        assert _same(lease.take(KEYS[at]), _block(at))
    assert lease.take(KEYS[7]) is None
    other.close()


def test_who_comes_second_gets_what_the_first_brought(store: BlockStore) -> None:
    first, second = store.lease(), store.lease()
    one = first.put(KEYS[0], _block(0))
    assert second.put(KEYS[0], _block(0)) is one
    assert store.bytes == SIZE
    assert one[0][0].untyped_storage().nbytes() == SIZE // 2  # without the buffer's spare room


def test_many_threads(tmp_path: Path) -> None:
    store = BlockStore(_folder(tmp_path, 6 * SIZE), 2 * SIZE, CPU)
    wrong: list[str] = []

    def work(seed: int) -> None:
        for turn in range(40):
            at = (seed * 7 + turn * 3) % 8
            lease = store.lease()
            found = lease.take(KEYS[at]) or lease.put(KEYS[at], _block(at))
            if not _same(found, _block(at)):
                wrong.append(KEYS[at])
            lease.close()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    assert not wrong
    assert store.bytes <= 2 * SIZE


KILLED = """
import sys, torch
from pathlib import Path
from semcache.cag.blocks.block_file import BlockFolder
folder = BlockFolder(Path(sys.argv[1]), 10**12, torch.float32, torch.float32)
print("begun", flush=True)
number = 0
while True:
    block = tuple((torch.full((1, 2, 999, 8), float(number)),) * 2 for _ in range(20))
    folder.save(f"{number:064x}", block)
    number += 1
"""


def test_a_killed_writer_leaves_whole_files_only(tmp_path: Path) -> None:
    for wait in (0.05, 0.2):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        child.stdout.readline()
        while not any(tmp_path.glob("*.safetensors")):
            time.sleep(0.01)
        time.sleep(wait)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        folder = BlockFolder(tmp_path, 10**12, EXACT, EXACT)
        files = sorted(tmp_path.glob("*.safetensors"))
        assert files
        for path in files:
            with safe_open(path, framework="pt") as file:
                assert set(file.keys()) == {"keys", "values"}
            found = folder.load(path.stem)
            assert found is not None
            assert bool((found[19][1] == float(int(path.stem, 16))).all())


def test_keys_tell_everything_apart_that_shapes_a_block() -> None:
    identity = ModelIdentity("w", "t", "c")
    keys = BlockKeys(identity, EXACT, "split")
    head = keys.after(keys.root, (1, 2))
    names = {
        keys.root,
        BlockKeys(ModelIdentity("x", "t", "c"), EXACT, "split").root,
        BlockKeys(ModelIdentity("w", "x", "c"), EXACT, "split").root,
        BlockKeys(identity, torch.float16, "split").root,
        BlockKeys(identity, EXACT, "fork").root,
        head,
        keys.after(keys.root, (12,)),
        keys.after(keys.root, (2, 1)),
        keys.after(head, (1, 2)),
        keys.after(head, (3,)),
        keys.after(keys.root, (3,)),
    }
    assert len(names) == 11
    assert all(len(name) == 64 for name in names)
    same = BlockKeys(ModelIdentity("w", "t", "other template"), EXACT, "split")
    assert same.root == keys.root  # the template shapes the tokens, and they are in the key


def test_a_disk_that_cannot_be_written_is_no_outage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    folder = BlockFolder(tmp_path / "file" / "blocks", 10**9, EXACT, EXACT)
    with caplog.at_level(logging.WARNING):
        assert not folder.save(KEYS[0], _block())
    assert "cannot be stored" in caplog.text
    assert folder.load(KEYS[0]) is None
