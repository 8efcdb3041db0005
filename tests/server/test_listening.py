"""Writes of one turn leave together; what a direct path did not expect is still an answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop

from semcache.chat import ChatRequest
from semcache.completion import Chunk
from semcache.keys import Source
from semcache_server.listening import Front, GatheringTransport
from semcache_server.wire import ASGIScope, Receive, Send
from tests.server.serving import serving


async def sent(say: Any) -> list[bytes]:
    """What a peer receives in each read after `say(transport)` ran in one turn."""
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    theirs.setblocking(False)
    say(GatheringTransport(transport, loop))
    pieces: list[bytes] = []
    async with asyncio.timeout(5):
        while not pieces or pieces[-1]:
            pieces.append(await loop.sock_recv(theirs, 1000))
            if pieces[-1] == b"later":
                transport.close()
    theirs.close()
    return pieces[:-1]


def test_writes_of_one_turn_leave_together() -> None:
    def say(transport: GatheringTransport) -> None:
        transport.write(b"head")
        transport.write(b"body")
        assert transport.get_write_buffer_size() == 8
        asyncio.get_running_loop().call_later(0.01, transport.write, b"later")

    assert asyncio.run(sent(say)) == [b"headbody", b"later"]


def test_closing_sends_what_was_written() -> None:
    def say(transport: GatheringTransport) -> None:
        transport.write(b"bye")
        transport.close()
        assert transport.is_closing()

    assert asyncio.run(sent(say)) == [b"bye"]


def test_writing_to_a_client_that_has_left_is_no_error() -> None:
    errors: list[Any] = []

    async def scenario() -> None:
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: errors.append(context))
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        gathering = GatheringTransport(transport, loop)
        gathering.write(b"one")
        transport.abort()  # as when the connection is lost
        await asyncio.sleep(0.01)
        gathering.write(b"another")
        await asyncio.sleep(0.01)
        theirs.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
    assert not errors


def test_posts_to_a_direct_path_and_nothing_else_skip_the_framework() -> None:
    went: list[str] = []

    def app(name: str) -> Any:
        async def called(scope: ASGIScope, receive: Receive, send: Send) -> None:
            went.append(name)

        return called

    front = Front({"/hot": app("direct")}, app("rest"))
    scopes: list[ASGIScope] = [
        {"type": "http", "method": "POST", "path": "/hot"},
        {"type": "http", "method": "GET", "path": "/hot"},
        {"type": "http", "method": "POST", "path": "/hot/"},
        {"type": "lifespan"},
    ]
    for scope in scopes:
        asyncio.run(cast(Any, front(scope, cast(Any, None), cast(Any, None))))
    assert went == ["direct", "rest", "rest", "rest"]


class Broken:
    """An answerer with a bug where no error is expected."""

    name = "broken"

    def models(self) -> list[str]:
        return ["m"]

    def accepts(self, request: ChatRequest) -> bool:
        raise ZeroDivisionError("a secret of the inside")

    def source(self, request: ChatRequest) -> Source:
        return Source("broken")

    def answer(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        raise NotImplementedError

    async def aclose(self) -> None:
        return None


def test_an_unexpected_error_is_an_answer_and_a_log_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    with serving(tmp_path, Broken()) as client:
        for path in ("/v1/chat/completions", "/put"):
            given = body if path.startswith("/v1") else {"prompt": "hello", "answer": "world"}
            response = client.post(path, json=given)
            assert response.status_code == 500
            assert "unexpected" in response.json()["error"]["message"]
            assert "secret" not in response.text
        assert client.get("/healthz").status_code == 200
        assert client.get("/v1/chat/completions").status_code == 405
    assert any("unexpected error" in record.message for record in caplog.records)
