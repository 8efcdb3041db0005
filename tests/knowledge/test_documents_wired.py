"""A server's parts over a folder that no window holds: found, cited, followed as it changes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from semcache import cli
from semcache.assembly import Assembled, build
from semcache.chat import ChatRequest
from semcache.config import Config
from tests.cag.tiny_models import write_model
from tests.knowledge.test_knowledge_loading import docx, paragraph

ASKED = "Who keeps the key of hall 23?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty documents of many kinds; a model of 512 tokens cannot hold them."""
    folder = tmp_path / "documents"
    folder.mkdir()
    for at in range(40):
        (folder / f"hall{at:02}.md").write_text(
            f"# Hall {at}\n\nThe key of hall {at} is kept by person {at * 7} on floor {at % 5}.\n"
        )
    (folder / "lease.docx").write_bytes(docx(paragraph("The lease of the quarry ends in May.")))
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7")
    write_model(tmp_path / "model")
    return folder


def opened(tmp_path: Path, said: list[str], **engine: Any) -> Assembled:
    cag = {"model": str(tmp_path / "model"), "reserve_tokens": 96, "max_tokens": 4, **engine}
    cag |= {"knowledge": str(tmp_path / "documents"), "context_tokens": 120}
    values = {"cag": cag, "storage_config": {"data_dir": str(tmp_path / "data")}}
    return build(Config.from_mapping(values), said.append)


async def ask(parts: Assembled, question: str) -> list[str]:
    """The documents that an answer was given."""
    body = {"model": "semcache", "messages": [{"role": "user", "content": question}]}
    reply = await parts.cache.ask(ChatRequest.from_wire(body, tenant="t"))
    completion = await reply.completion()
    return [one["document"] for one in completion.wire.get("citations", [])]


def test_found_cited_and_followed(tmp_path: Path, folder: Path) -> None:
    said: list[str] = []
    parts = opened(tmp_path, said)
    assert any("broken.pdf" in line for line in said)
    engine = parts.engine
    assert engine is not None
    before = engine.knowledge_digest

    async def course() -> None:
        assert "hall23.md" in await ask(parts, ASKED)
        assert "lease.docx" in await ask(parts, "When does the lease of the quarry end?")
        await parts.refresh()
        assert engine.knowledge_digest == before

        (folder / "hall23.md").unlink()
        (folder / "key.txt").write_text("The key of hall 23 was lost, and nobody keeps it.")
        await parts.refresh()
        assert engine.knowledge_digest != before
        given = await ask(parts, ASKED)
        assert "key.txt" in given
        assert "hall23.md" not in given
        await parts.cache.aclose()

    asyncio.run(course())


def test_documents_that_were_only_added_serve_without_a_folder(
    tmp_path: Path, folder: Path
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["knowledge", "add", str(folder / "lease.docx"), "-d", str(tmp_path / "data")])
    cag = {"model": str(tmp_path / "model"), "reserve_tokens": 96, "max_tokens": 4}
    values = {"cag": cag, "storage_config": {"data_dir": str(tmp_path / "data")}}
    parts = build(Config.from_mapping(values))
    engine = parts.engine
    assert engine is not None
    assert len(engine.knowledge_digest) == 64
    asyncio.run(parts.cache.aclose())


def test_without_documents_no_catalogue_is_made(tmp_path: Path, folder: Path) -> None:
    cag = {"model": str(tmp_path / "model"), "reserve_tokens": 96}
    values = {"cag": cag, "storage_config": {"data_dir": str(tmp_path / "data")}}
    parts = build(Config.from_mapping(values))
    assert parts.engine is not None
    assert parts.engine.knowledge_digest == ""
    asyncio.run(parts.cache.aclose())
    assert not (tmp_path / "data" / "knowledge.db").exists()
