"""The client's own engine follows the knowledge folder; questions have other keys then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import semcache
from semcache.client import watching
from semcache.config import Config
from tests.cag.tiny_models import write_model


def waited(for_what: Callable[[], bool], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if for_what():
            return True
        time.sleep(0.05)
    return False


def test_a_changed_document_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "EVERY_S", 0.1)
    folder = tmp_path / "knowledge"
    folder.mkdir()
    (folder / "a.txt").write_text("The kettle boils in four minutes.")
    config = Config.from_mapping(
        {
            "engines": ["cag"],
            "evaluation": "exact",
            "storage_config": {"data_dir": str(tmp_path / "data")},
            "cag": {
                "model": str(write_model(tmp_path / "model")),
                "names": ["tiny"],
                "knowledge": str(folder),
                "threads": 1,
                "reserve_tokens": 32,
                "max_tokens": 8,
                "passages": False,
            },
        }
    )
    with semcache.OpenAI(api_key="any", cache_config=config) as client:

        def key() -> str:
            reply = client.chat.completions.with_raw_response.create(
                model="tiny", messages=[{"role": "user", "content": "When does the kettle boil?"}]
            )
            return reply.headers["x-semcache-key"]

        before = key()
        assert key() == before
        (folder / "a.txt").write_text("The kettle boils in nine minutes now.")
        assert waited(lambda: key() != before)
        (folder / "a.txt").write_text("The kettle boils in four minutes.")
        assert waited(lambda: key() == before)
    assert waited(lambda: "semcache-knowledge" not in {each.name for each in threading.enumerate()})
