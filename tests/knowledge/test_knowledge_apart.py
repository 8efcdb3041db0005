"""A file that takes for ever, or brings its reader down, holds nobody up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from semcache.errors import ConfigError, UnreadableDocument
from semcache.knowledge.apart import ReaderApart
from semcache.knowledge.loading import text_of
from semcache.knowledge.settings import KnowledgeSettings
from tests.knowledge.test_knowledge_loading import docx, paragraph

MOST = 1_000_000
HOSTILE = b',"a' * 21_000
"""csv.Sniffer looks for the end of each quote to the end of the file: minutes."""


def test_what_takes_too_long_is_named_and_the_next_file_is_read() -> None:
    reader, hasty = ReaderApart(60.0), ReaderApart(3.0)
    table, letter = b"city,people\nRome,2800000\n", docx(paragraph("The lease ends in May."))
    try:
        for name, content in (("t.csv", table), ("l.docx", letter), ("a.txt", b"plain")):
            read = reader.text_of(Path(name), content, MOST)
            assert read == text_of(Path(name), content, MOST)
        with pytest.raises(UnreadableDocument, match=r"slow\.csv .*longer than 3 s"):
            hasty.text_of(Path("slow.csv"), HOSTILE, MOST)
        assert "Rome" in hasty.text_of(Path("t.csv"), table, MOST)
        with pytest.raises(UnreadableDocument) as apart:
            reader.text_of(Path("bad.json"), b"{", MOST)
        with pytest.raises(UnreadableDocument) as here:
            text_of(Path("bad.json"), b"{", MOST)
        assert apart.value.message == here.value.message
        assert reader._process is not None
        reader._process.kill()
        with pytest.raises(UnreadableDocument, match="broke down"):
            reader.text_of(Path("t.csv"), table * 10_000, MOST)
    finally:
        reader.close()
        hasty.close()
    assert reader._process is hasty._process is None


def test_the_reader_ends_with_who_asked() -> None:
    command = [sys.executable, "-m", "semcache.knowledge.reading_process", "60"]
    ended = subprocess.run(command, input=b"\0\0", capture_output=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, b"")


def test_the_bound_is_checked() -> None:
    with pytest.raises(ConfigError, match="max_read_s"):
        KnowledgeSettings(max_read_s=0)
