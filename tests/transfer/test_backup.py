"""`semcache backup` of a store that another process writes to, and `semcache restore`."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest

from semcache.installation import read_secret
from semcache.journal import Journal, Remark
from tests.store.writing_process import opened
from tests.transfer.test_import import ROOT, run


def started(data: Path, said: list[str]) -> tuple[subprocess.Popen[str], threading.Thread]:
    """A process that puts and removes, and says each key once that is durable."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.writing_process", "put", str(data), "1"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )

    def listen() -> None:
        for line in process.stdout or ():
            said.append(line.strip())

    listener = threading.Thread(target=listen)
    listener.start()
    return process, listener


def wait_for(said: list[str], count: int) -> None:
    deadline = time.monotonic() + 60
    while len(said) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_live_store_is_copied_in_one_state(tmp_path: Path) -> None:
    data, said = tmp_path / "data", list[str]()
    data.mkdir()
    secret = read_secret(data)
    journal = Journal(data / "feedback.db")
    journal.add(Remark(1.0, "t", 1, "k", "wrong", "a", "b"))
    process, listener = started(data, said)
    known: dict[str, list[str]] = {}
    try:
        for name in ("one.tar.gz", "two"):
            wait_for(said, len(said) + 150)
            known[name] = list(said)
            assert run("backup", str(tmp_path / name), "-d", str(data)) == 0
        wait_for(said, len(said) + 50)
    finally:
        process.kill()
        listener.join()  # it reads to the end before the pipe is closed
        process.communicate()
    journal.close()
    assert stat.S_IMODE((tmp_path / "one.tar.gz").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "two").stat().st_mode) == 0o700
    for name, lines in known.items():
        back = tmp_path / f"{name} back"
        assert run("restore", str(tmp_path / name), "-d", str(back)) == 0
        assert read_secret(back) == secret
        assert {stat.S_IMODE(path.stat().st_mode) for path in back.iterdir()} == {0o600}
        restored = Journal(back / "feedback.db")
        assert restored.refuted("a") == {"k"}
        restored.close()
        with opened(back) as store:
            there = {entry.key for entry in store.scan()}
            report = store.check()
            assert report.clean, report.problems
            assert report.vectors == report.entries
        assert {line[2:] for line in lines if line.startswith("+")} <= there
        assert not {line[2:] for line in lines if line.startswith("-")} & there
        # Nothing is overwritten, neither way.
        assert run("restore", str(tmp_path / name), "-d", str(back)) == 2
        assert run("backup", str(tmp_path / name), "-d", str(back)) == 2


def test_what_is_damaged_or_foreign_is_not_restored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(tmp_path / "data"):
        pass
    assert run("backup", str(tmp_path / "b.tar"), "-d", str(tmp_path / "data")) == 0
    with tarfile.open(tmp_path / "b.tar") as tar:
        files = [(one, (tar.extractfile(one) or io.BytesIO()).read()) for one in tar]

    def packed(name: str, kind: bytes = tarfile.REGTYPE, spoil: bool = False) -> str:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.tar"
        with tarfile.open(path, "w") as tar:
            for member, content in files:
                data = content[:-1] + b"x" if spoil and member.name == "semcache.db" else content
                tar.addfile(member, io.BytesIO(data))
            extra = tarfile.TarInfo(name)
            extra.type, extra.linkname = kind, "/etc/passwd"
            tar.addfile(extra, io.BytesIO())
        return str(path)

    back = str(tmp_path / "back")
    for source, problem in (
        (packed("../escaped"), "does not name"),
        (packed("secret", tarfile.SYMTYPE), "no plain file"),
        (packed("more.db", spoil=True), "damaged"),
        (str(tmp_path / "data"), "no backup"),
    ):
        assert run("restore", source, "-d", back) == 2
        assert problem in capsys.readouterr().err
        assert not list(Path(back).iterdir())
    assert not (tmp_path / "escaped").exists()
