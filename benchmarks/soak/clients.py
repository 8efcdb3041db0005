"""The callers: each keeps one connection, asks, and checks what it is told.

An answer is wrong if it is not about what was asked, or if another tenant was given the same making
of it. An error is not wrong: the upstream fails on purpose. A stream that ends with `[DONE]` and no
error must hold a whole answer.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from benchmarks.soak.questions import Thing, is_about, serial_of, thing

MODEL = "soak-model"
_PATH = "/v1/chat/completions"
_POOL = 300
_NEW = 0.01  # few: what the server remembers of texts is bounded by thousands, and fills slowly
_BAD: Sequence[bytes] = (
    b"", b"{", b"[]", b"null", b'{"model": 5}', b'{"model": "soak-model", "messages": []}',
    b'{"model": "soak-model", "messages": [{"role": "nobody", "content": "x"}]}',
    b'{"model": "soak-model", "messages": "hello"}', b"\xff\xfe{}",
    b'{"model": "soak-model", "messages": [{"role": "user", "content": "x"}], "n": "many"}',
    b'{"a":' * 2000, b'{"pad": "' + b"x" * 300_000 + b'"}',
)  # fmt: skip


@dataclass(slots=True)
class Report:
    """What all callers saw."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    made_for: dict[int, str] = field(default_factory=dict)
    hit_ms: list[float] = field(default_factory=list)
    serials: int = 0


@dataclass(slots=True)
class Caller:
    """One connection's worth of traffic, for several tenants in turns."""

    http: httpx2.AsyncClient
    keys: Sequence[str]
    seed: int
    report: Report
    pool: list[Thing]

    async def run(self, until: float) -> None:
        """Ask until then, in the event loop's time."""
        chance, loop = random.Random(self.seed), asyncio.get_running_loop()
        while loop.time() < until:
            try:
                await self._one(chance)
            except (httpx2.TransportError, TimeoutError) as error:
                self.report.counts[f"broken: {type(error).__name__}"] += 1

    async def _one(self, chance: random.Random) -> None:
        key = chance.choice(self.keys)
        luck = chance.random()
        if luck < 0.06:
            await self._bad_body(chance, key)
        elif luck < 0.08:
            await self._probe(chance, key)
        else:
            await self._ask(chance, key)

    async def _bad_body(self, chance: random.Random, key: str) -> None:
        body = chance.choice(_BAD)
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        if chance.random() < 0.2:
            headers["authorization"] = "Bearer sk-semcache-nobody"
        response = await self.http.post(_PATH, content=body, headers=headers)
        self.report.counts["bad body"] += 1
        if not 400 <= response.status_code < 500:
            self.report.wrong.append(f"{response.status_code} for the body {body[:60]!r}")

    async def _probe(self, chance: random.Random, key: str) -> None:
        path = chance.choice(("/healthz", "/readyz", "/metrics", "/v1/models"))
        response = await self.http.get(path, headers={"authorization": f"Bearer {key}"})
        self.report.counts["probe"] += 1
        if not response.is_success:
            self.report.wrong.append(f"{response.status_code} from {path}")

    def _about(self, chance: random.Random) -> Thing:
        if chance.random() < _NEW:
            self.report.serials += 1
            self.pool[chance.randrange(len(self.pool))] = thing(chance, self.report.serials)
        return chance.choice(self.pool)

    async def _ask(self, chance: random.Random, key: str) -> None:
        about = self._about(chance)
        wording = 0 if chance.random() < 0.7 else chance.randrange(1, 3)
        stream = chance.random() < 0.35
        message = {"role": "user", "content": about.asked(wording)}
        body: dict[str, Any] = {"model": MODEL, "messages": [message], "stream": stream}
        headers = {"authorization": f"Bearer {key}"}
        luck = chance.random()
        if luck < 0.03:
            headers["cache-control"] = chance.choice(("no-cache", "no-store", "max-age=5"))
        elif luck < 0.05:
            body["temperature"] = 1.0
        leaves = chance.random() < 0.06
        began = time.perf_counter()
        async with self.http.stream("POST", _PATH, json=body, headers=headers) as response:
            if leaves and (not stream or chance.random() < 0.3):
                self.report.counts["left"] += 1
                return
            await self._read(response, about, key, leaves=leaves)
        if response.headers.get("x-semcache-status") == "HIT":
            self.report.hit_ms.append(1e3 * (time.perf_counter() - began))

    async def _read(
        self, response: httpx2.Response, about: Thing, key: str, *, leaves: bool
    ) -> None:
        status = response.headers.get("x-semcache-status", "none")
        if "event-stream" in response.headers.get("content-type", ""):
            lines = []
            async for line in response.aiter_lines():
                lines.append(line)
                if leaves and len(lines) > 4:
                    self.report.counts["left midway"] += 1
                    return
            text = _of_stream(lines)
            self.report.counts["stream" if text is not None else "stream with an error"] += 1
        else:
            text = _of_whole(response.status_code, await response.aread())
        name = "answer" if response.is_success else f"error {response.status_code}"
        self.report.counts[f"{name}: {status}" if response.is_success else name] += 1
        if text is not None:
            self._check(text, about, key)

    def _check(self, text: str, about: Thing, key: str) -> None:
        report = self.report
        if not is_about(text, about):
            report.wrong.append(f"asked about {about}, told {text!r}")
            return
        serial = serial_of(text)
        if report.made_for.setdefault(serial, key) != key:
            report.wrong.append(f"two tenants were given making {serial}")


def first_pool(seed: int, report: Report) -> list[Thing]:
    """What is asked about at first."""
    chance = random.Random(seed)
    report.serials = _POOL
    return [thing(chance, at) for at in range(_POOL)]


def _of_whole(status: int, body: bytes) -> str | None:
    """An answer's text; None for an error. Anything else counts as a wrong answer."""
    if status != 200:
        return None
    try:
        return str(json.loads(body)["choices"][0]["message"]["content"])
    except (ValueError, LookupError, TypeError):
        return f"no answer: {body[:80]!r}"


def _of_stream(lines: Sequence[str]) -> str | None:
    """A stream's text; None where it ended with an error, or before its end."""
    events = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    if not events or events[-1] != "[DONE]":
        return None
    wires = [json.loads(event) for event in events[:-1]]
    if any("error" in wire for wire in wires):
        return None
    deltas = [choice["delta"] for wire in wires for choice in wire["choices"]]
    return "".join(str(delta.get("content") or "") for delta in deltas)
