"""The packaged model, many questions at once: each answer is the one that it gets alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from semcache.cag.engine import CagEngine
from semcache.cag.network.conversion import converted, packaged_gguf
from semcache.cag.settings import CagSettings, default_cache_dir
from semcache.chat import ChatRequest
from semcache.completion import Completion
from tests.cag.asking import ask, library_of, request
from tests.cag.tiny_models import write_documents

pytestmark = pytest.mark.anyio

REPORT = """The {name}
Maker: {maker}
Year: {year}
The {name} failed because of {cause}. {maker} repaired it in {days} days."""
FACTS = (
    ("Quillon 7 field radio", "Tarnbrook Instruments", 1987, "a cracked solder joint", 12),
    ("Ostrava kettle", "Helling and Daughters", 2003, "a loose thermostat", 4),
    ("Marrow Lane lift", "Vertex Hoists", 1994, "a worn brake lining", 31),
    ("Pellworm pump", "Brandt Hydraulics", 2011, "sand in the valve", 9),
)
ASKED = (
    "Who made the {0}?",
    "Why did the {0} fail?",
    "How many days did the repair of the {0} take?",
    "In which year was the {0} made?",
    "What was wrong with the {0}, and who repaired it?",
    "Tell me about the {0}.",
)


def questions() -> list[ChatRequest]:
    return [
        request(asked.format(fact[0]), max_tokens=5 + at)
        for at, asked in enumerate(ASKED)
        for fact in FACTS
    ]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CagEngine]:
    folder = tmp_path_factory.mktemp("reports")
    names = ("name", "maker", "year", "cause", "days")
    texts = {
        f"report{at}": REPORT.format(**dict(zip(names, map(str, fact), strict=True)))
        for at, fact in enumerate(FACTS)
    }
    settings = CagSettings(
        names=("tiny",), knowledge=write_documents(folder / "docs", **texts), max_active=16
    )
    model = converted(packaged_gguf(), default_cache_dir(), print)
    library = library_of(settings, folder / "data", model)
    assert library is not None
    made = CagEngine(settings, data_dir=folder / "data", library=library)
    made.load()
    yield made
    made.close()
    library.close()


def _said(completions: Sequence[Completion]) -> list[tuple[str, str, int]]:
    return [
        (one.text, one.choices[0]["finish_reason"], one.wire["usage"]["completion_tokens"])
        for one in completions
    ]


async def test_every_answer_is_that_of_a_lone_request(engine: CagEngine) -> None:
    alone = _said([await ask(engine, one) for one in questions()])
    assert all(fact[0][:7] in text for fact, (text, _, _) in zip(FACTS, alone, strict=False))
    assert len(set(alone)) >= 16
    in_batches: list[Completion] = []
    for at in range(0, 24, 8):
        in_batches += await asyncio.gather(*(ask(engine, one) for one in questions()[at : at + 8]))
    assert _said(in_batches) == alone
    with ThreadPoolExecutor(16) as threads:
        in_threads = await asyncio.to_thread(
            lambda: [*threads.map(lambda one: asyncio.run(ask(engine, one)), questions())]
        )
    assert _said(in_threads) == alone
