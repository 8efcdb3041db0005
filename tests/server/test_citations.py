"""An answer's passages reach the official client, live, streamed, stored and replayed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from semcache.cag.engine import CagEngine
from semcache.cag.settings import CagSettings
from tests.cag.memory_library import MemoryLibrary
from tests.cag.tiny_models import write_model
from tests.server.serving import serving

ROOMS = {
    f"room{at:02}.md": f"The key of room {at} hangs on floor {at % 5}.\n\nAnna has {thing}."
    for at, thing in enumerate("a red gate, a green gate, a kettle, a lift, the key".split(", "))
}
QUESTION = "Which floor has the key of room 3?"
STOP = ["a", "e", "i", "o"]  # an answer that was cut for its length would not be stored


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@contextmanager
def _client(folder: Path, model: Path) -> Iterator[openai.OpenAI]:
    """An official client of a server whose engine answers from passages."""
    settings = CagSettings(
        model=str(model),
        names=("tiny",),
        mode="blocks",
        threads=1,
        reserve_tokens=64,
        max_tokens=200,
        context_tokens=60,
    )
    engine = CagEngine(
        settings, data_dir=folder / "data", cache_dir=folder, library=MemoryLibrary(ROOMS)
    )
    engine.load()
    with serving(folder / "store", engine) as http:
        client = openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="k", max_retries=0)
        yield client
        client.close()


def _ask(client: openai.OpenAI, **options: Any) -> Any:
    messages: Any = [{"role": "user", "content": QUESTION}]
    return client.chat.completions.with_raw_response.create(
        model="tiny", messages=messages, stop=STOP, **options
    )


def _served(response: Any) -> tuple[bool, Any]:
    """Whether it came from the cache, and the client's object."""
    return "hit" in response.headers["cache-status"], response.parse()


def _streamed(client: openai.OpenAI) -> tuple[str, list[Any]]:
    chunks = list(_ask(client, stream=True).parse())
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    return text, [c.citations for c in chunks if hasattr(c, "citations")]


def test_citations_are_told_by_every_way_of_answering(tmp_path: Path, model: Path) -> None:
    with _client(tmp_path, model) as client:
        hit, first = _served(_ask(client))
        assert not hit
        told = first.citations
        assert told[0]["document"] == "room03.md"
        assert told[0]["heading"] == "Part 1"
        assert len(told) > 1
        assert all(set(one) == {"document", "heading", "passage"} for one in told)
        hit, again = _served(_ask(client))
        assert hit
        assert again.citations == told
        assert again.choices[0].message.content == first.choices[0].message.content
        text, in_chunks = _streamed(client)
        assert in_chunks == [told]
        assert text == first.choices[0].message.content
        near = client.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": QUESTION.lower()}], stop=STOP
        )
        assert near.citations == told  # type: ignore[attr-defined]
        legacy: Any = client.completions.create(model="tiny", prompt=QUESTION)
        assert legacy.citations[0]["document"] == "room03.md"
    with _client(tmp_path, model) as client:  # another process would see the same
        hit, stored = _served(_ask(client))
        assert hit
        assert stored.citations == told


def test_a_first_answer_that_is_streamed_is_stored_with_them(tmp_path: Path, model: Path) -> None:
    with _client(tmp_path, model) as client:
        text, in_chunks = _streamed(client)
        hit, stored = _served(_ask(client))
        for _ in range(100):  # a stream ends before its answer lies on the disk
            if hit:
                break
            time.sleep(0.05)
            hit, stored = _served(_ask(client))
        assert hit
        assert [stored.citations] == in_chunks
        assert stored.choices[0].message.content == text


def test_sources_in_the_text_are_another_answer(tmp_path: Path, model: Path) -> None:
    with _client(tmp_path, model) as client:
        plain = _served(_ask(client))[1].choices[0].message.content
        hit, asked = _served(_ask(client, extra_body={"sources_in_text": True}))
        assert not hit
        assert asked.choices[0].message.content.startswith(
            f"{plain}\n\nSources: room03.md (Part 1)"
        )
        with pytest.raises(openai.BadRequestError, match="sources_in_text"):
            _ask(client, extra_body={"sources_in_text": 1})
