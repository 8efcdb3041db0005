"""The ledger: what was acknowledged is there, whoever was killed, and it never outgrows itself."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from semcache.errors import StoreError, StoreLocked
from semcache.verify.certify import Label
from semcache.verify.ledger import Ledger, Record

WRITER = """
import sys
from pathlib import Path
from semcache.verify.certify import Label
from semcache.verify.ledger import Ledger, Record
ledger = Ledger(Path(sys.argv[1]))
for at in range(int(sys.argv[2])):
    ledger.add([Record(Label(0.5, False, at=float(at), slice=sys.argv[3]))])
    print(at, flush=True)
"""


def writer(path: Path, count: int, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(count), name],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )


def record(at: int) -> Record:
    return Record(Label(0.9, False, at=float(at)))


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    label = Label(0.875, True, 12.5, 1_700_000_000.25, "en'; DROP TABLE label; --", True, "shadow")
    kept = Record(label, 42, "0f3a", None, "number_conflict")
    ledger = Ledger(tmp_path / "labels.sqlite")
    ledger.add([kept])
    ledger.close()
    again = Ledger(tmp_path / "labels.sqlite")
    assert again.recent(10) == [kept]
    again.close()


def test_questions_are_kept_only_where_that_was_asked_for(tmp_path: Path) -> None:
    asked = Record(Label(0.9, True), question="what does Anna earn")
    for keep, found in ((False, None), (True, "what does Anna earn")):
        path = tmp_path / f"{keep}.sqlite"
        ledger = Ledger(path, keep_questions=keep)
        ledger.add([asked])
        assert ledger.recent(1)[0].question == found
        ledger.close()
        assert (b"Anna" in path.read_bytes()) is keep


def test_the_oldest_go_first(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "labels.sqlite", capacity=5)
    for at in range(9):
        ledger.add([record(at)])
    ledger.add([record(at) for at in range(9, 12)])
    assert [kept.label.at for kept in ledger.recent(99)] == [7.0, 8.0, 9.0, 10.0, 11.0]
    assert ledger.count() == 5
    assert [kept.label.at for kept in ledger.recent(2)] == [10.0, 11.0]
    assert [kept.label.at for kept in ledger.recent(99, since=10.0)] == [10.0, 11.0]
    ledger.close()


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    path = tmp_path / "data" / "labels.sqlite"
    before = os.umask(0)
    try:
        ledger = Ledger(path)
        ledger.add([record(1)])
        modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    ledger.close()


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "labels.sqlite"
    process = writer(path, 100_000, "a")
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline()) for _ in range(30)]
    process.send_signal(signal.SIGKILL)
    acknowledged += [int(line) for line in process.stdout.read().split()]
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    ledger = Ledger(path)
    kept = [int(found.label.at) for found in ledger.recent(200_000)]
    # A label may be durable before it could be acknowledged; none may be the other way round.
    assert kept[: len(acknowledged)] == acknowledged
    assert len(kept) - len(acknowledged) in (0, 1)
    ledger.add([record(7)])
    ledger.close()


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "labels.sqlite"
    both = [writer(path, 60, name) for name in ("a", "b")]
    for process in both:
        process.communicate(timeout=120)
        assert process.returncode == 0
    ledger = Ledger(path)
    kept = ledger.recent(1_000)
    for name in ("a", "b"):
        assert [r.label.at for r in kept if r.label.slice == name] == [float(n) for n in range(60)]
    ledger.close()


def test_threads_share_a_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "labels.sqlite")

    def work() -> None:
        for at in range(25):
            ledger.add([record(at)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.count() == 100
    ledger.close()


def test_a_batch_is_all_or_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "labels.sqlite")
    with pytest.raises(StoreError):
        ledger.add([record(1), Record(Label(float("nan"), False))])
    assert ledger.count() == 0
    ledger.add([record(2)])
    assert ledger.count() == 1
    ledger.close()


def test_a_locked_ledger_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semcache.sqlite_file._BUSY_MS", 50)
    path = tmp_path / "labels.sqlite"
    ledger = Ledger(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreLocked):
        ledger.add([record(1)])
    holder.execute("ROLLBACK")
    holder.close()
    ledger.add([record(1)])
    assert ledger.count() == 1
    ledger.close()


def test_what_is_no_ledger_is_refused_with_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "labels.sqlite"
    path.write_bytes(b"these are not the labels you are looking for" * 100)
    with pytest.raises(StoreError, match="move the file away"):
        Ledger(path)
    with pytest.raises(StoreError, match="opened"):
        Ledger(tmp_path)
    with pytest.raises(StoreError, match="capacity"):
        Ledger(tmp_path / "new.sqlite", capacity=0)


def test_a_closed_ledger_refuses_and_may_be_closed_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "labels.sqlite")
    ledger.close()
    ledger.close()
    with pytest.raises(StoreError, match="closed"):
        ledger.add([record(1)])
    with pytest.raises(StoreError, match="closed"):
        ledger.recent(1)
