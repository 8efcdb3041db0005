"""A folder far larger than the window, end to end: real retrieval, engine, cache, and a change."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from semcache.assembly import Assembled, build
from semcache.cag.knowledge.retrieving import RetrievedReading
from semcache.config import Config
from semcache.interfaces import Hit
from semcache.reply import Reply
from tests.cache_world import ask
from tests.cag.tiny_models import write_model

THINGS = "kettle pump lift gate boiler garden printer window telescope violin anchor oven".split()
COLOURS = "red blue green white".split()
STOP = ["a", "e", "i", "o"]  # an answer that was cut for its length would not be stored


def _config(tmp_path: Path, folder: Path, **cag: Any) -> Config:
    return Config.from_mapping(
        {
            "engines": ["cag"],
            "storage_config": {"data_dir": str(tmp_path / "data")},
            "knowledge": {"passage_tokens": 64},
            "cag": {
                "model": str(write_model(tmp_path / "model")),
                "names": ["tiny"],
                "knowledge": str(folder),
                "threads": 1,
                "reserve_tokens": 64,
                "max_tokens": 100,
                "context_tokens": 160,
                **cag,
            },
        }
    )


def _write(folder: Path) -> None:
    folder.mkdir()
    for thing in THINGS:
        for colour in COLOURS:
            (folder / f"{colour}_{thing}.txt").write_text(
                f"The {colour} {thing} was made by Anna.\n\n"
                f"Whoever uses the {colour} {thing} must wear gloves and call the desk.\n\n"
                f"The {colour} {thing} is cleaned on the second floor every week."
            )


async def _asked(built: Assembled, text: str) -> tuple[Reply, Any]:
    reply = await built.cache.ask(ask(text, model="tiny", stop=STOP))
    try:
        completion = await reply.completion()
        await reply.stored()
        return reply, completion.wire
    finally:
        reply.close()


async def _lived(built: Assembled, folder: Path) -> None:
    question = "Where is the blue telescope cleaned?"
    _, first = await _asked(built, question)
    assert first["citations"][0]["document"] == "blue_telescope.txt"
    assert len(first["citations"]) > 1
    reply, again = await _asked(built, question)
    assert isinstance(reply.decision, Hit)
    assert again["citations"] == first["citations"]
    _, other = await _asked(built, "Who made the white violin?")
    assert other["citations"][0]["document"] == "white_violin.txt"
    (folder / "blue_telescope.txt").unlink()
    await built.refresh()
    reply, changed = await _asked(built, question)
    assert not isinstance(reply.decision, Hit)
    assert "blue_telescope.txt" not in {one["document"] for one in changed["citations"]}


def test_a_folder_of_any_size_is_answered_from(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    _write(folder)
    for mode, way in (("auto", "tree"), ("blocks", "blocks head")):
        built = build(_config(tmp_path, folder, mode=mode))
        assert built.engine is not None
        reading = built.engine._ready().reading
        assert isinstance(reading, RetrievedReading)
        assert reading.way.startswith(way)

        async def lived(built: Assembled = built) -> None:
            try:
                await _lived(built, folder)
            finally:
                await built.cache.aclose()

        asyncio.run(lived())
        (folder / "blue_telescope.txt").write_text("The blue telescope is cleaned on a ship.")
