"""python -m benchmarks.server.load: sends requests over kept connections and times the answers.

A process of its own, as cheap as asyncio allows: requests are bytes made beforehand, and of a
response only the status, the length and the place of the right answer are looked at. Reads a plan
as JSON from standard input and writes what it found as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

Shot = tuple[bytes, bytes]  # a whole request, and what its answer must contain
_LENGTH = b"\r\ncontent-length:"


def request_bytes(path: str, body: bytes) -> bytes:
    """An HTTP/1.1 POST with a JSON body on a kept connection."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def response_end(data: bytes | bytearray) -> int | None:
    """The length of the response that `data` begins with, or None while it is not all there.

    Raises ValueError where the response does not say its length.
    """
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return None
    at = bytes(data[: head + 2]).lower().find(_LENGTH)
    if at < 0:
        raise ValueError(f"a response without content-length: {bytes(data[:head])!r}")
    stop = data.index(b"\r\n", at + len(_LENGTH))
    end = head + 4 + int(data[at + len(_LENGTH) : stop])
    return end if len(data) >= end else None


@dataclass(slots=True)
class Run:
    """The shots that are left, shared by all connections, and what came of the others."""

    shots: Iterator[Shot]
    stops_at: float
    ms: list[float] = field(default_factory=list)
    right: int = 0
    failed: int = 0
    example: bytes = b""


class Connection(asyncio.Protocol):
    """One kept connection with one request on its way at a time."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._received = bytearray()
        self._expected = b""
        self._sent = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        """Time a whole response, then send the next request."""
        self._received += data
        end = response_end(self._received)
        if end is None:
            return
        run = self._run
        run.ms.append((time.perf_counter() - self._sent) * 1e3)
        if not self._received.startswith(b"HTTP/1.1 200"):
            run.failed += 1
            run.example = run.example or bytes(self._received[:600])
        elif self._expected in self._received:
            run.right += 1
        self._received.clear()
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        """The end, wanted or not."""
        if not self.closed.done():
            self.closed.set_result(None)

    def _next(self) -> None:
        shot = next(self._run.shots, None)
        if shot is None or time.perf_counter() > self._run.stops_at:
            self._transport.close()
            return
        request, self._expected = shot
        self._sent = time.perf_counter()
        self._transport.write(request)


async def fire(port: int, connections: int, shots: Sequence[Shot], seconds: float) -> Run:
    """Send the shots until they or the seconds are used up."""
    loop = asyncio.get_running_loop()
    run = Run(iter(shots), time.perf_counter() + seconds)
    made = [
        (await loop.create_connection(lambda: Connection(run), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    async with asyncio.timeout(seconds + 60):
        await asyncio.gather(*(one.closed for one in made))
    return run


def summary(run: Run, elapsed_s: float) -> dict[str, Any]:
    """Requests a second, percentiles in ms, and how many answers were right."""
    percentiles = {f"p{p}": round(float(np.percentile(run.ms, p)), 4) for p in (50, 95, 99)}
    return {
        "requests": len(run.ms),
        "per_s": round(len(run.ms) / elapsed_s, 1),
        **percentiles,
        "right": round(run.right / len(run.ms), 4),
        "failed": run.failed,
        "example": run.example.decode("utf-8", "replace"),
    }


def main() -> None:
    """The command."""
    import uvloop

    plan = json.load(sys.stdin)
    shots = [
        (request_bytes(plan["path"], json.dumps(body).encode()), answer.encode())
        for body, answer in plan["shots"]
    ] * plan["rounds"]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        begun = time.perf_counter()
        run = runner.run(fire(plan["port"], plan["connections"], shots, plan["seconds"]))
        elapsed_s = time.perf_counter() - begun
    print(json.dumps(summary(run, elapsed_s)))


if __name__ == "__main__":
    main()
