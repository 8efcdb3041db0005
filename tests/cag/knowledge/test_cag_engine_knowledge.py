"""Knowledge that changes, and prefixes that survive a restart."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from semcache.cag.engine import CagEngine
from semcache.cag.knowledge.reading import PrefixReading
from semcache.errors import ConfigError
from tests.cag.asking import ask, library_of, request
from tests.cag.conftest import MakeEngine
from tests.cag.tiny_models import llama_config, write_documents, write_model

pytestmark = pytest.mark.anyio


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens each prefix that was really read had."""
    read: list[int] = []

    class Noted(PrefixReading):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            read.append(len(args[2]))

    monkeypatch.setattr("semcache.cag.knowledge.reader.PrefixReading", Noted)
    return read


def _saved(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "data" / "prefixes").glob("*.safetensors"))


async def test_a_second_start_loads_the_prefix_and_answers_the_same(
    make_engine: MakeEngine, reads: list[int]
) -> None:
    first = await ask(make_engine(), request("Where?"))
    assert len(reads) == 1
    second = await ask(make_engine(), request("Where?"))
    assert len(reads) == 1
    assert second.text == first.text
    assert second.wire["usage"] == first.wire["usage"]
    assert first.wire["usage"]["prompt_tokens_details"]["cached_tokens"] == reads[0]


@pytest.mark.parametrize("damage", [b"", b"\x00" * 100])
async def test_a_damaged_prefix_is_read_anew(
    make_engine: MakeEngine,
    tmp_path: Path,
    reads: list[int],
    damage: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = await ask(make_engine(), request("Where?"))
    (path,) = _saved(tmp_path)
    path.write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        second = await ask(make_engine(), request("Where?"))
    assert len(reads) == 2
    assert "refused" in caplog.text
    assert second.text == first.text
    make_engine()
    assert len(reads) == 2  # what was read anew was saved anew


@pytest.mark.parametrize(
    "changed",
    [
        {"instruction": "Sing."},
        {"dtype": "bfloat16"},
        {"prefix_dtype": "float16"},
    ],
)
def test_a_prefix_of_other_settings_is_not_taken(
    make_engine: MakeEngine, reads: list[int], changed: dict[str, Any]
) -> None:
    make_engine()
    make_engine(**changed)
    assert len(reads) == 2


def test_a_prefix_of_another_model_is_not_taken(
    make_engine: MakeEngine, tmp_path: Path, reads: list[int]
) -> None:
    sources = {make_engine().source(request("x"))}
    folders = [
        write_model(tmp_path / "other weights", seed=1),
        write_model(tmp_path / "other layers", llama_config(num_hidden_layers=2)),
        write_model(tmp_path / "other template", template="{{ messages[-1]['content'] }}"),
    ]
    sources |= {make_engine(model=str(folder)).source(request("x")) for folder in folders}
    assert len({source.model for source in sources}) == 4
    assert len(reads) >= 3


async def test_a_changed_document_changes_answer_digest_and_source(
    make_engine: MakeEngine, knowledge: Path
) -> None:
    engine = make_engine()
    before, source = await ask(engine, request("Where?")), engine.source(request("x"))
    assert await asyncio.to_thread(engine.reload_knowledge) is False
    (knowledge / "a.txt").write_text("The kettle is on the roof now, and the lift is broken.")
    assert await asyncio.to_thread(engine.reload_knowledge) is True
    after = await ask(engine, request("Where?"))
    assert after.text != before.text
    assert after.wire["system_fingerprint"] != before.wire["system_fingerprint"]
    assert engine.source(request("x")).model == source.model
    assert engine.source(request("x")).knowledge == engine.knowledge_digest != source.knowledge
    assert await asyncio.to_thread(engine.reload_knowledge) is False


async def test_a_touched_file_with_the_same_text_changes_nothing(
    make_engine: MakeEngine, knowledge: Path, reads: list[int]
) -> None:
    engine = make_engine()
    digest = engine.knowledge_digest
    text = (knowledge / "a.txt").read_text()
    (knowledge / "a.txt").unlink()
    (knowledge / "a.txt").write_text(text)
    assert await asyncio.to_thread(engine.reload_knowledge) is False
    assert engine.knowledge_digest == digest
    assert len(reads) == 1


async def test_a_running_request_keeps_the_knowledge_it_began_with(
    make_engine: MakeEngine, knowledge: Path
) -> None:
    engine = make_engine()
    asked = request("Where?", max_tokens=40, logit_bias={"2": -100})
    expected = (await ask(engine, asked)).text
    answer = engine.answer(asked)
    told = [await anext(answer) for _ in range(3)]
    (knowledge / "a.txt").write_text("Everything is different now.")
    assert await asyncio.to_thread(engine.reload_knowledge) is True
    told += [chunk async for chunk in answer]
    deltas = [c["delta"] for chunk in told for c in chunk.wire["choices"]]
    assert "".join(delta.get("content", "") for delta in deltas) == expected


async def test_knowledge_that_is_too_large_leaves_the_old_in_force(
    make_engine: MakeEngine, knowledge: Path
) -> None:
    engine = make_engine(mode="whole")
    digest, before = engine.knowledge_digest, await ask(engine, request("Where?"))
    write_documents(knowledge, a="The lift stops on every second floor. " * 80)
    with pytest.raises(ConfigError, match="too many"):
        engine.reload_knowledge()
    assert engine.knowledge_digest == digest
    assert (await ask(engine, request("Where?"))).text == before.text


def test_progress_is_told_in_lines(tmp_path: Path, tiny_llama: Path, knowledge: Path) -> None:
    from semcache.cag.settings import CagSettings

    settings = CagSettings(
        model=str(tiny_llama), knowledge=knowledge, reserve_tokens=32, prefill_chunk=16
    )
    lines: list[list[str]] = []
    library = library_of(settings, tmp_path / "data", tiny_llama)
    assert library is not None
    for _ in range(2):
        engine = CagEngine(
            settings, data_dir=tmp_path / "data", cache_dir=tmp_path, library=library
        )
        lines.append([])
        engine.load(lines[-1].append)
        engine.close()
    assert lines[0][0].startswith("loading ")
    assert lines[0][-1].endswith("tokens read")
    assert lines[1][1].endswith("from the saved prefix")
    library.close()
