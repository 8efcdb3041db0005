"""Whose entries become whose: keys made again, what is sealed, what was called wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from semcache.gptcache.entries import Asked, Dependency, Said, answers_of, entry_of, key_of
from semcache.installation import read_secret
from semcache.journal import Journal, Remark
from semcache.keys import exact_of, tenant_of
from semcache.store import LocalStore
from semcache.variants import variant_key
from semcache.whole import Whole
from tests.store.samples import START, entry, scope, unit
from tests.transfer.test_import import HEIGHT, HEIGHT_TOO, nobodys, options, run, written


def test_every_kind_of_key_is_made_again_and_what_was_wrong_stays_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = (options(tmp_path / one, "evaluation: exact") for one in "ab")
    monkeypatch.setenv("NEW_KEY", "sk-2")
    old = scope(tenant="a" * 32)
    asked = Asked("Draw a cat.", (Dependency("image", b"1"),))
    drawn = entry_of(old, asked, [Said(b"PNG", 1)], unit(np.random.default_rng(1), 1)[0], START)
    exact = exact_of(old, HEIGHT)
    plain = [entry(variant_key(exact, at), old, question=HEIGHT, variant=at) for at in range(2)]
    with LocalStore(tmp_path / "a" / "data") as store:
        store.archive.put([Whole(one) for one in (drawn, *plain)])
    journal = Journal(tmp_path / "a" / "data" / "feedback.db")
    journal.add(Remark(START, old.tenant, 1, exact, "wrong", HEIGHT_TOO, HEIGHT))
    journal.close()
    path = str(tmp_path / "out.jsonl")
    assert run("export", path, *here) == 0
    assert run("import", path, "--tenant-key-env", "NEW_KEY", *there) == 0
    assert "by meaning" not in capsys.readouterr().out
    tenant = tenant_of(read_secret(tmp_path / "b" / "data"), "sk-2")
    new = replace(old, tenant=tenant)
    with LocalStore(tmp_path / "b" / "data") as store:
        found = {one.key: one for one in store.scan()}
    assert set(found) == {
        key_of(new, asked),
        *(variant_key(exact_of(new, HEIGHT), at) for at in range(2)),
    }
    assert answers_of(found[key_of(new, asked)]) == [Said(b"PNG", 1)]
    journal = Journal(tmp_path / "b" / "data" / "feedback.db")
    assert journal.refuted(HEIGHT_TOO) == {exact_of(new, HEIGHT)}
    assert run("import", path, "--tenant-key-env", "NEW_KEY", *there) == 0
    assert len(journal.remarks()) == 1
    journal.close()


def test_what_is_sealed_is_opened_for_its_key_and_sealed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed = ["evaluation: exact", "store: {encryption: caller}"]
    here, there = (options(tmp_path / one, *sealed) for one in "ab")
    monkeypatch.setenv("KEY", "sk-1")
    monkeypatch.setenv("OTHER", "sk-2")
    path, again = tmp_path / "out.jsonl", tmp_path / "again.jsonl"
    written(path, [nobodys(f"k{at}") for at in range(3)])
    assert run("import", str(path), *here) == 1  # nobody has no key to seal with
    assert run("import", str(path), "--tenant-key-env", "KEY", *here) == 0
    for kept in (tmp_path / "a" / "data").iterdir():
        assert b"answer of k1" not in kept.read_bytes()
    assert run("export", str(again), *here) == 1
    assert "3 entries are left out" in capsys.readouterr().err
    assert run("export", str(again), "--overwrite", "--tenant-key-env", "KEY", *here) == 0
    assert b"answer of k1" in again.read_bytes()
    assert run("import", str(again), "--tenant-key-env", "OTHER", *there) == 0
    assert run("export", str(path), "--overwrite", "--tenant-key-env", "OTHER", *there) == 0
    assert path.read_bytes().count(b"answer of k") == 3
