"""The journal of verdicts: durable, shared, private, bounded."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from semcache.errors import StoreError
from semcache.journal import Journal, Remark, Verdict


def remark(asked: str | None, key: str, verdict: Verdict = "wrong", tenant: str = "t") -> Remark:
    return Remark(1.5, tenant, 7, key, verdict, asked, "stored", "a comment")


def test_what_was_called_wrong_is_known_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "feedback.db"
    journal = Journal(path)
    journal.add(remark("q", "k1"))
    journal.add(remark("q", "k2"))
    journal.add(remark("r", "k3", "right"))
    journal.add(remark(None, "k4"))
    journal.close()
    again = Journal(path)
    assert set(again.refuted("q")) == {"k1", "k2"}
    assert set(again.refuted("r")) == set()
    assert [one.entry_key for one in again.remarks()] == ["k1", "k2", "k3", "k4"]
    assert again.remarks()[0] == remark("q", "k1")
    again.close()


def test_another_process_sees_it_at_once(tmp_path: Path) -> None:
    one, other = Journal(tmp_path / "f.db"), Journal(tmp_path / "f.db")
    assert not other.refuted("q")
    one.add(remark("q", "k"))
    assert set(other.refuted("q")) == {"k"}
    one.close()
    other.close()


def test_the_file_is_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    Journal(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_oldest_go_first() -> None:
    journal = Journal(capacity=3)
    for at in range(5):
        journal.add(remark(f"q{at}", "k"))
    assert [one.asked for one in journal.remarks()] == ["q2", "q3", "q4"]
    assert not journal.refuted("q1")
    journal.close()


def test_a_tenants_remarks_can_be_forgotten() -> None:
    journal = Journal()
    journal.add(remark("q", "k1", tenant="a"))
    journal.add(remark("q", "k2", tenant="b"))
    journal.forget("a")
    assert set(journal.refuted("q")) == {"k2"}
    journal.forget()
    assert not journal.refuted("q")
    journal.close()


def test_what_is_no_database_is_refused_and_not_deleted(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    path.write_bytes(b"something else" * 100)
    with pytest.raises(StoreError):
        Journal(path)
    assert path.read_bytes() == b"something else" * 100


def test_a_closed_journal_says_so(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "f.db")
    journal.close()
    journal.close()
    with pytest.raises(StoreError, match="closed"):
        journal.add(remark("q", "k"))
    with sqlite3.connect(tmp_path / "f.db") as database:
        assert database.execute("SELECT count(*) FROM feedback").fetchone() == (0,)
    database.close()
