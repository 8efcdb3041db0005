"""Saved prefixes: lossless, whole or refused, private, bounded in number."""

from __future__ import annotations

import logging
import os
import stat
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from semcache.cag.context.prefix import Prefix
from semcache.cag.context.prefix_file import PrefixFolder, PrefixHeader

HEADER = PrefixHeader(
    weights="w",
    tokenizer="t",
    template="c",
    knowledge="k",
    token_ids="i",
    tokens=7,
    dtype="float32",
    stored_dtype="float32",
    sharing="split",
)


def _prefix(dtype: torch.dtype = torch.float32) -> Prefix:
    torch.manual_seed(0)
    # Views into larger buffers, as the engine makes them.
    layers = [tuple(torch.randn(1, 2, 9, 8).to(dtype)[:, :, :7] for _ in "kv") for _ in range(11)]
    return Prefix(tuple(range(7)), tuple((key, value) for key, value in layers))


def _equal(found: object, prefix: Prefix) -> bool:
    assert isinstance(found, tuple)
    return len(found) == len(prefix.layers) and all(
        torch.equal(a, b)
        for ours, theirs in zip(found, prefix.layers, strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_what_is_saved_is_loaded_bit_by_bit(tmp_path: Path, dtype: str) -> None:
    header = replace(HEADER, dtype=dtype, stored_dtype=dtype)
    folder, prefix = PrefixFolder(tmp_path / "prefixes", 2), _prefix(getattr(torch, dtype))
    assert folder.load(header) is None
    assert folder.save(header, prefix) == folder.path_of(header)
    assert _equal(folder.load(header), prefix)


def test_half_precision_takes_half_the_space(tmp_path: Path) -> None:
    folder, prefix = PrefixFolder(tmp_path, 3), _prefix()
    halved = replace(HEADER, stored_dtype="float16")
    folder.save(HEADER, prefix)
    folder.save(halved, prefix)
    found = folder.load(halved)
    assert found is not None
    assert found[0][0].dtype == torch.float32
    assert torch.equal(found[3][1], prefix.layers[3][1].half().float())
    sizes = [folder.path_of(header).stat().st_size for header in (HEADER, halved)]
    assert sizes[0] - sizes[1] >= prefix.bytes // 2 - 256


def test_file_and_folder_are_the_owners_only(tmp_path: Path) -> None:
    folder = PrefixFolder(tmp_path / "prefixes", 2)
    path = folder.save(HEADER, _prefix())
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", [field.name for field in fields(PrefixHeader)])
def test_a_prefix_made_from_anything_else_is_refused(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = PrefixFolder(tmp_path, 3)
    value = getattr(HEADER, name)
    changed = 99 if isinstance(value, int) else "float64" if "dtype" in name else "other"
    change: dict[str, Any] = {name: changed}
    other = replace(HEADER, **change)
    saved = folder.save(HEADER, _prefix())
    assert saved is not None
    assert folder.load(other) is None  # it has another name
    saved.replace(folder.path_of(other))
    with caplog.at_level(logging.WARNING):
        assert folder.load(other) is None
    assert "made from something else" in caplog.text


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "grown", "header"])
def test_a_damaged_file_is_refused_and_can_be_replaced(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder, prefix = PrefixFolder(tmp_path, 3), _prefix()
    path = folder.save(HEADER, prefix)
    assert path is not None
    content = bytearray(path.read_bytes())
    damaged: dict[str, bytes] = {
        "truncated": bytes(content[:-10]),
        "empty": b"",
        "grown": bytes(content) + b"x",
    }
    if damage == "flipped":
        content[-300] ^= 1
    elif damage == "header":
        content[20] ^= 0xFF
    path.write_bytes(damaged.get(damage, bytes(content)))
    with caplog.at_level(logging.WARNING):
        assert folder.load(HEADER) is None
    assert "refused, it is read anew" in caplog.text
    folder.save(HEADER, prefix)
    assert _equal(folder.load(HEADER), prefix)


def test_the_most_recently_used_stay(tmp_path: Path) -> None:
    folder, prefix = PrefixFolder(tmp_path, 2), _prefix()
    headers = [replace(HEADER, knowledge=str(at)) for at in range(3)]
    for at, header in enumerate(headers[:2]):
        path = folder.save(header, prefix)
        assert path is not None
        os.utime(path, (at, at))
    (tmp_path / "mine.safetensors").write_bytes(b"not the engine's")
    assert folder.load(headers[0]) is not None  # used now, so the second is the oldest
    folder.save(headers[2], prefix)
    assert [folder.path_of(header).exists() for header in headers] == [True, False, True]
    assert (tmp_path / "mine.safetensors").exists()


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    folder = PrefixFolder(tmp_path, 2)
    digest = HEADER.digest()
    old, fresh = (tmp_path / f".{digest}-{tail}.tmp" for tail in ("0" * 8, "1" * 8))
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    folder.save(HEADER, _prefix())
    assert not old.exists()
    assert fresh.exists()  # another process may be writing it


def test_a_folder_that_cannot_be_written_is_no_outage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    folder = PrefixFolder(tmp_path / "file" / "prefixes", 2)
    with caplog.at_level(logging.WARNING):
        assert folder.save(HEADER, _prefix()) is None
    assert "cannot be saved" in caplog.text


def test_a_loaded_prefix_outlives_its_file(tmp_path: Path) -> None:
    folder, prefix = PrefixFolder(tmp_path, 2), _prefix()
    path = folder.save(HEADER, prefix)
    assert path is not None
    found = folder.load(HEADER)
    path.unlink()
    assert _equal(found, prefix)
