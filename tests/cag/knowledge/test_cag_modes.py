"""Tree and blocks end to end, against the library's own forward pass over the same tokens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from semcache.cag.blocks.gate import NAME as GATE
from semcache.cag.blocks.placing import PlacedGrounding
from semcache.cag.engine import CagEngine
from semcache.cag.knowledge.reading import WholeReading
from semcache.cag.knowledge.retrieving import RetrievedReading
from semcache.cag.prompting.conversation import Conversation, Turn
from semcache.cag.settings import CagSettings
from semcache.errors import ConfigError, Declined, KnowledgeTooLarge, RequestError
from tests.cag.asking import Oracle, ask, legacy, request, stream
from tests.cag.memory_library import MemoryLibrary
from tests.cag.tiny_models import gpt2_config, sliding_config, write_model

pytestmark = pytest.mark.anyio

ROOMS = {
    f"room{number:02}.txt": "\n\n".join(
        (
            f"The kettle in room {number} boils in {number + 103} minutes.",
            f"The key of room {number} hangs on floor {number % 5}. Anna keeps it.",
            f"The lift to room {number} stops on floor {number % 7}. The gate there is green.",
        )
    )
    for number in range(40)
}
QUESTIONS = [
    "Which floor has the key of room 7?",
    "Who keeps the key of room 31?",
    "How long does the kettle in room 12 take?",
    "Where does the lift to room 12 stop?",
]
MOST = 12


class Modes:
    """Makes engines over a library that is far larger than the window."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.library = MemoryLibrary(ROOMS)
        self.model = model
        self._folder = folder
        self._made: list[CagEngine] = []

    def __call__(self, data: str = "data", may_decline: bool = False, **given: Any) -> CagEngine:
        settings = CagSettings(
            **{
                "model": str(self.model),
                "names": ("tiny",),
                "threads": 1,
                "reserve_tokens": 64,
                "max_tokens": MOST,
                "prefill_chunk": 16,
                "context_tokens": 80,
                "spell_out": False,
                **given,
            }
        )
        engine = CagEngine(
            settings,
            data_dir=self._folder / data,
            cache_dir=self._folder,
            library=self.library,
            may_decline=may_decline,
        )
        self._made.append(engine)
        engine.load()
        return engine

    def close(self) -> None:
        for engine in self._made:
            engine.close()


@pytest.fixture
def modes(tmp_path: Path, tiny_llama: Path) -> Iterator[Modes]:
    modes = Modes(tmp_path, tiny_llama)
    yield modes
    modes.close()


class Laid:
    """A question's prompt as the engine lays it out: ids of head, passages and tail."""

    def __init__(self, engine: CagEngine, question: str) -> None:
        reading = engine._ready().reading
        assert isinstance(reading, RetrievedReading)
        conversation = Conversation("", (Turn("user", question),))
        ground = reading.ground(conversation)
        assert isinstance(ground, PlacedGrounding)
        self.prompt = engine._ready().scheduler.call(ground.prompt)
        ground.close()
        found = ground._reading
        assert found is not None
        self.lengths = [len(place.ids) for place in found.places]
        self.documents = [one.document for one in ground.citations]

    @property
    def context(self) -> int:
        return sum(self.lengths)

    def mask(self, length: int) -> torch.Tensor:
        """Who sees whom where head and first passage are read together, the others alone."""
        seen = torch.ones(length, length, dtype=torch.bool).tril()
        starts = [sum(self.lengths[:at]) for at in range(len(self.lengths))]
        for start, size in list(zip(starts, self.lengths, strict=True))[2:]:
            seen[start : start + size, :start] = False
        return seen


def masked_greedy(folder: Path, laid: Laid, end: int | None) -> list[int]:
    """Greedy decoding by the library's own eager attention under the mask of the blocks."""
    network: Any = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    ids = list(laid.prompt)
    with torch.inference_mode():
        for _ in range(MOST):
            seen = laid.mask(len(ids))
            mask = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
            logits = network(
                input_ids=torch.tensor([ids]),
                attention_mask=mask[None, None],
                position_ids=torch.arange(len(ids))[None],
                use_cache=False,
            ).logits
            token = int(logits[0, -1].argmax())
            if token == end:
                break
            ids.append(token)
    return ids[len(laid.prompt) :]


def _expected(oracle: Oracle, prompt: Sequence[int]) -> str:
    return oracle.text(oracle.greedy(prompt, MOST)[0])


async def _cached(engine: CagEngine, question: str) -> int:
    completion = await ask(engine, request(question))
    cached: int = completion.wire["usage"]["prompt_tokens_details"]["cached_tokens"]
    return cached


async def test_a_tree_is_the_model_reading_the_whole_prompt(modes: Modes, tiny_llama: Path) -> None:
    engine, oracle = modes(mode="tree"), Oracle(tiny_llama)
    for question in QUESTIONS:
        laid = Laid(engine, question)
        assert len(laid.lengths) > 3
        assert laid.documents != sorted(laid.documents) or question != QUESTIONS[0]
        cold = await ask(engine, request(question))
        warm = await ask(engine, request(question))
        assert cold.text == warm.text == _expected(oracle, laid.prompt)
        assert cold.wire["usage"]["prompt_tokens"] == len(laid.prompt)
        assert warm.wire["usage"]["prompt_tokens_details"]["cached_tokens"] == laid.context


async def test_what_a_tree_has_read_is_there_after_a_restart(modes: Modes) -> None:
    first = modes(mode="tree")
    read = await _cached(first, QUESTIONS[0])
    context = Laid(first, QUESTIONS[0]).context
    assert read < context
    first.close()
    assert await _cached(modes(mode="tree"), QUESTIONS[0]) == context
    other = modes(mode="tree", instruction="Answer in one word.")
    assert await _cached(other, QUESTIONS[0]) < 30


async def test_blocks_are_the_model_under_the_block_mask(modes: Modes, tiny_llama: Path) -> None:
    engine, oracle = modes(mode="blocks", repair="none"), Oracle(tiny_llama)
    for question in QUESTIONS:
        laid = Laid(engine, question)
        assert len(laid.lengths) > 3
        expected = oracle.text(masked_greedy(tiny_llama, laid, oracle.tokenizer.eos_token_id))
        cold = await ask(engine, request(question))
        warm = await ask(engine, request(question))
        assert cold.text == warm.text == expected
        assert warm.wire["usage"]["prompt_tokens_details"]["cached_tokens"] == laid.context
    # Another order of the same passages needs nothing but the first one after the head.
    assert Laid(engine, QUESTIONS[2]).lengths[0] == laid.lengths[0]


@pytest.mark.parametrize("repair", ["epic:999", "head+epic:999", "blend:1", "sink+blend:1.0"])
async def test_blocks_repaired_in_full_are_full_attention(
    modes: Modes, tiny_llama: Path, repair: str
) -> None:
    engine, oracle = modes(mode="blocks", repair=repair), Oracle(tiny_llama)
    for question in QUESTIONS[:2]:
        laid = Laid(engine, question)
        warm = [await ask(engine, request(question)) for _ in "12"][1]
        assert warm.text == _expected(oracle, laid.prompt)
        moved = sum(laid.lengths[2:])
        details = warm.wire["usage"]["prompt_tokens_details"]
        assert details["cached_tokens"] == laid.context - moved


@pytest.mark.parametrize("mode", ["tree", "blocks"])
async def test_concurrent_requests_answer_as_if_alone(modes: Modes, mode: str) -> None:
    alone = modes(data="alone", mode=mode, repair="head")
    together = modes(data="together", mode=mode, repair="head", max_active=6)
    expected = [(await ask(alone, request(question))).text for question in QUESTIONS]
    for _ in range(2):
        found = await asyncio.gather(
            *(ask(together, request(question)) for question in QUESTIONS * 3)
        )
        assert [one.text for one in found] == expected * 3


async def test_answers_stay_right_where_nothing_can_be_kept(
    modes: Modes, tiny_llama: Path, tmp_path: Path
) -> None:
    engine = modes(mode="tree", blocks_memory_bytes=1, blocks_disk_bytes=60_000)
    oracle = Oracle(tiny_llama)
    for question in QUESTIONS * 2:
        completion = await ask(engine, request(question))
        assert completion.text == _expected(oracle, Laid(engine, question).prompt)
    engine.close()
    files = [path.stat().st_size for path in (tmp_path / "data" / "blocks").iterdir()]
    assert 0 < sum(files) <= 60_000


async def test_stored_blocks_leave_only_the_question_to_read(modes: Modes) -> None:
    engine = modes(mode="blocks", repair="head", blocks_disk_bytes=10**9)
    lines: list[str] = []
    assert engine.store_blocks(lines.append) > 40 * 3 * 10
    assert lines[-1] == "knowledge: 120 of 120 passages read"
    assert engine.store_blocks() == 0
    for question in QUESTIONS:
        assert await _cached(engine, question) == Laid(engine, question).context


async def test_a_change_reaches_new_questions_only(modes: Modes) -> None:
    engine = modes(mode="tree")
    source = engine.source(request("?"))
    assert not engine.reload_knowledge()
    before = engine._ready().reading.ground(Conversation("", (Turn("user", "Who keeps it?"),)))
    modes.library.texts["room07.txt"] = "The key of room 7 has left the floor on Friday."
    assert engine.reload_knowledge()
    assert engine.source(request("?")).base != source.base
    assert engine.source(request("?")) == source  # no part of the key: see semcache.grounds
    completion = await ask(engine, request("Which floor has the key of room 7?"))
    told = {one["document"]: one for one in completion.wire["citations"]}
    assert told["room07.txt"]["heading"] == "Part 1"
    assert len(before.citations) > 1
    before.close()


async def test_the_way_of_reading_is_part_of_the_key(modes: Modes) -> None:
    asked = request("?")
    engines = [
        modes(mode="tree"),
        modes(mode="blocks", repair="none"),
        modes(mode="blocks", repair="head"),
        modes(mode="blocks", repair="head+epic:4"),
        modes(mode="tree", context_tokens=40),
    ]
    assert len({engine.source(asked).model for engine in engines}) == len(engines)
    assert modes(mode="tree", repair="head").source(asked) == engines[0].source(asked)


def _gate(folder: Path, engine: CagEngine, **changes: Any) -> None:
    weights = engine._ready().loaded.model.identity.weights
    report = {"model": weights, "mode": "blocks", "repair": "sink", "full": 0.9, "blocks": 0.895}
    report |= {"questions": 100, "agreement": 0.97, **changes}
    (folder / GATE).write_text(json.dumps(report))


async def test_auto_is_whole_then_tree_and_blocks_only_behind_a_gate(
    tmp_path: Path, modes: Modes
) -> None:
    modes.model = write_model(tmp_path / "own")
    engine = modes()
    ways = []

    def way(**settings: Any) -> str:
        reading = modes(**settings)._ready().reading
        return reading.way.split(" 80")[0]

    ways.append(way())
    _gate(modes.model, engine, blocks=0.88)
    ways.append(way())
    _gate(modes.model, engine, model="0" * 64)
    ways.append(way())
    (modes.model / GATE).write_text("[")
    ways.append(way())
    _gate(modes.model, engine)
    ways += [way(), way(repair="sink"), way(repair="none"), way(mode="tree"), way(mode="blocks")]
    assert ways == [*["tree "] * 4, "blocks sink", "blocks sink", "tree ", "tree ", "blocks sink"]
    modes.library.texts = {"one.txt": ROOMS["room01.txt"]}
    reading = modes()._ready().reading
    assert isinstance(reading, WholeReading)
    assert reading.way == ""
    modes.library.texts = ROOMS
    with pytest.raises(KnowledgeTooLarge):
        modes(mode="whole")


async def test_a_small_library_is_read_whole(modes: Modes, tiny_llama: Path) -> None:
    modes.library.texts = {"b.txt": "Anna has the key.", "a.txt": "The gate is green."}
    engine, oracle = modes(), Oracle(tiny_llama)
    text = f"{CagSettings().instruction}\n\nThe gate is green.\n\nAnna has the key."
    turns = [{"role": "system", "content": text}, {"role": "user", "content": "Who?"}]
    completion = await ask(engine, request("Who?"))
    assert completion.text == _expected(oracle, oracle.chat_ids(turns))
    assert "citations" not in completion.wire
    modes.library.texts["a.txt"] = "The gate is red."
    assert engine.reload_knowledge()


async def test_models_that_cannot_do_it_say_so(tmp_path: Path, modes: Modes) -> None:
    modes.model = write_model(tmp_path / "gpt2", gpt2_config())
    engine, oracle = modes(mode="tree"), Oracle(modes.model)
    laid = Laid(engine, QUESTIONS[0])
    assert (await ask(engine, request(QUESTIONS[0]))).text == _expected(oracle, laid.prompt)
    with pytest.raises(ConfigError, match="cannot be moved"):
        modes(mode="blocks")
    modes.model = write_model(tmp_path / "sliding", sliding_config())
    with pytest.raises(ConfigError, match="cannot read passages apart"):
        modes(mode="tree")
    with pytest.raises(KnowledgeTooLarge):
        modes()


async def test_below_the_floor_the_engine_declines(modes: Modes) -> None:
    asked = request("Quel temps fait-il demain?")
    engine = modes(mode="tree", may_decline=True, relevance_floor=0.3)
    with pytest.raises(Declined):
        await ask(engine, asked)
    assert (await ask(engine, request(QUESTIONS[0]))).text
    for settings in ({"may_decline": False}, {"may_decline": True, "relevance_floor": None}):
        assert (await ask(modes(mode="tree", **settings), asked)).wire["usage"]
    modes.library.texts = {"a.txt": "x " * 3000}
    assert engine.reload_knowledge()


async def test_answers_tell_what_they_were_given(modes: Modes) -> None:
    engine, asked = modes(mode="blocks", repair="head"), request(QUESTIONS[0], n=2)
    laid = Laid(engine, QUESTIONS[0])
    chunks = await stream(engine, asked)
    told = [chunk.wire["citations"] for chunk in chunks if "citations" in chunk.wire]
    assert len(told) == 1
    assert [one["document"] for one in told[0]] == laid.documents
    assert set(told[0][0]) == {"document", "heading", "passage"}
    completion = await ask(engine, asked)
    assert completion.wire["citations"] == told[0]
    text = await ask(engine, legacy(QUESTIONS[0]))
    assert text.wire["citations"]
    assert "citations" not in (await ask(modes(mode="tree", citations="none"), asked)).wire
    full = (await ask(modes(mode="tree", citations="texts"), asked)).wire["citations"]
    assert all(one["text"] in "\n".join(ROOMS.values()) for one in full)


async def test_sources_stand_in_the_text_when_asked(modes: Modes) -> None:
    engine, always = modes(mode="tree"), modes(mode="tree", sources_in_text=True)
    plain = await ask(engine, request(QUESTIONS[0]))
    asked = await ask(engine, request(QUESTIONS[0], sources_in_text=True))
    assert asked.text.startswith(plain.text)
    line = asked.text.removeprefix(plain.text)
    assert line.startswith("\n\nSources: ")
    assert "room07.txt (Part 2)" in line
    assert (await ask(always, request(QUESTIONS[0]))).text == asked.text
    assert (await ask(always, request(QUESTIONS[0], sources_in_text=False))).text == plain.text
    with pytest.raises(RequestError, match="true or false"):
        await ask(engine, request(QUESTIONS[0], sources_in_text="yes"))


async def test_a_follow_up_leans_on_what_was_asked_before(modes: Modes) -> None:
    engine = modes(mode="tree")
    earlier = [
        {"role": "user", "content": "Tell me of the kettle in room 23."},
        {"role": "assistant", "content": "It boils."},
    ]
    asked = request(messages=[*earlier, {"role": "user", "content": "How many minutes?"}])
    completion = await ask(engine, asked)
    assert completion.wire["citations"][0]["document"] == "room23.txt"


async def test_the_callers_own_system_text_comes_after_the_passages(
    modes: Modes, tiny_llama: Path
) -> None:
    engine, oracle = modes(mode="tree"), Oracle(tiny_llama)
    asked = [
        {"role": "system", "content": "Say <|im_end|> to me."},
        {"role": "user", "content": QUESTIONS[1]},
    ]
    laid = Laid(engine, QUESTIONS[1])
    plain = await ask(engine, request(QUESTIONS[1]))
    completion = await ask(engine, request(messages=asked))
    added = completion.wire["usage"]["prompt_tokens"] - plain.wire["usage"]["prompt_tokens"]
    own = oracle.tokenizer("\n\nSay <|im_end|> to me.", split_special_tokens=True)["input_ids"]
    assert abs(added - len(own)) <= 1
    details = completion.wire["usage"]["prompt_tokens_details"]
    assert details["cached_tokens"] == laid.context


async def test_stocking_ends_where_the_disk_is_full(modes: Modes, tmp_path: Path) -> None:
    engine = modes(mode="blocks", repair="none", blocks_disk_bytes=300_000)
    lines: list[str] = []
    assert engine.store_blocks(lines.append) > 0
    assert lines[-1] != "knowledge: 120 of 120 passages read"
    engine.close()
    files = [path.stat().st_size for path in (tmp_path / "data" / "blocks").iterdir()]
    assert 200_000 < sum(files) <= 300_000
    assert len(files) > 10
