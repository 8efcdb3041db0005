"""Many requests at once on one prefix: each as if it were alone."""

from __future__ import annotations

import asyncio
import threading
from itertools import pairwise
from typing import Any

import pytest

from semcache.cag.engine import CagEngine
from semcache.chat import ChatRequest
from semcache.completion import Chunk
from semcache.errors import EngineBusy, EngineError
from tests.cag.asking import ask, request, stream
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
    prefix = engine._ready().reading.parts[0].prefix
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


async def test_a_failing_request_hurts_no_other(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine()
    expected = (await ask(engine, request("Who?", max_tokens=12))).text
    network = engine._ready().loaded.model.network
    forward = network.forward
    calls: list[None] = []

    def break_once(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        if len(calls) == 6:
            raise MemoryError("out of memory")
        return forward(*args, **kwargs)

    monkeypatch.setattr(network, "forward", break_once)
    results = await asyncio.gather(
        *(ask(engine, request("Who?", max_tokens=12)) for _ in range(3)), return_exceptions=True
    )
    failed = [result for result in results if isinstance(result, BaseException)]
    assert len(failed) == 1
    assert isinstance(failed[0], EngineError)
    assert "MemoryError" in str(failed[0])
    assert [r.text for r in results if not isinstance(r, BaseException)] == [expected] * 2


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
