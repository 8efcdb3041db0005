"""Over HTTP: who joins a running stream, who leaves it, and who is served a stale answer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2

from semcache.chat import ChatRequest
from semcache.completion import Chunk, Completion, replay, text_completion_of
from semcache.errors import UpstreamDown
from semcache.policy import PolicySettings
from tests.scripted import ScriptedAnswerer, echo
from tests.server.serving import serving

CHAT = "/v1/chat/completions"
BODY = {
    "model": "m",
    "messages": [{"role": "user", "content": "How tall is the Eiffel Tower?"}],
    "stream": True,
}


class Held(ScriptedAnswerer):
    """Says half of its answer, and the rest when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.done = threading.Event()

    async def answer(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        self.calls.append(request)
        chunks = list(replay(echo(request)))
        for at, chunk in enumerate(chunks):
            while at == len(chunks) // 2 and not self.go.is_set():
                await asyncio.sleep(0.005)
            yield chunk
        self.done.set()


def told(events: str) -> list[str]:
    """What the events say, without what each response has of its own."""
    return [event.partition('"object"')[2] for event in events.split("\n\n")]


def test_a_second_caller_has_all_of_it_though_the_first_one_leaves(tmp_path: Path) -> None:
    answerer = Held()
    with serving(tmp_path, answerer) as http:
        with http.stream("POST", CHAT, json=BODY) as first:
            texts = first.iter_text()
            assert next(texts)
            with http.stream("POST", CHAT, json=BODY) as second:
                assert second.headers["x-semcache-status"] == "COALESCED"
                came = second.iter_text()
                parts = [next(came)]  # what was already said, while it is being made
                del texts
                first.close()
                answerer.go.set()
                parts += came
        assert answerer.done.wait(20)
        stored = http.post(CHAT, json={**BODY, "stream": False})
        hit = http.post(CHAT, json=BODY)
        assert hit.headers["x-semcache-status"] == "HIT"
        assert (
            stored.json()["choices"][0]["message"]["content"]
            == "m answers: How tall is the Eiffel Tower?"
        )
        live = [event for event in told("".join(parts)) if event]
        assert [event for event in told(hit.text) if event] == live
        assert len(answerer.calls) == 1


def test_an_upstream_that_is_left_alone_is_a_503_that_says_when_to_come_again(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, ScriptedAnswerer(error=UpstreamDown(retry_after_s=7))) as http:
        for stream in (True, False):
            answer = http.post(CHAT, json={**BODY, "stream": stream})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
            assert answer.json()["error"]["code"] == "upstream_down"


def test_a_stale_answer_is_served_while_another_is_made(tmp_path: Path) -> None:
    answerer = ScriptedAnswerer(lambda _: said(len(answerer.calls)))

    def said(number: int) -> Completion:
        return text_completion_of(f"answer {number}", id="c", created=1, model="m")

    def ask(http: httpx2.Client) -> tuple[str, str]:
        answer = http.post(CHAT, json={**BODY, "stream": False})
        text: str = answer.json()["choices"][0]["message"]["content"]
        return answer.headers["x-semcache-status"], text

    settings = PolicySettings(ttl_s=0.3, stale_while_revalidate_s=600.0)
    with serving(tmp_path, answerer, settings=settings) as http:
        assert ask(http) == ("MISS", "answer 1")
        seen = [ask(http)]
        while seen[-1][1] != "answer 3":
            time.sleep(0.02)
            seen.append(ask(http))
        statuses = {status for status, _ in seen}
        assert statuses <= {"HIT", "STALE"}  # nobody has waited
        assert "STALE" in statuses
        assert [text for _, text in seen] == sorted(text for _, text in seen)
