"""`semcache explain` on a store with something in it."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import pytest

from semcache import cli
from semcache.assembly import build
from semcache.chat import read_question_body
from semcache.completion import text_completion_of
from semcache.config import Config
from semcache.policy import Keep

CONFIG = """
engines: [upstream]
upstream: {base_url: "http://127.0.0.1:9/v1", models: ["gpt-x"]}
"""
HEIGHT = "How tall is the Eiffel Tower?"
HEIGHT_TOO = "What is the height of the Eiffel Tower?"


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """A configuration, and a store in which the key `sk-1` has asked something."""
    file = tmp_path / "c.yaml"
    file.write_text(CONFIG)
    config = Config.from_file(file).with_overrides(data_dir=tmp_path / "data")
    assembled = build(config)

    async def fill() -> None:
        tenant = assembled.tenant_of("sk-1")
        request = read_question_body({"question": HEIGHT}, tenant=tenant, model="gpt-x")
        answer = text_completion_of("330 metres", id="chatcmpl-1", created=1, model="gpt-x")
        # As a chat request would be stored, by who would have answered it.
        plan = assembled.cache.plan(request)
        assembled.cache.layers.save(plan, answer, Keep(None))
        await assembled.cache.aclose()

    asyncio.run(fill())
    return ["-f", str(file), "-d", str(tmp_path / "data"), "--model", "gpt-x"]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    return int(left.value.code or 0)


def test_a_hit_and_why(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-1")
    assert run("explain", HEIGHT_TOO, *options, "--key-env", "MY_KEY", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["decision"]["tier"] == "semantic"
    assert run("explain", HEIGHT_TOO, *options, "--key-env", "MY_KEY") == 0
    said = capsys.readouterr().out
    assert "hit (semantic)" in said
    assert HEIGHT in said
    assert "sk-1" not in said


def test_a_miss_under_another_system_prompt(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-1")
    assert run("explain", HEIGHT, *options, "--key-env", "MY_KEY", "--system", "Be short.") == 0
    said = capsys.readouterr().out
    assert said.startswith("decision   miss")
    assert "a near-duplicate (cosine 1.00) exists under another system prompt" in said


def test_a_guard_says_its_reason(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-1")
    asked = "How tall is the Tokyo Tower?"
    assert run("explain", asked, *options, "--key-env", "MY_KEY") == 0
    said = capsys.readouterr().out
    assert "guard " in said
    assert "against" in said


def test_nobody_sees_another_tenants_entries(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("explain", HEIGHT, *options) == 0
    said = capsys.readouterr().out
    assert said.startswith("decision   miss")
    assert "entry" not in said
    assert "elsewhere" not in said


def test_a_request_from_standard_input(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"model": "gpt-x", "messages": [{"role": "user", "content": HEIGHT}], "temperature": 2}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(body)))
    assert run("explain", "-", *options) == 0
    assert capsys.readouterr().out.startswith("decision   bypass: temperature")
    monkeypatch.setattr("sys.stdin", io.StringIO("nothing"))
    assert run("explain", "-", *options) == 2


def test_a_key_that_is_not_there(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", HEIGHT, *options, "--key-env", "NO_SUCH_VARIABLE") == 2
    assert "NO_SUCH_VARIABLE" in capsys.readouterr().err
