"""A build that is killed goes on where it was; two processes share one catalogue."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from semcache.knowledge.library import Library
from tests.knowledge.knowledge_world import Counted, opened, silent

ROOT = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("SEMCACHE_KILL_ROUNDS", "3"))
PROGRAM = Path(__file__).with_name("building_process.py")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    rng = random.Random(1)
    for at in range(12):
        lines = [
            f"Rule {at}.{line}: {rng.choice(['lamps', 'doors', 'keys'])} of room {at} are checked "
            f"by person {rng.randint(100, 999)} every {rng.randint(2, 90)} days."
            for line in range(20 if at else 150)
        ]
        (folder / f"room{at:02}.txt").write_text("\n".join(lines))
    return folder


def build(data: Path, docs: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), str(data), str(docs)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=ROOT,
    )


def content(library: Library) -> tuple[str, list[tuple[str, str]], list[tuple[str, float | None]]]:
    state = library.state()
    found = state.search("How often are the keys of room 7 checked?", 8)
    return (
        state.digest,
        [(one.document, one.text) for one in state.passages()],
        [(one.passage.text, one.cosine) for one in found],
    )


def test_a_killed_build_goes_on_where_it_was(tmp_path: Path, docs: Path) -> None:
    clean = opened(tmp_path / "clean", docs, embedder=Counted(), most=40)
    passages = list(clean.update(silent).passages())
    rng = random.Random(0)
    for at in range(ROUNDS):
        data = tmp_path / f"data{at}"
        process = build(data, docs)
        assert process.stdout is not None
        for _ in range(rng.randint(1, 9)):
            process.stdout.readline()
        process.kill()
        process.communicate()
        assert process.returncode == -9
        counted = Counted()
        library = opened(data, docs, embedder=counted, most=40)
        finished = list(library.state().passages())
        names = {one.document for one in finished}
        assert finished == [one for one in passages if one.document in names]
        library.update(silent)
        assert content(library) == content(clean)
        assert len(counted.read) < len(passages)
        library.close()
    clean.close()


def test_two_builds_at_once_share_the_work(tmp_path: Path, docs: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    two = [build(data, docs) for _ in range(2)]
    said = [process.communicate()[0] for process in two]
    assert [process.returncode for process in two] == [0, 0]
    library = opened(data, docs, embedder=Counted(), most=40)
    passages = len(library.update(silent))
    encoded = sorted(int(text.split()[-1]) for text in said)
    assert encoded == [0, passages]
    library.close()


def test_one_process_sees_what_another_has_read(tmp_path: Path, docs: Path) -> None:
    data = tmp_path / "data"
    counted = Counted()
    library = opened(data, docs, embedder=counted, most=40)
    before = library.update(silent)
    counted.read.clear()
    (docs / "more.txt").write_text("The attic is locked by the janitor.")
    assert "encoded 1" in build(data, docs).communicate()[0]
    assert library.touched()
    after = library.update(silent)
    assert counted.read == []
    assert after.search("Who locks the attic?", 1)[0].passage.document == "more.txt"
    assert all(f.passage.document != "more.txt" for f in before.search("Who locks the attic?", 9))
    library.close()


def test_while_another_process_reads_the_last_state_serves(tmp_path: Path, docs: Path) -> None:
    data = tmp_path / "data"
    library = opened(data, docs, embedder=Counted(), most=40)
    before = library.update(silent)
    other = opened(data, docs, embedder=Counted(), most=40)
    (docs / "more.txt").write_text("The attic is locked by the janitor.")
    steps = other.steps()
    next(steps)
    assert library.update(silent).digest == before.digest
    assert library.touched()
    list(steps)
    assert library.update(silent).digest != before.digest
    library.close()
    other.close()
