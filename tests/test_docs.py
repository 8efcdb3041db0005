"""The README tells the truth: every key, option, route, command and header is in it, and runs."""

from __future__ import annotations

import argparse
import dataclasses
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette

from semcache import cli
from semcache.cag.settings import CagSettings
from semcache.config import OWN_KEYS
from semcache.config_sections import (
    EncoderSection,
    PolicySection,
    ServerSection,
    StoreSection,
    TrustSection,
    UpstreamSection,
)
from semcache.gptcache.words import VOCABULARY
from semcache.knowledge.settings import KnowledgeSettings
from semcache_server import __main__ as server
from semcache_server.app import Serving, build_app

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "cache_config.yaml").read_text(encoding="utf-8")

SECTIONS = {
    "embedding_config": EncoderSection,
    "cag": CagSettings,
    "knowledge": KnowledgeSettings,
    "upstream": UpstreamSection,
    "policy": PolicySection,
    "store": StoreSection,
    "trust": TrustSection,
    "server": ServerSection,
}


def keys() -> Iterator[str]:
    for word in VOCABULARY:
        yield from word.names
    for name, section in SECTIONS.items():
        for field in dataclasses.fields(section):
            yield f"{name}.{field.name}"
    yield from ("engines", "prices")


@pytest.mark.parametrize("key", sorted(set(keys())))
def test_every_configuration_key_is_in_the_reference(key: str) -> None:
    assert f"`{key}`" in README


def test_the_reference_names_no_key_that_is_not_there() -> None:
    named = set(re.findall(r"^\| `([a-z_.]+)`", README, flags=re.M))
    commands = {"semcache"}
    assert {name for name in named if "." in name} <= set(keys()) | commands
    assert set(OWN_KEYS) <= {"engines", "prices", *SECTIONS}


@pytest.mark.parametrize("name", [n for n in SECTIONS if n != "embedding_config"])
def test_the_example_file_holds_every_own_key(name: str) -> None:
    for field in dataclasses.fields(SECTIONS[name]):
        assert re.search(rf"^  {field.name}:", EXAMPLE, flags=re.M), f"{name}.{field.name}"


def options(parser: argparse.ArgumentParser, before: str = "semcache") -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield f"{before} {name}"
                yield from options(command, f"{before} {name}")
        yield from (option for option in action.option_strings if option not in ("-h", "--help"))


@pytest.mark.parametrize("option", sorted({*options(server.parser()), *options(cli.parser())}))
def test_every_command_and_option_is_documented(option: str) -> None:
    assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", README)


def test_every_route_is_documented(tmp_path: Path) -> None:
    from semcache.cache import SemCache
    from semcache.embedding import SentenceEncoder
    from semcache.store import LocalStore

    store = LocalStore(tmp_path)
    cache = SemCache(store=store, embedder=SentenceEncoder.open())
    app = build_app(Serving(cache=cache, tenant_of=lambda key: key, model="m"))
    assert isinstance(app.rest, Starlette)
    for route in app.rest.routes:
        path = getattr(route, "path", "").replace(":path", "")
        assert f"`{path}`" in README or f" {path}`" in README, path
    cache._close_leaves()


def test_the_headers_are_documented() -> None:
    sources = [*(ROOT / "semcache").glob("explain.py"), *(ROOT / "server").rglob("explain.py")]
    assert sources
    for source in sources:
        for name in re.findall(r'b"(x-semcache-[a-z-]+)"', source.read_text(encoding="utf-8")):
            assert f"`{name}`" in README


def test_the_first_screen_shows_both_commands_and_an_example() -> None:
    first = README.split("\n## ")[0]
    assert "scripts/serve" in first
    assert "scripts/test" in first
    assert "from openai import OpenAI" in first
    assert len(first.splitlines()) < 50


def test_python_examples_compile() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    assert len(blocks) >= 3
    for block in blocks:
        compile(block, "README.md", "exec")


def test_the_gptcache_example_runs_word_by_word(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    example = next(block for block in blocks if "load_gptcache()" in block)
    said: list[object] = []
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.chdir(folder)
        names: dict[str, object] = {"print": said.append}
        exec(compile(example, "README.md", "exec"), names)
        names["cache"].data_manager.close()  # type: ignore[attr-defined]
        monkeypatch.undo()
    assert said == ["330 metres"]
