"""The command `semcache`: exit codes and what it prints."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from semcache import cli
from semcache.chat import text_request
from semcache.embedding import SentenceEncoder
from semcache.interfaces import Entry
from semcache.keys import request_key
from semcache.store import LocalStore
from tests.scripted import echo


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    return int(left.value.code or 0)


def filled(folder: Path) -> None:
    encoder = SentenceEncoder.open()
    request = text_request("Why?", tenant="t", model="m")
    key = request_key(request)
    with LocalStore(folder, dim=encoder.dim, embedder=encoder.fingerprint) as store:
        made_by = encoder.fingerprint
        entry = Entry(key.exact, key.scope, "Why?", echo(request), 1.0, embedder=made_by)
        store.put(entry, encoder.encode(["Why?"])[0].vector)


def test_stats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(tmp_path)
    assert run("stats", "-d", str(tmp_path)) == 0
    assert json.loads(capsys.readouterr().out)["entries"] == 1


def test_check_finds_and_mends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(tmp_path)
    assert run("check", "-d", str(tmp_path)) == 0
    assert "1 entries, 1 vectors, 0 problems" in capsys.readouterr().out
    with sqlite3.connect(tmp_path / "semcache.db") as database:
        database.execute("UPDATE totals SET entries = 7")
    database.close()
    assert run("check", "-d", str(tmp_path)) == 1
    assert run("check", "--fix", "-d", str(tmp_path)) == 0
    assert run("check", "-d", str(tmp_path)) == 0


def test_config_prints_what_is_in_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("policy: {ttl_s: 60}\n")
    assert run("config", "-f", str(file), "-d", "there") == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["policy"]["ttl_s"] == 60
    assert shown["gptcache"]["data_dir"] == "there"


def test_prepare_without_an_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("engines: []\n")
    assert run("prepare", "-f", str(file), "-d", str(tmp_path / "d")) == 0
    assert "ready" in capsys.readouterr().err


def test_what_prevents_looking_exits_with_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("stats", "-f", str(tmp_path / "none.yaml")) == 2
    assert "Cannot read" in capsys.readouterr().err


def test_python_runs_it_as_a_module() -> None:
    asked = [sys.executable, "-m", "semcache", "--version"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert said.stdout.split()[0] == "semcache"
