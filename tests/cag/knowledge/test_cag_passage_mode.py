"""Documents that fit the window, as passages: read before anybody asks, found by the library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from semcache.cag.blocks.placing import PlacedGrounding
from semcache.cag.engine import CagEngine
from semcache.cag.knowledge.grounding import Grounding
from semcache.cag.knowledge.reading import WholeReading
from semcache.cag.knowledge.retrieving import RetrievedReading
from semcache.embedding import SentenceEncoder
from tests.cag.asking import Oracle, ask, request
from tests.cag.conftest import MakeEngine

pytestmark = pytest.mark.anyio

SHORT = {"passage_tokens": 24}


@pytest.fixture(scope="module")
def encoder() -> Iterator[SentenceEncoder]:
    encoder = SentenceEncoder.open()
    yield encoder
    encoder.close()


def _blocks(folder: Path) -> set[str]:
    return {path.name for path in (folder / "data" / "blocks").glob("*.safetensors")}


@pytest.mark.parametrize(
    ("question", "document"),
    [
        ("Who has the gate's key?", "b.txt"),
        ("How long does the kettle take to boil?", "a.txt"),
    ],
)
async def test_the_answer_is_that_of_a_prompt_with_the_passages_that_were_found(
    make_engine: MakeEngine,
    tiny_llama: Path,
    encoder: SentenceEncoder,
    question: str,
    document: str,
) -> None:
    engine, oracle = make_engine(encoder, spell_out=False, **SHORT), Oracle(tiny_llama)
    state = engine._ready()
    ground: Grounding = state.reading.ground(engine._conversation(request(question)))
    prompt = state.scheduler.call(ground.prompt)
    ground.close()
    completion = await ask(engine, request(question))
    assert completion.text == oracle.text(oracle.greedy(prompt, 24)[0])
    assert [one["document"] for one in completion.wire["citations"]] == [document]
    usage = completion.wire["usage"]
    assert usage["prompt_tokens"] == len(prompt)
    assert usage["prompt_tokens_details"]["cached_tokens"] == ground.length  # nothing was read now


def test_one_prefix_where_there_is_no_encoder_or_no_need(
    make_engine: MakeEngine, encoder: SentenceEncoder
) -> None:
    engines: list[CagEngine] = [
        make_engine(None, **SHORT),
        make_engine(encoder, passages=False, **SHORT),
        make_engine(encoder, passage_tokens=5000),
    ]
    assert all(isinstance(one._ready().reading, WholeReading) for one in engines)
    apart = make_engine(encoder, **SHORT)
    assert isinstance(apart._ready().reading, RetrievedReading)
    others = [make_engine(None, spell_out=False), make_engine(None, end_loops=False)]
    asked = request("Who?")
    models = {engine.source(asked).model for engine in [engines[0], apart, *others]}
    assert len(models) == 4


async def test_only_the_passages_that_changed_are_read_again(
    make_engine: MakeEngine, encoder: SentenceEncoder, knowledge: Path, tmp_path: Path
) -> None:
    engine = make_engine(encoder, **SHORT)
    engine.close()
    before = _blocks(tmp_path)
    assert len(before) == 3  # the head, and two passages after it
    (knowledge / "b.txt").write_text("Anna lost the key of the gate on Friday.")
    engine = make_engine(encoder, **SHORT)
    engine.close()
    assert len(_blocks(tmp_path) - before) == 1
    again = make_engine(encoder, **SHORT)
    ground = again._ready().reading.ground(again._conversation(request("Who lost the key?")))
    assert isinstance(ground, PlacedGrounding)
    prompted = again._ready().scheduler.call(lambda: (ground.prompt(), ground.unread()))
    ground.close()
    assert prompted[1] == 0


async def test_a_follow_up_leans_on_what_was_asked_before(
    make_engine: MakeEngine, encoder: SentenceEncoder
) -> None:
    engine = make_engine(encoder, **SHORT)
    earlier = [
        {"role": "user", "content": "How long does the kettle in room seven take to boil?"},
        {"role": "assistant", "content": "Four minutes."},
    ]
    asked = request(messages=[*earlier, {"role": "user", "content": "And why?"}], max_tokens=1)
    followed = await ask(engine, asked)
    assert followed.wire["citations"][0]["document"] == "a.txt"
