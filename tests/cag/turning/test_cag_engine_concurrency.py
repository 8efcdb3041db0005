"""Many requests at once on one prefix: each as if it were alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from semcache.cag.engine import CagEngine
from semcache.chat import ChatRequest
from semcache.completion import Chunk, Completion
from semcache.errors import EngineBusy, EngineError
from tests.cag.asking import ask, request, stream, whole_of
from tests.cag.conftest import MakeEngine

pytestmark = pytest.mark.anyio


def _requests() -> list[ChatRequest]:
    """Greedy and sampled, of many lengths, some with several choices."""
    asked = []
    for at in range(24):
        options: dict[str, Any] = {"max_tokens": 4 + at % 13}
        if at % 3 == 1:
            options |= {"temperature": 1.3, "top_p": 0.9, "seed": at}
        if at % 8 == 5:
            options |= {"n": 2, "temperature": 0.8, "seed": at, "frequency_penalty": 0.5}
        asked.append(request(f"Question {at}: " + "where? " * (at % 7), **options))
    return asked


def _pieces(chunks: list[Chunk]) -> list[Any]:
    """What each chunk says, and the usage: everything but ids and times."""
    return [(chunk.wire["choices"], chunk.wire.get("usage")) for chunk in chunks]


def _prefix_bytes(engine: CagEngine) -> list[bytes]:
    prefix = whole_of(engine).prefix
    assert prefix is not None
    return [part.numpy().tobytes() for layer in prefix.layers for part in layer]


async def test_every_token_is_that_of_a_lone_run(make_engine: MakeEngine) -> None:
    engine = make_engine(max_active=8)
    before = _prefix_bytes(engine)
    alone = [_pieces(await stream(engine, one)) for one in _requests()]
    together = await asyncio.gather(*(stream(engine, one) for one in _requests()))
    assert [_pieces(chunks) for chunks in together] == alone
    assert _prefix_bytes(engine) == before


async def test_requests_really_take_turns(make_engine: MakeEngine) -> None:
    engine = make_engine()
    order: list[int] = []

    async def follow(name: int) -> None:
        asked = request("Where?", max_tokens=20, logit_bias={"2": -100})
        async for _ in engine.answer(asked):
            order.append(name)

    await asyncio.gather(follow(0), follow(1))
    switches = sum(a != b for a, b in pairwise(order))
    assert switches > 5


async def test_a_reader_who_leaves_frees_the_turn(make_engine: MakeEngine) -> None:
    engine = make_engine(max_active=1)
    endless = {"max_tokens": 10**6, "temperature": 1, "seed": 1, "logit_bias": {"2": -100}}
    leaving = engine.answer(request("Where?", **endless))
    await anext(leaving)
    waiting = asyncio.create_task(ask(engine, request("Who?", max_tokens=2)))
    await asyncio.sleep(0)
    assert not waiting.done()
    await leaving.aclose()
    assert (await waiting).choices


async def test_a_cancelled_task_frees_the_turn(make_engine: MakeEngine) -> None:
    engine = make_engine(max_active=1)
    endless = {"max_tokens": 10**6, "temperature": 1, "seed": 1, "logit_bias": {"2": -100}}
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in engine.answer(request("Where?", **endless)):
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await ask(engine, request("Who?", max_tokens=2))).choices


def _break(
    engine: CagEngine, monkeypatch: pytest.MonkeyPatch, breaks: Callable[[dict[str, Any]], bool]
) -> None:
    network = engine._ready().loaded.model.network
    forward = network.forward

    def broken(*args: Any, **kwargs: Any) -> Any:
        if breaks(kwargs):
            raise MemoryError("out of memory")
        return forward(*args, **kwargs)

    monkeypatch.setattr(network, "forward", broken)


def _logprobs(completion: Completion) -> list[float]:
    return [token["logprob"] for token in completion.choices[0]["logprobs"]["content"]]


async def test_a_failing_request_hurts_no_other(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine()
    expected = await ask(engine, request("Who?", max_tokens=12, logprobs=True))
    tokenizer = engine._ready().loaded.model.tokenizer
    poison = tokenizer("Z", add_special_tokens=False)["input_ids"]
    assert len(poison) == 1
    _break(engine, monkeypatch, lambda read: poison[0] in read["input_ids"])
    poisoned = request("Who?", max_tokens=12, logit_bias={str(poison[0]): 100})
    asked = [request("Who?", max_tokens=12, logprobs=True) for _ in range(3)]
    results = await asyncio.gather(
        *(ask(engine, one) for one in (*asked[:2], poisoned, asked[2])), return_exceptions=True
    )
    failed = results.pop(2)
    assert isinstance(failed, EngineError)
    assert "MemoryError" in str(failed)
    for result in results:
        assert not isinstance(result, BaseException)
        assert result.text == expected.text
        assert _logprobs(result) == pytest.approx(_logprobs(expected), abs=1e-4)


async def test_a_pass_that_fails_once_is_made_good(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = make_engine()
    alone = [_pieces(await stream(engine, one)) for one in _requests()[:6]]
    passes = iter(range(10**6))
    _break(engine, monkeypatch, lambda read: "position_ids" in read and next(passes) in (1, 5, 9))
    together = await asyncio.gather(*(stream(engine, one) for one in _requests()[:6]))
    assert [_pieces(chunks) for chunks in together] == alone
    assert caplog.text.count("each is read alone") == 3


async def test_a_full_queue_is_busy(make_engine: MakeEngine) -> None:
    engine = make_engine(max_active=1, max_queued=2)
    gate, held = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        gate.wait(30)

    holding = asyncio.create_task(asyncio.to_thread(engine._ready().scheduler.call, hold))
    await asyncio.to_thread(held.wait, 30)
    queued = [asyncio.create_task(ask(engine, request("Who?", max_tokens=2))) for _ in range(2)]
    await asyncio.sleep(0.01)
    with pytest.raises(EngineBusy):
        await ask(engine, request("Who?"))
    gate.set()
    assert all(answer.choices for answer in await asyncio.gather(*queued))
    await holding


async def test_closing_ends_running_requests_with_an_error(make_engine: MakeEngine) -> None:
    engine = make_engine()
    endless = {"max_tokens": 10**6, "temperature": 1, "seed": 1, "logit_bias": {"2": -100}}
    tasks = [asyncio.create_task(ask(engine, request("Where?", **endless))) for _ in range(3)]
    await asyncio.sleep(0.01)
    await engine.aclose()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(
        isinstance(result, EngineError) or result.choices[0]["finish_reason"] == "length"  # type: ignore[union-attr]
        for result in results
    )
    assert not [t for t in threading.enumerate() if t.name == "semcache-cag" and t.is_alive()]


def test_an_answer_whose_loop_is_gone_ends(make_engine: MakeEngine) -> None:
    engine = make_engine(max_active=1)
    endless = {"max_tokens": 10**6, "temperature": 1, "seed": 1, "logit_bias": {"2": -100}}
    loop = asyncio.new_event_loop()
    answer = engine.answer(request("Where?", **endless))
    loop.run_until_complete(anext(answer))
    loop.close()
    assert asyncio.run(ask(engine, request("Who?", max_tokens=2))).choices
