"""`semcache knowledge` from build to search, with the default encoder and tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from semcache import cli


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    """A folder with a good and a broken document, and another place with one."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "lamp.md").write_text("# HL-20\n\nThe lamp draws 1,800 watts and hangs in the hall.")
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "lease.txt").write_text("The notice period of the lease is three months.")
    return ["-d", str(tmp_path / "data")]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(["knowledge", *arguments])
    assert isinstance(left.value.code, int)
    return left.value.code


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_build_add_search_remove(
    tmp_path: Path, places: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("build", *places, "--knowledge", str(tmp_path / "docs"), "--json") == 1
    built = told(capsys)
    assert (built["documents"], built["passages"], built["read"]) == (2, 1, 1)
    assert list(built["problems"]) == ["broken.pdf"]
    (tmp_path / "docs" / "broken.pdf").unlink()

    assert run("add", str(tmp_path / "lease.txt"), *places) == 0
    assert "2 documents, 2 passages; 1 documents were new" in capsys.readouterr().out
    assert run("build", *places, "--json") == 0
    assert told(capsys)["read"] == 0

    assert run("list", *places, "--json") == 0
    assert [(one["name"], one["problem"]) for one in told(capsys)] == [
        ("lamp.md", None),
        ("lease.txt", None),
    ]
    assert run("search", "How long is the notice period?", *places, "-k", "1", "--json") == 0
    (found,) = told(capsys)
    assert found["passage"]["document"] == "lease.txt"
    assert 0 < found["score"] < 1
    assert run("search", "How many watts does the lamp draw?", *places) == 0
    assert "HL-20" in capsys.readouterr().out.splitlines()[0]

    assert run("remove", "lease.txt", *places) == 0
    capsys.readouterr()
    assert run("list", *places) == 0
    assert "lease.txt" not in capsys.readouterr().out


def test_what_cannot_be_done_is_said(
    tmp_path: Path, places: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("search", "Anything?", *places) == 1
    assert run("build", *places) == 2
    assert "There is no document" in capsys.readouterr().err
    assert run("build", *places, "--knowledge", str(tmp_path / "nowhere")) == 2
    assert "does not exist" in capsys.readouterr().err
    assert run("add", str(tmp_path / "nothing.txt"), *places) == 2
    assert run("remove", "nothing.txt", *places) == 2
    assert run("search", "Anything?", "-k", "0", *places) == 2
