"""`semcache import`: what an export holds is found again, whatever happens on the way."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from semcache import cli
from semcache.assembly import Assembled, build
from semcache.chat import ChatRequest, read_question_body
from semcache.completion import text_completion_of
from semcache.config import Config
from semcache.directives import ONLY_IF_CACHED
from semcache.interfaces import Hit
from semcache.policy import Keep
from semcache.store import LocalStore
from semcache.transfer.header import Header
from semcache.transfer.lines import line_of
from semcache.whole import Whole
from tests.store.samples import DIM, EMBEDDER, START, entry, scope, unit

ROOT = Path(__file__).resolve().parent.parent.parent
HEIGHT = "How tall is the Eiffel Tower?"
HEIGHT_TOO = "What is the height of the Eiffel Tower?"
PIXEL = "data:image/png;base64,iVBORw0KGgo="
ASKED: Sequence[dict[str, Any]] = (
    {"question": HEIGHT},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "Why is the sky blue?"}]}]},
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is a cache?"},
        ],
        "max_tokens": 20,
    },
    {"messages": [{"role": "assistant", "content": "Once upon"}]},
)
PICTURE = {
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What animal is in the picture?"},
                {"type": "image_url", "image_url": {"url": PIXEL}},
            ],
        }
    ]
}


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    return int(left.value.code or 0)


def options(folder: Path, *more: str) -> list[str]:
    folder.mkdir(exist_ok=True)
    file = folder / "c.yaml"
    file.write_text("\n".join(["engines: []", *more]))
    return ["-f", str(file), "-d", str(folder / "data")]


def request(assembled: Assembled, body: dict[str, Any], key: str) -> ChatRequest:
    return read_question_body(body, tenant=assembled.tenant_of(key), model="m")


def opened(folder: Path) -> Assembled:
    config = Config.from_file(folder / "c.yaml")
    return build(config.with_overrides(data_dir=folder / "data"))


def filled(folder: Path) -> None:
    """Answers to all that is asked, for the key `sk-1`, as requests would store them."""
    assembled = opened(folder)
    for body in (*ASKED, PICTURE):
        plan = assembled.cache.plan(request(assembled, body, "sk-1"), ONLY_IF_CACHED)
        text = f"answer to {plan.key.question}"
        answer = text_completion_of(text, id="chatcmpl-1", created=1, model="m")
        assembled.cache.layers.save(plan, answer, Keep(None))
    asyncio.run(assembled.cache.aclose())


def decision(assembled: Assembled, body: dict[str, Any], key: str) -> Hit | None:
    plan = assembled.cache.plan(request(assembled, body, key), ONLY_IF_CACHED)
    found = assembled.cache.look(plan).decision
    return found if isinstance(found, Hit) else None


def test_what_is_moved_to_another_installation_is_found_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = options(tmp_path / "a"), options(tmp_path / "b")
    filled(tmp_path / "a")
    file = str(tmp_path / "out.jsonl.gz")
    assert run("export", file, *here) == 0
    monkeypatch.setenv("NEW_KEY", "sk-2")
    # Under its old tenant nobody of this installation would ever be given it.
    assert run("import", file, *there) == 1
    assert "another installation" in capsys.readouterr().err
    assert run("import", file, "--tenant-key-env", "NEW_KEY", "--json", *there) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["stored"], told["found_by_meaning_only"], told["encoded"]) == (5, 1, 4)
    assembled = opened(tmp_path / "b")
    for body in ASKED:
        hit = decision(assembled, body, "sk-2")
        assert hit is not None
        assert hit.tier == "exact"
        assert decision(assembled, body, "sk-1") is None
    near = decision(assembled, {"question": HEIGHT_TOO}, "sk-2")
    assert near is not None
    assert near.entry.completion.text == f"answer to {HEIGHT}"
    picture = decision(assembled, PICTURE, "sk-2")
    assert picture is not None
    assert (picture.tier, round(picture.similarity, 4)) == ("semantic", 1.0)
    assert assembled.cache.layers.store.check().clean
    asyncio.run(assembled.cache.aclose())
    assert run("import", file, "--tenant-key-env", "NEW_KEY", "--json", *there) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["stored"], told["already_there"], told["encoded"]) == (0, 5, 0)


def written(path: Path, wholes: Sequence[Whole], vectors: bool = False) -> list[bytes]:
    """An export as another installation's, with nobody's entries."""
    lines = [Header("0" * 16, EMBEDDER, vectors).line()]
    lines += [line_of(whole, vectors=vectors) for whole in wholes]
    path.write_bytes(b"".join(lines))
    return lines


def nobodys(key: str, **changes: Any) -> Whole:
    return Whole(entry(key, scope(tenant="anonymous"), **changes))


def test_bad_lines_are_named_and_the_others_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = options(tmp_path / "b", "evaluation: exact")
    path = tmp_path / "out.jsonl"
    good = [nobodys(f"k{at}") for at in range(9)]
    lines = written(path, good)

    def spoilt(at: int, **changes: Any) -> None:
        lines[at] = orjson.dumps({**orjson.loads(lines[at]), **changes}) + b"\n"

    cut = orjson.loads(lines[2])["completion"]
    cut["choices"][0]["finish_reason"] = "length"
    lines[1] = lines[1][:200] + b"\n"
    spoilt(2, completion=cut)
    spoilt(3, created_at="yesterday")
    spoilt(4, scope={"tenant": "anonymous"})
    spoilt(5, completion={"choices": [{"message": {"tool_calls": 7}, "finish_reason": "stop"}]})
    spoilt(6, vector="no base64!")
    spoilt(7, scope={**orjson.loads(lines[7])["scope"], "tenant": "f" * 32})
    lines.append(b"[]\n")
    path.write_bytes(b"".join(lines))
    assert run("import", str(path), "--json", *there) == 1
    out, err = capsys.readouterr()
    told = json.loads(out.splitlines()[-1])
    reasons = {one["line"]: one["reason"] for one in told["bad_lines"]}
    assert sorted(reasons) == [2, 3, 4, 5, 6, 7, 8, 11]
    assert "truncated" in reasons[3]
    assert all(f"line {number}: {reason}" in err for number, reason in reasons.items())
    assert told["stored"] == 2


def test_a_strict_one_stops_and_a_torn_file_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.jsonl"
    lines = written(path, [nobodys(f"k{at}") for at in range(9)])
    path.write_bytes(lines[0] + lines[8] + lines[1][:200] + b"\n" + lines[9])
    other = options(tmp_path / "c", "evaluation: exact")
    assert run("import", str(path), "--strict", *other) == 2
    assert "Line 3" in capsys.readouterr().err
    with LocalStore(tmp_path / "c" / "data") as store:
        assert [one.key for one in store.scan()] == ["k7"]
    # A packed file that ends in the middle says so; no export at all is refused.
    (tmp_path / "torn.gz").write_bytes(gzip.compress(b"".join(lines))[:-60])
    assert run("import", str(tmp_path / "torn.gz"), *other) == 1
    assert "ends in the middle" in capsys.readouterr().err
    path.write_text("Dear all,\n")
    assert run("import", str(path), *other) == 2


def test_of_equal_keys_the_newest_stays(tmp_path: Path) -> None:
    there = options(tmp_path / "b", "evaluation: exact", "policy: {ttl_s: 60}")
    with LocalStore(tmp_path / "b" / "data") as store:
        store.put(entry("new", scope(tenant="anonymous"), cost_s=1.0))
        store.put(entry("old", scope(tenant="anonymous"), cost_s=1.0))
    older = nobodys("new", created_at=START - 5, cost_s=2.0)
    newer = nobodys("old", created_at=START + 5, cost_s=2.0, hits=3, state="quarantined")
    path = tmp_path / "out.jsonl"
    written(path, [older, newer, newer])
    assert run("import", str(path), *there) == 0
    with LocalStore(tmp_path / "b" / "data") as store:
        found = {one.key: one for one in store.scan()}
        assert {key: one.cost_s for key, one in found.items()} == {"new": 1.0, "old": 2.0}
        assert (found["old"].hits, found["old"].state) == (3, "quarantined")
        assert found["old"].expires_at == START + 65  # the policy here gives it a minute
        assert store.check().clean


def test_killed_in_the_middle_and_run_again(tmp_path: Path) -> None:
    """kill -9 between two commits, or in one: the second run makes it whole, nothing is twice."""
    there = options(tmp_path / "b", "evaluation: exact")
    rows = unit(np.random.default_rng(5), 2_000)
    wholes = [replace(nobodys(f"key {at}"), vector=rows[at]) for at in range(len(rows))]
    path = tmp_path / "out.jsonl"
    written(path, wholes, vectors=True)
    command = "from semcache.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "import", str(path), *there],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    count, deadline = 0, time.monotonic() + 60
    try:
        with LocalStore(tmp_path / "b" / "data") as store:
            while count < 500 and time.monotonic() < deadline:
                time.sleep(0.005)
                count = store.archive.count()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with LocalStore(tmp_path / "b" / "data") as store:
        assert 500 <= store.archive.count() < len(wholes)
        assert store.check().clean
    assert run("import", str(path), *there) == 0
    with LocalStore(tmp_path / "b" / "data", dim=DIM, embedder=EMBEDDER) as store:
        assert sorted(one.key for one in store.scan()) == sorted(one.entry.key for one in wholes)
        assert store.check().clean
