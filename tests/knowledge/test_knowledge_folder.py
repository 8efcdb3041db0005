"""The folder of documents: what belongs to it, and when it has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from semcache.errors import ConfigError
from semcache.knowledge.folder import stamp_of

SUFFIXES = {".txt", ".md"}


def _write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _names(folder: Path) -> list[str]:
    return [name for name, _, _ in stamp_of(folder, SUFFIXES)]


def test_documents_are_told_in_the_order_of_their_paths(tmp_path: Path) -> None:
    _write(tmp_path, b_txt="second", a_md="first", sub__c_TXT="third", d_pdf="no")
    assert _names(tmp_path) == ["a.md", "b.txt", "sub/c.TXT"]


def test_hidden_files_links_that_lead_outside_and_pipes_are_ignored(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    inside = tmp_path / "inside"
    _write(outside, secret_txt="secret", more__x_txt="more")
    _write(inside, a_txt="a", sub__b_txt="b")
    (inside / ".hidden.txt").write_text("hidden")
    (inside / ".git").mkdir()
    (inside / ".git" / "x.txt").write_text("hidden")
    (inside / "leak.txt").symlink_to(outside / "secret.txt")
    (inside / "folder").symlink_to(outside / "more")
    (inside / "gone.txt").symlink_to(inside / "nothing.txt")
    (inside / "again.txt").symlink_to(inside / "sub" / "b.txt")
    os.mkfifo(inside / "pipe.txt")
    assert _names(inside) == ["a.txt", "again.txt", "sub/b.txt"]


def test_the_stamp_sees_a_touched_an_added_and_a_removed_file(tmp_path: Path) -> None:
    _write(tmp_path, a_txt="one", b_txt="two")
    first = stamp_of(tmp_path, SUFFIXES)
    assert stamp_of(tmp_path, SUFFIXES) == first
    os.utime(tmp_path / "a.txt", ns=(1, 1))
    second = stamp_of(tmp_path, SUFFIXES)
    _write(tmp_path, c_txt="")
    third = stamp_of(tmp_path, SUFFIXES)
    (tmp_path / "b.txt").unlink()
    assert len({first, second, third, stamp_of(tmp_path, SUFFIXES)}) == 4


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist or is no folder"):
        stamp_of(tmp_path / "nowhere", SUFFIXES)
