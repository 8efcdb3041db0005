"""`semcache warm`: asked once, as many at a time as is said; run again, it goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from semcache.cache import SemCache
from semcache.chat import ChatRequest, message_text
from semcache.completion import Chunk, text_completion_of
from semcache.errors import AnswerError, EngineBusy, EngineError
from semcache.store import LocalStore
from semcache.transfer.asked import Asker
from semcache.transfer.warming import Warmed, Warming
from tests.loopback import Json, Loopback, Seen
from tests.scripted import ScriptedAnswerer
from tests.transfer.test_import import HEIGHT, HEIGHT_TOO, options, run


class Counting(ScriptedAnswerer):
    """Counts how many it answers at once; is busy the first time, and never knows of errors."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.busy = True

    async def answer(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        if self.busy:
            self.busy = False
            raise EngineBusy("Too many.", retry_after_s=0)
        if "error" in message_text(request.messages[-1]):
            raise EngineError("It broke.")
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.01)
        async for chunk in super().answer(request):
            yield chunk
        self.now -= 1


def numbered(lines: Sequence[str | dict[str, Any]]) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(lines, start=1):
        yield number, (line if isinstance(line, str) else json.dumps(line)).encode() + b"\n"


def warmed(folder: Path, answerer: ScriptedAnswerer, lines: Sequence[Any], **more: Any) -> Warmed:
    async def work() -> Warmed:
        cache = SemCache(store=LocalStore(folder), answerers=[answerer])
        try:
            return await Warming(cache, Asker("t", "m"), 3, **more).run(numbered(lines))
        finally:
            await cache.aclose()

    return asyncio.run(work())


def test_so_many_at_once_and_nothing_twice(tmp_path: Path) -> None:
    answerer, told = Counting(), []
    lines: list[Any] = [f"Question {at}?" for at in range(12)]
    lines += ["", "Question 3?", {"messages": [{"role": "user", "content": "Why?"}]}]
    lines += ["{broken", {"question": "Warm?", "temperature": 1.0}, {"question": "An error?"}]
    found = warmed(tmp_path, answerer, lines, complain=lambda at, why: told.append((at, why)))
    assert answerer.most == 3
    assert (found.read, found.asked, found.stored, found.exact) == (16, 14, 13, 1)
    assert found.not_stored == {"temperature": 1}
    assert sorted(told) == [
        (16, "It is not JSON."),
        (17, "Its answer may not be stored: temperature."),
        (18, "It broke."),
    ]
    asked = len(answerer.calls)
    again = warmed(tmp_path, answerer, lines[:15], dry=True)
    assert (again.exact, again.asked, len(answerer.calls)) == (14, 0, asked)
    assert again.complete


def test_it_stops_where_the_engines_are_down(tmp_path: Path) -> None:
    answerer = Counting()
    lines = [f"An error {at}?" for at in range(500)]
    with pytest.raises(AnswerError, match="It broke"):
        warmed(tmp_path, answerer, lines)
    assert not answerer.calls


def test_from_a_log_through_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = dict(text_completion_of("330 metres", id="chatcmpl-1", created=1, model="m").wire)
    cut = json.loads(json.dumps(answer))
    cut["choices"][0]["finish_reason"] = "length"
    asked = {"model": "m", "messages": [{"role": "user", "content": HEIGHT}], "stream": True}
    bread = {"model": "m", "messages": [{"role": "user", "content": "How do I bake a bread?"}]}
    path = tmp_path / "log.jsonl"
    lines = [
        {"request": asked, "response": answer},
        {"request": json.dumps(bread), "response": json.dumps(cut)},
        {"custom_id": "1", "method": "POST", "body": bread},
    ]
    path.write_text("\n".join([*map(json.dumps, lines), HEIGHT_TOO]))
    seen: list[str] = []

    def reply(request: Seen) -> Json:
        seen.append(request.json()["messages"][-1]["content"])
        return Json(answer)

    with Loopback(reply) as server:
        base_url = f'upstream: {{base_url: "{server.base_url}", models: ["m"]}}'
        here = options(tmp_path / "a", base_url)
        (tmp_path / "a" / "c.yaml").write_text(f"engines: [upstream]\n{base_url}\n")
        command = ["warm", str(path), "--model", "m", "--concurrency", "1", "--json", *here]
        assert run(*command) == 1
        told = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert told["not_stored"] == {"truncated": 1}
        assert (told["stored"], told["asked"], told["hits_semantic"]) == (2, 1, 1)
        assert seen == ["How do I bake a bread?"]
        path.write_text("\n".join([*map(json.dumps, lines), HEIGHT_TOO]))
        assert run(*command) == 0  # the answer that was cut in the log is there by now
        told = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (told["stored"], told["asked"], told["hits_exact"]) == (0, 0, 3)
        assert len(seen) == 1
