"""A scriptable HTTP/1.1 server on a real loopback socket, for tests.

    with Loopback([Json({"id": "1"}), Events([b"data: 1\\n\\n", 0.01, Drop()])]) as server:
        ...  # ask server.base_url; then look at server.requests

The script is a list of replies, the last of which is repeated, or a function from the request to
its reply. The server runs in a thread of its own with its own event loop, so that the code under
test may block or not. `Seen.gone` is set when the client leaves before its reply is complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from types import TracebackType
from typing import Any, TypeAlias

_TICK_S = 0.002
_START_S = 10.0


@dataclass(frozen=True)
class Json:
    """A whole JSON reply; bytes and texts go out as they are."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Drop:
    """In an event stream: close the connection here, with the body unfinished."""


@dataclass(frozen=True)
class Events:
    """A chunked stream: bytes are sent, a number is a pause in seconds, an Event is waited for."""

    parts: Iterable[bytes | float | threading.Event | Drop]
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True)
class Raw:
    """These bytes instead of an HTTP reply, then the end of the connection."""

    data: bytes = b""


@dataclass(frozen=True)
class Silence:
    """No reply at all until the client leaves."""


Reply: TypeAlias = Json | Events | Raw | Silence


@dataclass
class Seen:
    """A request as it arrived. Header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    gone: threading.Event = field(default_factory=threading.Event)

    def json(self) -> Any:
        return json.loads(self.body)


Script: TypeAlias = Sequence[Reply] | Callable[[Seen], Reply]


def sse(*wires: Mapping[str, Any], done: bool = True) -> list[bytes]:
    """Each object as one event, then `[DONE]`."""
    events = [b"data: " + json.dumps(wire, ensure_ascii=False).encode() + b"\n\n" for wire in wires]
    return [*events, b"data: [DONE]\n\n"] if done else events


class Loopback:
    """The server; a context manager."""

    def __init__(self, script: Script) -> None:
        self.requests: list[Seen] = []
        self.connections = 0
        self.port = 0
        self._reply = script if callable(script) else _in_turn(script)
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="loopback", daemon=True)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    def __enter__(self) -> Loopback:
        self._thread.start()
        if not self._started.wait(_START_S):
            raise RuntimeError("the loopback server did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = self._loop.create_task(self._talk(reader, writer, self.connections))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        try:
            while (seen := await _read_request(reader, number)) is not None:
                self.requests.append(seen)
                if not await _Connection(reader, writer, seen).send(self._reply(seen)):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def _in_turn(replies: Sequence[Reply]) -> Callable[[Seen], Reply]:
    turn: Iterator[Reply] = chain(replies, repeat(replies[-1]))
    return lambda _: next(turn)


async def _read_request(reader: asyncio.StreamReader, number: int) -> Seen | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.split(":", 1) for line in lines)
    headers = {name.lower(): value.strip() for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Seen(method, path, headers, body, number)


class _Connection:
    """One reply on its way; `send` says whether the connection may be used again."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._seen = seen

    async def send(self, reply: Reply) -> bool:
        try:
            if isinstance(reply, Json):
                await self._whole(reply)
                return True
            if isinstance(reply, Events):
                return await self._stream(reply)
            if isinstance(reply, Raw):
                await self._write(reply.data)
            else:
                while True:
                    await self._pause()
        except ConnectionError:
            self._seen.gone.set()
        return False

    async def _whole(self, reply: Json) -> None:
        body = reply.body.encode() if isinstance(reply.body, str) else reply.body
        if not isinstance(body, bytes):
            body = json.dumps(body, ensure_ascii=False).encode()
        headers = {"content-type": "application/json", **reply.headers}
        await self._head(reply.status, {**headers, "content-length": str(len(body))})
        await self._write(body)

    async def _stream(self, reply: Events) -> bool:
        headers = {"content-type": "text/event-stream; charset=utf-8", **reply.headers}
        await self._head(reply.status, {**headers, "transfer-encoding": "chunked"})
        for part in reply.parts:
            if isinstance(part, Drop):
                return False
            if isinstance(part, bytes):
                await self._write(b"%x\r\n%b\r\n" % (len(part), part))
            else:
                await self._wait(part)
        await self._write(b"0\r\n\r\n")
        return True

    async def _head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} Scripted", *(f"{k}: {v}" for k, v in headers.items())]
        await self._write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def _write(self, data: bytes) -> None:
        self._check()
        self._writer.write(data)
        await self._writer.drain()

    async def _wait(self, what: float | threading.Event) -> None:
        if isinstance(what, threading.Event):
            while not what.is_set():
                await self._pause()
            return
        loop = asyncio.get_running_loop()
        end = loop.time() + what
        while loop.time() < end:
            await self._pause()

    async def _pause(self) -> None:
        self._check()
        await asyncio.sleep(_TICK_S)

    def _check(self) -> None:
        if self._reader.at_eof() or self._reader.exception() or self._writer.is_closing():
            raise ConnectionError("the client has left")
