"""The knowledge folder: what belongs to it, what is refused, when it has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from semcache.cag.knowledge import read_knowledge, stamp_of
from semcache.errors import ConfigError, KnowledgeTooLarge


def _write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_texts_and_markdown_are_read_in_the_order_of_their_paths(tmp_path: Path) -> None:
    _write(tmp_path, b_txt="second", a_md="first", sub__c_TXT="third", d_pdf="no", e_txt=" \n")
    knowledge = read_knowledge(tmp_path)
    assert [d.name for d in knowledge.documents] == ["a.md", "b.txt", "sub/c.TXT"]
    assert knowledge.text == "first\n\nsecond\n\nthird"


def test_byte_order_mark_and_windows_line_ends_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    assert read_knowledge(tmp_path).text == "one\ntwo"


def test_hidden_files_and_links_that_lead_outside_are_ignored(tmp_path: Path) -> None:
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
    assert read_knowledge(inside).text == "a\n\nb\n\nb"


def test_a_pipe_called_txt_is_not_waited_for(tmp_path: Path) -> None:
    _write(tmp_path, a_txt="a")
    os.mkfifo(tmp_path / "b.txt")
    assert read_knowledge(tmp_path).text == "a"


def test_the_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    def digest(**files: str) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        _write(folder, **files)
        return read_knowledge(folder).digest

    base = digest(a_txt="one", b_txt="two")
    assert digest(a_txt="one", b_txt="two") == base
    others = [
        digest(a_txt="one", b_txt="Two"),
        digest(a_txt="one", c_txt="two"),
        digest(a_txt="onetwo"),
        digest(a_txt="one", b_txt="two", c_txt=""),
        digest(a_txt="two", b_txt="one"),
    ]
    assert len({base, *others}) == len(others) + 1


def test_the_stamp_sees_a_touched_an_added_and_a_removed_file(tmp_path: Path) -> None:
    _write(tmp_path, a_txt="one", b_txt="two")
    first = stamp_of(tmp_path)
    assert stamp_of(tmp_path) == first == read_knowledge(tmp_path).stamp
    os.utime(tmp_path / "a.txt", ns=(1, 1))
    second = stamp_of(tmp_path)
    _write(tmp_path, c_txt="")
    third = stamp_of(tmp_path)
    (tmp_path / "b.txt").unlink()
    assert len({first, second, third, stamp_of(tmp_path)}) == 4


def test_what_is_not_utf8_is_named(tmp_path: Path) -> None:
    _write(tmp_path, a_txt="fine")
    (tmp_path / "bad.txt").write_bytes(b"abc \xff\xfe")
    with pytest.raises(ConfigError, match=r"bad\.txt is not UTF-8 \(byte 4\)"):
        read_knowledge(tmp_path)


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, a_txt="fine", b_txt="locked")
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "b.txt":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ConfigError, match=r"b\.txt: Permission denied"):
        read_knowledge(tmp_path)


@pytest.mark.parametrize(
    ("files", "problem"),
    [({}, r"No \.txt or \.md file"), ({"a_txt": " \n", "b_md": ""}, "Every document .* is empty")],
)
def test_a_folder_without_text_is_refused(
    tmp_path: Path, files: dict[str, str], problem: str
) -> None:
    _write(tmp_path, **files)
    with pytest.raises(ConfigError, match=problem):
        read_knowledge(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist or is no folder"):
        read_knowledge(tmp_path / "nowhere")


def test_far_too_many_bytes_are_refused_unread(tmp_path: Path) -> None:
    _write(tmp_path, a_txt="x" * 70, b_txt="x" * 50)
    with pytest.raises(KnowledgeTooLarge, match=r"120 bytes.* 100 .*20 too many"):
        read_knowledge(tmp_path, max_bytes=100)
