"""Two processes (and two stores in one process) on one directory.

SEMCACHE_MIXED_S sets for how many seconds they work at once (3 by default).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from semcache.store import Limits, LocalStore, upkeep
from tests.store.samples import DIM, EMBEDDER, START, answer, entry, scope, unit
from tests.store.writing_process import opened

ROOT = Path(__file__).parents[2]
MIXED_S = os.environ.get("SEMCACHE_MIXED_S", "3")
VECTORS = unit(np.random.default_rng(0), 600)


def pair(directory: Path, **changes: object) -> tuple[LocalStore, LocalStore]:
    """Two stores that know of each other only through the files."""
    return (
        LocalStore(directory, dim=DIM, embedder=EMBEDDER, synchronous="NORMAL"),
        LocalStore(directory, dim=DIM, embedder=EMBEDDER, synchronous="NORMAL", **changes),  # type: ignore[arg-type]
    )


def test_each_sees_what_the_other_did_at_once(tmp_path: Path) -> None:
    one, two = pair(tmp_path)
    with one, two:
        for at in range(300):
            (one, two)[at % 2].put(entry(f"k{at}"), VECTORS[at])
            [nearest] = (two, one)[at % 2].search(scope(), VECTORS[at], 1)
            assert nearest.entry.key == f"k{at}"
        one.remove([f"k{at}" for at in range(0, 300, 3)])
        for at in range(300):
            found = two.search(scope(), VECTORS[at], 1)[0]
            assert (found.entry.key == f"k{at}") == (at % 3 != 0)
        two.put(entry("k1", completion=answer("replaced")), VECTORS[1])
        assert one.search(scope(), VECTORS[1], 1)[0].entry.completion.text == "replaced"
        one.clear()
        assert two.search(scope(), VECTORS[1], 5) == []
        assert one.check().problems == two.check().problems == ()


def test_version_tells_of_the_others_writes_and_of_nothing_else(tmp_path: Path) -> None:
    one, two = pair(tmp_path)
    with one, two:
        mine, theirs = one.version(), two.version()
        put = one.put(entry("k"), VECTORS[0])
        assert (one.version() == mine, two.version() == theirs) == (True, False)
        theirs = two.version()
        one.touch({put.id: 1}, START)
        one.flush()
        assert (one.version(), two.version()) == (mine, theirs)
        seen = {mine}
        for change in (
            lambda: two.put(entry("other"), VECTORS[1]),
            lambda: two.remove(["other"]),
            lambda: two.expire_knowledge("engine", "new", START),
            lambda: two.clear(),
        ):
            change()
            one.put(entry("own"), VECTORS[2])
            assert one.version() not in seen
            seen.add(one.version())
        assert two.version() != theirs


def test_the_others_evictions_reach_the_index(tmp_path: Path) -> None:
    one, two = pair(tmp_path, limits=Limits(max_entries=10, eviction="fifo"))
    with one, two:
        for at in range(10):
            one.put(entry(f"k{at}"), VECTORS[at])
        two.put(entry("k10"), VECTORS[10])
        assert "k0" not in {c.entry.key for c in one.search(scope(), VECTORS[0], 10)}
        assert one.stats().vectors == 10
        assert one.check().problems == ()


def test_who_missed_the_tombstones_builds_its_index_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "TOMBSTONES_KEPT", 2)
    one, two = pair(tmp_path)
    with one, two:
        for at in range(20):
            one.put(entry(f"k{at}"), VECTORS[at])
        assert two.search(scope(), VECTORS[3], 1)[0].entry.key == "k3"
        for at in range(10):
            one.remove([f"k{at}"])
        assert two.search(scope(), VECTORS[3], 1)[0].entry.key != "k3"
        assert two.stats().vectors == 10
        assert two.check().problems == ()


def test_two_processes_of_eight_threads_never_answer_wrongly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.store.writing_process", "mix", str(tmp_path)]
    children = [
        subprocess.Popen(
            [*command, str(seed), MIXED_S],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        for seed in range(2)
    ]
    for child in children:
        said, complained = child.communicate(timeout=120 + float(MIXED_S))
        assert (child.returncode, said, complained) == (0, b"", b"")
    with opened(tmp_path) as store:
        report = store.check()
        assert report.problems == ()
        assert 0 < report.entries <= 350
        writers = {kept.completion.text.split()[-1] for kept in store.scan()}
        assert writers == {"0", "1"}
