"""`semcache import --from`: GPTCache's own directory, and a dump of LiteLLM's semantic cache."""

from __future__ import annotations

import asyncio
import json
import pickle
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from semcache.assembly import build
from semcache.chat import read_question_body
from semcache.completion import text_completion_of
from semcache.config import Config
from semcache.directives import ONLY_IF_CACHED
from semcache.interfaces import Hit
from tests.transfer.test_import import HEIGHT, HEIGHT_TOO, ROOT, options, run

# A process of its own: GPTCache registers exit hooks and warns at every import.
MADE_BY_GPTCACHE = """
import sys
sys.path.insert(0, {root!r})
from semcache.gptcache import load_gptcache
load_gptcache()
import numpy as np
from gptcache.manager import CacheBase, ObjectBase, VectorBase, get_data_manager
from gptcache.manager.scalar_data.base import Answer, DataType, Question, QuestionDep
from gptcache.session import Session

manager = get_data_manager(
    CacheBase("sqlite", sql_url="sqlite:///" + {folder!r} + "/sqlite.db"),
    VectorBase("faiss", dimension=8, index_path={folder!r} + "/faiss.index"),
    ObjectBase("local", path={folder!r} + "/objects"),
)
unit = lambda at: np.eye(8, dtype=np.float32)[at]
picture = QuestionDep("image", "cat.png", 0)
manager.save({height!r}, "330 metres", unit(0), session=None)
manager.save("How do I bake a bread?", [Answer("Slowly.", 0), Answer("In an oven.", 0)], unit(1))
manager.save(Question("What is in the picture?", [picture]), "A cat.", unit(2))
manager.save("Draw a cat.", Answer(b"\\x89PNG", 1), unit(3))
manager.save("What is gone?", "This.", unit(4))
manager.save("What time is it?", "Noon.", unit(5))
manager.s.mark_deleted([5])
manager.close()
"""


def decisions(folder: Path, *bodies: dict[str, Any]) -> list[Hit | None]:
    assembled = build(Config.from_file(folder / "c.yaml").with_overrides(data_dir=folder / "data"))
    cache, hits = assembled.cache, []
    for body in bodies:
        asked = read_question_body(body, tenant="anonymous", model="semcache")
        found = cache.look(cache.plan(asked, ONLY_IF_CACHED)).decision
        hits.append(found if isinstance(found, Hit) else None)
    asyncio.run(cache.aclose())
    return hits


def test_a_directory_that_gptcache_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "gptcache"
    folder.mkdir()
    script = MADE_BY_GPTCACHE.format(root=str(ROOT), folder=str(folder), height=HEIGHT)
    subprocess.run([sys.executable, "-c", script], check=True, cwd=folder, capture_output=True)
    there = options(tmp_path / "b")
    before = (folder / "sqlite.db").read_bytes()
    assert run("import", str(folder), "--from", "gptcache", "--json", *there) == 1
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["stored"] == 2
    assert told["notes"] == {
        "deleted questions": 1,
        "further answers of a question": 1,
        "report rows": 0,
        "session rows": 0,
    }
    reasons = {one["line"]: one["reason"] for one in told["bad_lines"]}
    assert sorted(reasons) == [3, 4, 6]
    assert "depends on more" in reasons[3]
    assert "no answer that is a text" in reasons[4]
    assert "may not be stored" in reasons[6]  # the time of day is never kept
    assert (folder / "sqlite.db").read_bytes() == before
    system = {"role": "system", "content": "Answer in verse."}
    verse = {"messages": [system, {"role": "user", "content": HEIGHT}]}
    asked: list[dict[str, Any]] = [{"question": HEIGHT}, {"question": HEIGHT_TOO}, verse]
    exact, near, none = decisions(tmp_path / "b", *asked)
    assert exact is not None
    assert (exact.tier, exact.entry.completion.text) == ("exact", "330 metres")
    with sqlite3.connect(folder / "sqlite.db") as db:
        [(seconds,)] = db.execute(
            "SELECT unixepoch(create_on, 'utc') FROM gptcache_question WHERE id = 1"
        ).fetchall()
    db.close()
    assert int(exact.entry.created_at) == seconds
    assert near is not None
    assert near.tier == "semantic"
    assert none is None  # under a system prompt it is another question's answer
    again = ["import", str(folder), "--from", "gptcache", "--system", "Answer in verse."]
    assert run(*again, *there) == 1
    assert decisions(tmp_path / "b", verse) != [None]


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("exploded"),))


def test_a_pickle_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "data_map.txt").write_bytes(pickle.dumps(Bomb()))
    there = options(tmp_path / "b")
    assert run("import", str(tmp_path / "old"), "--from", "gptcache", *there) == 2
    assert "pickle" in capsys.readouterr().err
    assert not (tmp_path / "exploded").exists()


def test_a_dump_of_litellms_semantic_cache(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    stored = text_completion_of("330 metres", id="chatcmpl-9", created=5, model="x", usage=usage)
    # As litellm writes it: the str() of a dictionary, whose response is JSON.
    value = str({"timestamp": 1_700_000_000.5, "response": json.dumps(dict(stored.wire))})
    lines = [
        {"prompt": f"Be brief.{HEIGHT}", "response": value, "litellm_cache_key": "ab"},
        ["Be brief.\nWhy is the sky blue?", value],
        {"id": "1", "payload": {"text": "Be brief.What is a cache?", "response": value}},
        {"key": "3f" * 32, "value": {"timestamp": 1.0, "response": "{}"}},
        {"prompt": "Another prompt", "response": value},
        {"prompt": "Be brief.What is code?", "response": "__import__('os').abort()"},
    ]
    path = tmp_path / "dump.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    there = options(tmp_path / "b")
    assert run("import", str(path), "--from", "litellm", *there) == 2  # which model?
    named = ["--from", "litellm", "--model", "semcache", "--system", "Be brief.", "--json"]
    assert run("import", str(path), *named, *there) == 1
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["stored"] == 3
    reasons = {one["line"]: one["reason"] for one in told["bad_lines"]}
    assert sorted(reasons) == [4, 5, 6]
    assert "hash" in reasons[4]
    assert "does not begin" in reasons[5]
    assert "cannot be read" in reasons[6]
    system = {"role": "system", "content": "Be brief."}
    [hit] = decisions(tmp_path / "b", {"messages": [system, {"role": "user", "content": HEIGHT}]})
    assert hit is not None
    assert hit.entry.created_at == 1_700_000_000.5
    assert hit.entry.completion == stored
