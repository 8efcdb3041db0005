"""The engine on tiny random models, against decoding without any cache."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import torch

from semcache.cag.engine import CagEngine
from semcache.cag.settings import CagSettings
from semcache.completion import collect
from semcache.errors import (
    ConfigError,
    ContextLengthExceeded,
    EngineError,
    KnowledgeTooLarge,
    RequestError,
)
from tests.cag.asking import Oracle, ask, legacy, request, stream
from tests.cag.conftest import KETTLE, MakeEngine
from tests.cag.tiny_models import (
    CHATML,
    NO_SYSTEM,
    capped_config,
    gpt2_config,
    qwen2_config,
    sliding_config,
    write_documents,
    write_model,
)

pytestmark = pytest.mark.anyio

HEAD = f"{CagSettings().instruction}\n\n{KETTLE}\n\nAnna keeps the key of the gate."
QUESTIONS = ["Where is the kettle?", "Who keeps the key?", "Which floor?", "a", "Is it 水?"]


def _expected(oracle: Oracle, question: str, most: int = 24) -> tuple[str, str, int]:
    """(text, finish reason, generated tokens) without prefix, cache or engine."""
    system = {"role": "system", "content": HEAD}
    prompt = oracle.chat_ids([system, {"role": "user", "content": question}])
    answer, reason = oracle.greedy(prompt, most)
    return oracle.text(answer), reason, len(answer) + (reason == "stop")


def _told(completion: Any) -> tuple[str, str, int]:
    usage = completion.wire["usage"]
    reason = completion.choices[0]["finish_reason"]
    return completion.text, reason, usage["completion_tokens"]


# -------------------------------------------------------------------------------------- exactness


async def test_answers_are_those_of_decoding_without_a_cache(
    make_engine: MakeEngine, tiny_llama: Path
) -> None:
    engine, oracle = make_engine(), Oracle(tiny_llama)
    for question in QUESTIONS:
        completion = await ask(engine, request(question))
        assert _told(completion) == _expected(oracle, question)


@pytest.mark.parametrize(
    ("config", "template"),
    [
        (qwen2_config(), CHATML),
        (qwen2_config(), NO_SYSTEM),
        (sliding_config(), CHATML),
        (capped_config(), CHATML),
    ],
    ids=["qwen2", "no system role", "sliding", "capped"],
)
async def test_other_models_answer_exactly_too(
    make_engine: MakeEngine, tmp_path: Path, config: Any, template: str
) -> None:
    folder = write_model(tmp_path / "model", config, template=template, seed=3)
    engine, oracle = make_engine(model=str(folder)), Oracle(folder)
    completion = await ask(engine, request("Where?"))
    if template == NO_SYSTEM:
        prompt = oracle.chat_ids([{"role": "user", "content": f"{HEAD}\n\nWhere?"}])
        answer, reason = oracle.greedy(prompt, 24)
        assert _told(completion)[:2] == (oracle.text(answer), reason)
    else:
        assert _told(completion) == _expected(oracle, "Where?")
    details = completion.wire["usage"]["prompt_tokens_details"]
    assert details["cached_tokens"] > 20


async def test_gpt2_answers_in_the_plain_format(make_engine: MakeEngine, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", gpt2_config(), template=None)
    engine, oracle = make_engine(model=str(folder)), Oracle(folder)
    completion = await ask(engine, request("Where?"))
    prompt = oracle.tokenizer.encode(
        f"{HEAD}\n\nUser: Where?\nAssistant:", add_special_tokens=False
    )
    answer, reason = oracle.greedy(prompt, 24)
    assert _told(completion)[:2] == (oracle.text(answer).lstrip(), reason)
    assert completion.wire["usage"]["prompt_tokens"] == len(prompt)


async def test_a_request_may_do_without_the_knowledge(
    make_engine: MakeEngine, tiny_llama: Path
) -> None:
    engine, oracle = make_engine(), Oracle(tiny_llama)
    asked = request("Where?", knowledge=False)
    completion = await ask(engine, asked)
    answer, reason = oracle.greedy(oracle.chat_ids([{"role": "user", "content": "Where?"}]), 24)
    assert _told(completion)[:2] == (oracle.text(answer), reason)
    assert "citations" not in completion.wire
    assert engine.source(asked).knowledge == engine.source(asked).base == ""
    assert engine.source(request("Where?")).knowledge == engine.knowledge_digest != ""
    assert (await ask(engine, request("Where?", knowledge=True))).wire["usage"] != (
        completion.wire["usage"]
    )


async def test_without_knowledge_the_model_answers_plainly(
    make_engine: MakeEngine, tiny_llama: Path
) -> None:
    engine, oracle = make_engine(knowledge=None), Oracle(tiny_llama)
    completion = await ask(engine, request("Where?"))
    answer, reason = oracle.greedy(oracle.chat_ids([{"role": "user", "content": "Where?"}]), 24)
    assert _told(completion)[:2] == (oracle.text(answer), reason)
    assert completion.wire["usage"]["prompt_tokens_details"] == {"cached_tokens": 0}
    assert engine.knowledge_digest == ""
    assert engine.source(request("x")).knowledge == ""


async def test_a_conversation_with_its_own_system_text_keeps_the_prefix(
    make_engine: MakeEngine, tiny_llama: Path
) -> None:
    engine, oracle = make_engine(), Oracle(tiny_llama)
    messages = [
        {"role": "system", "content": "Answer in verse."},
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": "There."},
        {"role": "user", "content": "Sure?"},
    ]
    completion = await ask(engine, request(messages=messages))
    head = {"role": "system", "content": f"{HEAD}\n\nAnswer in verse."}
    prompt = oracle.chat_ids([head, *messages[1:]])
    answer, reason = oracle.greedy(prompt, 24)
    assert _told(completion)[:2] == (oracle.text(answer), reason)
    usage = completion.wire["usage"]
    assert usage["prompt_tokens"] == len(prompt)
    plain = await ask(engine, request("x"))
    assert usage["prompt_tokens_details"] == plain.wire["usage"]["prompt_tokens_details"]


# ------------------------------------------------------------------------------------- wire form


async def test_usage_counts_the_whole_prompt_and_the_reused_prefix(
    make_engine: MakeEngine, tiny_llama: Path
) -> None:
    engine, oracle = make_engine(), Oracle(tiny_llama)
    chunks = await stream(engine, request("Where?", max_tokens=5))
    usage = chunks[-1].wire["usage"]
    system = {"role": "system", "content": HEAD}
    prompt = oracle.chat_ids([system, {"role": "user", "content": "Where?"}])
    head = oracle.tokenizer.encode("<|im_start|>system\n" + HEAD, add_special_tokens=False)
    assert usage["prompt_tokens"] == len(prompt)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    reused = usage["prompt_tokens_details"]["cached_tokens"]
    assert len(head) - 2 <= reused <= len(head)
    assert [chunk.wire.get("usage") for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)


async def test_an_answer_has_a_fresh_id_and_says_who_answers(make_engine: MakeEngine) -> None:
    engine = make_engine(names=("tiny", "semcache"))
    first, second = [await ask(engine, request("Where?")) for _ in range(2)]
    assert first.wire["id"].startswith("chatcmpl-")
    assert first.wire["id"] != second.wire["id"]
    assert first.wire["model"] == "tiny"
    assert first.wire["system_fingerprint"] == second.wire["system_fingerprint"]
    assert first.choices[0]["message"] == {"role": "assistant", "content": first.text}


async def test_a_legacy_prompt_is_a_question_in_the_old_form(make_engine: MakeEngine) -> None:
    engine = make_engine()
    modern, old = await ask(engine, request("Where?")), await ask(engine, legacy("Where?"))
    assert old.is_text
    assert old.wire["id"].startswith("cmpl-")
    assert old.text == modern.text
    assert old.wire["usage"] == modern.wire["usage"]


def test_it_accepts_its_names_and_no_others(make_engine: MakeEngine) -> None:
    engine = make_engine(names=("tiny", "alias"))
    assert list(engine.models()) == ["tiny", "alias"]
    assert engine.accepts(request("x"))
    assert not engine.accepts(legacy("x", model="gpt-4o"))
    assert engine.name == engine.source(request("x")).answerer == "cag"


# --------------------------------------------------------------------------------------- options


async def test_max_tokens_ends_the_answer_and_says_so(make_engine: MakeEngine) -> None:
    engine = make_engine()
    whole = await ask(engine, request("Where?"))
    cut = await ask(engine, request("Where?", max_completion_tokens=3))
    assert cut.wire["usage"]["completion_tokens"] == 3
    assert cut.choices[0]["finish_reason"] == "length"
    assert whole.text.startswith(cut.text)


async def test_a_stop_string_is_never_told(make_engine: MakeEngine) -> None:
    engine = make_engine()
    whole = (await ask(engine, request("Where?"))).text
    stop = whole[4:7]
    completion = await ask(engine, request("Where?", stop=[stop, "never there"]))
    assert completion.text == whole[: whole.index(stop)]
    assert completion.choices[0]["finish_reason"] == "stop"


async def test_choices_share_a_prompt_and_differ_by_seed(make_engine: MakeEngine) -> None:
    engine = make_engine()
    hot = {"temperature": 1.5, "seed": 11, "max_tokens": 12}
    three = await ask(engine, request("Where?", n=3, **hot))
    alone = [await ask(engine, request("Where?", **{**hot, "seed": 11 + at})) for at in range(3)]
    assert [c["message"]["content"] for c in three.choices] == [one.text for one in alone]
    assert len({one.text for one in alone}) == 3
    generated = [one.wire["usage"]["completion_tokens"] for one in alone]
    assert three.wire["usage"]["completion_tokens"] == sum(generated)
    assert three.wire["usage"]["prompt_tokens"] == alone[0].wire["usage"]["prompt_tokens"]


async def test_log_probabilities_are_those_of_the_model(
    make_engine: MakeEngine, tiny_llama: Path
) -> None:
    engine, oracle = make_engine(), Oracle(tiny_llama)
    asked = request("Where?", logprobs=True, top_logprobs=2, max_tokens=6)
    told = (await ask(engine, asked)).choices[0]["logprobs"]["content"]
    ids = oracle.chat_ids(
        [{"role": "system", "content": HEAD}, {"role": "user", "content": "Where?"}]
    )
    for one in told:
        logprobs = oracle.logits(ids)[-1].log_softmax(-1)
        top = logprobs.topk(2)
        assert one["token"] == oracle.tokenizer.decode([int(top.indices[0])])
        assert one["logprob"] == pytest.approx(float(top.values[0]), abs=1e-3)
        alternatives = [alternative["logprob"] for alternative in one["top_logprobs"]]
        assert alternatives == pytest.approx(top.values.tolist(), abs=1e-3)
        ids.append(int(top.indices[0]))
    assert 1 <= len(told) <= 6


async def test_a_banned_token_does_not_come(make_engine: MakeEngine, tiny_llama: Path) -> None:
    engine, oracle = make_engine(), Oracle(tiny_llama)
    head = [{"role": "system", "content": HEAD}, {"role": "user", "content": "Where?"}]
    first = oracle.greedy(oracle.chat_ids(head), 1)[0][0]
    second = int(oracle.logits(oracle.chat_ids(head))[-1].topk(2).indices[1])
    asked = request("Where?", logit_bias={str(first): -100}, max_tokens=1, logprobs=True)
    told = (await ask(engine, asked)).choices[0]["logprobs"]["content"]
    assert told[0]["token"] == oracle.tokenizer.decode([second])


# ---------------------------------------------------------------------------------------- limits


async def test_a_prompt_beyond_the_window_is_refused_with_numbers(make_engine: MakeEngine) -> None:
    engine = make_engine(window=200)
    with pytest.raises(ContextLengthExceeded, match=r"The prompt has \d{3}.* window of 200"):
        await stream(engine, request("where is it? " * 100))
    assert (await ask(engine, request("Where?"))).choices


async def test_an_answer_ends_with_the_window(make_engine: MakeEngine) -> None:
    engine = make_engine(window=180)
    free = 180 - (await ask(engine, request("Where?"))).wire["usage"]["prompt_tokens"]
    completion = await ask(
        engine, request("Where?", max_tokens=10**6, temperature=1, seed=1, logit_bias={"2": -100})
    )
    assert completion.wire["usage"]["total_tokens"] == 180
    assert completion.wire["usage"]["completion_tokens"] == free
    assert completion.choices[0]["finish_reason"] == "length"


async def test_a_bias_on_a_token_that_is_none_is_refused(make_engine: MakeEngine) -> None:
    with pytest.raises(RequestError, match="vocabulary of 384"):
        await stream(make_engine(), request("Where?", logit_bias={"384": 1}))


async def test_what_is_not_text_is_refused_before_the_first_chunk(make_engine: MakeEngine) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    answer = make_engine().answer(request(messages=[{"role": "user", "content": [image]}]))
    with pytest.raises(RequestError, match="text only"):
        await anext(answer)


def test_too_much_knowledge_says_by_how_much(make_engine: MakeEngine, tmp_path: Path) -> None:
    folder = write_documents(tmp_path / "large", a="The lift stops on every second floor. " * 80)
    with pytest.raises(KnowledgeTooLarge) as raised:
        make_engine(knowledge=folder, mode="whole")
    numbers = [int(n.replace(",", "")) for n in raised.value.message.split() if n[0].isdigit()]
    tokens, window, reserved, excess = numbers
    assert (window, reserved) == (512, 32)
    assert excess == tokens + reserved - window > 0


# ----------------------------------------------------------------------------------------- state


async def test_before_load_and_after_close_it_says_so(
    make_engine: MakeEngine, tmp_path: Path
) -> None:
    raw = CagEngine(CagSettings(), data_dir=tmp_path, cache_dir=tmp_path)
    with pytest.raises(EngineError, match="not loaded"):
        raw.source(request("x"))
    engine = make_engine()
    await engine.aclose()
    with pytest.raises(EngineError, match="not loaded"):
        await stream(engine, request("Where?"))
    await engine.aclose()


@pytest.mark.parametrize("model", ["no/such-model-here", "/nowhere/at/all"])
def test_a_model_that_is_not_here_is_named(make_engine: MakeEngine, model: str) -> None:
    with pytest.raises(ConfigError, match=f"No model '{model}' on this machine"):
        make_engine(model=model, knowledge=None)


def test_a_folder_that_is_no_model_is_named(make_engine: MakeEngine, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="Cannot load the model in"):
        make_engine(model=str(tmp_path / "empty"), knowledge=None)


@pytest.mark.parametrize("device", ["cuda:77", "nonsense"])
def test_a_device_that_is_not_here_is_named(make_engine: MakeEngine, device: str) -> None:
    with pytest.raises(ConfigError, match="cannot be used here"):
        make_engine(device=device)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
async def test_on_a_gpu_the_answers_are_the_same(make_engine: MakeEngine, tiny_llama: Path) -> None:
    engine, oracle = make_engine(device="cuda", dtype="float32"), Oracle(tiny_llama)
    assert _told(await ask(engine, request("Where?"))) == _expected(oracle, "Where?")


async def test_half_precision_answers(make_engine: MakeEngine) -> None:
    engine = make_engine(dtype="bfloat16")
    chunks = await stream(engine, request("Where?", max_tokens=4))
    assert collect(chunks).wire["usage"]["completion_tokens"] <= 4
    assert await asyncio.to_thread(engine.reload_knowledge) is False
