"""What is refused before it costs anything: large heads, slow clients, too much at one time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event

import httpx2
import pytest

from semcache.chat import ChatRequest
from semcache.completion import Chunk
from semcache.config import Config
from semcache.errors import ConfigError
from semcache_server.bounds import Bounds
from tests.scripted import ScriptedAnswerer
from tests.server.serving import serving

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: here\r\n"
BOUNDS = Bounds(
    max_messages=2,
    max_in_flight=2,
    max_in_flight_per_tenant=1,
    max_head_bytes=2000,
    read_timeout_s=1.0,
)


class Held(ScriptedAnswerer):
    """Says one chunk, and the rest when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = Event()
        self.go_on = Event()

    async def answer(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        async for chunk in super().answer(request):
            yield chunk
            self.begun.set()
            while not self.go_on.is_set():
                await asyncio.sleep(0.005)


def told(http: httpx2.Client, *pieces: bytes) -> bytes:
    """What the server says to these pieces until it hangs up."""
    where = (http.base_url.host, http.base_url.port)
    with socket.create_connection(where, timeout=20) as connection:
        with suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
        said = b""
        with suppress(ConnectionError):
            while more := connection.recv(65_536):
                said += more
        return said


def ask(http: httpx2.Client, key: str, text: str, **more: object) -> httpx2.Response:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
    headers = {"authorization": f"Bearer {key}"}
    return http.post("/v1/chat/completions", json=body, headers=headers)


def test_what_is_read_is_bounded(tmp_path: Path) -> None:
    many = b"".join(b"x-h%d: %s\r\n" % (at, b"y" * 50) for at in range(60))
    with serving(tmp_path, ScriptedAnswerer(), bounds=BOUNDS) as http:
        for pieces in (
            (HEAD + many + b"\r\n",),
            (HEAD, b"x-endless: " + b"y" * 1500, b"y" * 1500),
            (HEAD, many[:1500], many[1500:], b"\r\n"),
            (b"GET /" + b"y" * 3000,),
        ):
            said = told(http, *pieces)
            assert said.startswith(b"HTTP/1.1 431 "), said
            assert b"head_too_large" in said
        slow = [(HEAD,), (HEAD + b"content-length: 9\r\n\r\n{",), (b"P",), ()]
        with ThreadPoolExecutor(4) as pool:
            said_to = list(pool.map(lambda pieces: told(http, *pieces), slow))
        assert said_to.pop() == b""
        for said in said_to:
            assert said.startswith(b"HTTP/1.1 408 "), said
            assert said.count(b"HTTP/1.1") == 1
        long = [{"role": "user", "content": "hi"}] * 3
        refused = ask(http, "a", "", messages=long)
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "messages"
        assert ask(http, "a", "hi").status_code == 200


def test_only_so_many_are_answered_at_one_time(tmp_path: Path) -> None:
    answerer = Held()
    bounds = Bounds(max_in_flight=2, max_in_flight_per_tenant=1)
    with ThreadPoolExecutor(4) as pool, serving(tmp_path, answerer, bounds=bounds) as http:

        def held(key: str) -> Callable[[], httpx2.Response]:
            answerer.begun.clear()
            asked = pool.submit(ask, http, key, f"What does {key} want?")
            assert answerer.begun.wait(20)
            return lambda: asked.result(20)

        waiting = [held("one")]
        refused = ask(http, "one", "Something else?")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        waiting.append(held("two"))
        refused = ask(http, "three", "Something else?")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["error"]["code"] == "server_busy"
        answerer.go_on.set()
        assert [each().status_code for each in waiting] == [200, 200]
        for key in ("one", "two", "three"):
            assert ask(http, key, "Something else?").status_code == 200


def test_an_answer_has_an_end(tmp_path: Path) -> None:
    answerer = Held()
    bounds = Bounds(request_timeout_s=3.0)
    with ThreadPoolExecutor(2) as pool, serving(tmp_path, answerer, bounds=bounds) as http:
        asked = pool.submit(ask, http, "one", "What takes so long?")
        streamed = ask(http, "one", "And what else?", stream=True)
        whole = asked.result(20)
        assert (whole.status_code, whole.json()["error"]["code"]) == (504, "answer_timeout")
        assert streamed.status_code == 200
        events = streamed.text.strip().split("\n\n")
        assert "answer_timeout" in events[-1]
        assert "[DONE]" not in streamed.text
    assert answerer.cancelled == 2


@pytest.mark.parametrize("name", ["max_head_bytes", "read_timeout_s", "max_in_flight"])
def test_a_bound_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Config.from_mapping({"server": {name: 0}})
