"""Documents in passages: a question is answered from the nearest, exactly as from it alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from semcache.cag.settings import CagSettings
from semcache.embedding import SentenceEncoder
from semcache.errors import EmbeddingError, KnowledgeTooLarge
from semcache.interfaces import Encoded
from tests.cag.asking import Oracle, ask, parts_of, request
from tests.cag.conftest import KETTLE, MakeEngine

pytestmark = pytest.mark.anyio

GATE = "Anna keeps the key of the gate."
SHORT = {"passage_tokens": 24}


@pytest.fixture(scope="module")
def encoder() -> Iterator[SentenceEncoder]:
    encoder = SentenceEncoder.open()
    yield encoder
    encoder.close()


@pytest.mark.parametrize(
    ("question", "passage"),
    [("Who has the gate's key?", GATE), ("How long does the kettle take to boil?", KETTLE)],
)
async def test_the_answer_is_that_of_a_prompt_with_the_nearest_passage_alone(
    make_engine: MakeEngine,
    tiny_llama: Path,
    encoder: SentenceEncoder,
    question: str,
    passage: str,
) -> None:
    engine, oracle = make_engine(encoder, **SHORT), Oracle(tiny_llama)
    system = {"role": "system", "content": f"{CagSettings().instruction}\n\n{passage}"}
    prompt = oracle.chat_ids([system, {"role": "user", "content": question}])
    answer, reason = oracle.greedy(prompt, 24)
    completion = await ask(engine, request(question))
    assert completion.text == oracle.text(answer)
    assert completion.choices[0]["finish_reason"] == reason
    usage = completion.wire["usage"]
    assert usage["prompt_tokens"] == len(prompt)
    assert usage["prompt_tokens_details"]["cached_tokens"] > len(passage) // 2


def test_one_prefix_where_there_is_no_encoder_or_no_need(
    make_engine: MakeEngine, encoder: SentenceEncoder
) -> None:
    for engine in (
        make_engine(None, **SHORT),
        make_engine(encoder, passages=False, **SHORT),
        make_engine(encoder, passage_tokens=5000),
    ):
        assert len(parts_of(engine)) == 1
    engine = make_engine(encoder, **SHORT)
    assert len(parts_of(engine)) == 2


def test_the_key_tells_the_ways_of_reading_apart(
    make_engine: MakeEngine, encoder: SentenceEncoder
) -> None:
    asked = request("Who?")
    engines = [
        make_engine(None),
        make_engine(encoder),
        make_engine(encoder, **SHORT),
        make_engine(encoder, spell_out=False),
        make_engine(encoder, end_loops=False),
    ]
    assert len({engine.source(asked).model for engine in engines}) == len(engines)


def test_only_the_passages_that_changed_are_read_again(
    make_engine: MakeEngine, encoder: SentenceEncoder, knowledge: Path, tmp_path: Path
) -> None:
    engine = make_engine(encoder, prefixes_kept=1, **SHORT)
    prefixes = tmp_path / "data" / "prefixes"
    before = {path.name for path in prefixes.iterdir()}
    assert len(before) == 2
    (knowledge / "b.txt").write_text("Anna lost the key of the gate on Friday.")
    assert engine.reload_knowledge()
    after = {path.name for path in prefixes.iterdir()}
    assert len(after - before) == 1
    lines: list[str] = []
    again = make_engine(encoder, prefixes_kept=1, **SHORT)
    again.close()
    again.load(lines.append)
    assert any("from the saved prefix" in line for line in lines)
    assert not any("read" in line for line in lines)


def test_all_of_the_knowledge_must_still_fit(
    make_engine: MakeEngine, encoder: SentenceEncoder, knowledge: Path
) -> None:
    (knowledge / "c.txt").write_text("word " * 4000)
    with pytest.raises(KnowledgeTooLarge, match="too many"):
        make_engine(encoder, **SHORT)


class Failing:
    """An encoder that breaks after the knowledge has been read."""

    dim, window, fingerprint = 2, 256, "failing"

    def __init__(self) -> None:
        self.broken = False

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        if self.broken:
            raise EmbeddingError("The encoder failed.")
        return [Encoded(None, 300, True, 0.0) for _ in texts]

    def close(self) -> None:
        return None


async def test_a_broken_encoder_is_no_outage_and_not_silent(
    make_engine: MakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    embedder = Failing()
    engine = make_engine(embedder, **SHORT)
    embedder.broken = True
    completion = await ask(engine, request("Who has the key?"))
    assert completion.wire["usage"]["prompt_tokens"] > 40
    assert any("compared with the passages" in record.message for record in caplog.records)


async def test_a_follow_up_leans_on_what_was_asked_before(
    make_engine: MakeEngine, encoder: SentenceEncoder
) -> None:
    engine = make_engine(encoder, **SHORT)
    kettle = await ask(engine, request("How long does the kettle take?", max_tokens=1))
    asked = request("And why?", max_tokens=1)
    earlier = (
        {"role": "user", "content": "How long does the kettle in room seven take to boil?"},
        {"role": "assistant", "content": "Four minutes."},
    )
    followed = await ask(engine, replace(asked, messages=(*earlier, *asked.messages)))
    of = [one.wire["usage"]["prompt_tokens_details"]["cached_tokens"] for one in (kettle, followed)]
    assert of[0] == of[1]
