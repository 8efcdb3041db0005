"""`semcache export`: whole, in order, filtered, private, and gone on with where it broke off."""

from __future__ import annotations

import gzip
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from semcache import cli
from semcache.interfaces import Vector
from semcache.sketch import sketch_of
from semcache.store import LocalStore
from semcache.transfer.lines import line_of, whole_of
from semcache.whole import Alias, Whole
from tests.store.samples import DIM, EMBEDDER, START, entry, scope, unit

COUNT = 300  # several batches


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with entries of two tenants, some with an alias and a sketch."""
    folder = tmp_path / "data"
    with LocalStore(folder, dim=DIM, embedder=EMBEDDER) as store:
        assert all(store.archive.put([made(at) for at in range(COUNT)]))
    return folder


def rows() -> Vector:
    return unit(np.random.default_rng(3), COUNT + 1)


ROWS = rows()


def made(at: int) -> Whole:
    where = scope(tenant="even" if at % 2 == 0 else "odd")
    one = entry(f"k{at}", where, created_at=START + at, hits=at, cost_s=0.5, sources=("d1",))
    if at % 100:
        return Whole(one, ROWS[at])
    sketch = sketch_of(np.arange(3), ROWS[:3])
    alias = Alias(f"another word for {at}", EMBEDDER, ROWS[at + 1], sketch)
    full = replace(one, expires_at=START + 9e6, writer="w", stale_s=3.0, detail={"a": 1})
    return Whole(replace(full, state="quarantined" if at else ""), ROWS[at], sketch, (alias,))


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    return int(left.value.code or 0)


def lines(path: Path) -> list[dict[str, Any]]:
    raw = path.read_bytes()
    data = gzip.decompress(raw) if path.suffix == ".gz" else raw
    return [orjson.loads(line) for line in data.splitlines()]


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_an_interrupted_export_goes_on(data: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert run("export", str(path), "--vectors", "-d", str(data)) == 0
    whole = lines(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert whole[0]["semcache_export"] == 1
    assert whole[0]["embedder"] == EMBEDDER
    assert [line["key"] for line in whole[1:]] == [f"k{at}" for at in range(COUNT)]
    for torn in (1, 7, 5_000, 60_000):
        os.truncate(path, max(400, path.stat().st_size - torn))
        assert run("export", str(path), "--vectors", "-d", str(data)) == 0
        assert lines(path) == whole
    with LocalStore(data, dim=DIM, embedder=EMBEDDER) as store:
        store.put(entry("later"), ROWS[COUNT])
    assert run("export", str(path), "--vectors", "-d", str(data)) == 0
    assert lines(path)[:-1] == whole
    assert lines(path)[-1]["key"] == "later"


def test_a_line_holds_all_of_an_entry(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    run("export", str(path), "--vectors", "-d", str(data))
    for at, line in zip((0, 1, 200), (lines(path)[1 + at] for at in (0, 1, 200)), strict=True):
        expected, found = made(at), whole_of(line)
        assert replace(found.entry, used_at=0.0) == expected.entry
        assert (
            orjson.loads(
                line_of(replace(found, entry=replace(found.entry, id=at + 1)), vectors=True)
            )
            == line
        )
        assert found.sketch == expected.sketch
        assert found.vector is not None
        assert np.array_equal(found.vector, ROWS[at])
        assert [alias.question for alias in found.aliases] == [a.question for a in expected.aliases]


def test_filters_and_standard_output(
    data: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    since = ["--since", str(START + 290)]
    assert run("export", "-", "--tenant", "even", *since, "-d", str(data)) == 0
    told = [orjson.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [line["key"] for line in told[1:]] == [f"k{at}" for at in range(290, 300, 2)]
    assert told[0]["entries"] == 5
    assert "vector" not in told[1]
    with LocalStore(data, dim=DIM, embedder=EMBEDDER) as store:
        store.put(entry("apart", detail={"namespace": "blue"}))
    assert run("export", "-", "--namespace", "blue", "-d", str(data)) == 0
    told = [orjson.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [line["key"] for line in told[1:]] == ["apart"]
    assert run("export", str(tmp_path / "o"), "--model", "another", "-d", str(data)) == 0
    assert len(lines(tmp_path / "o")) == 1
    # An export with other filters is not mixed into this one, and nor is anything into a letter.
    assert run("export", str(tmp_path / "o"), "-d", str(data)) == 2
    (tmp_path / "letter").write_text("Dear all,\n")
    assert run("export", str(tmp_path / "letter"), "-d", str(data)) == 2
    assert (tmp_path / "letter").read_text() == "Dear all,\n"
    assert run("export", str(tmp_path / "letter"), "--overwrite", "-d", str(data)) == 0
    assert len(lines(tmp_path / "letter")) == COUNT + 2
