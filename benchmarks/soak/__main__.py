"""python -m benchmarks.soak: a real server under mixed traffic, with an upstream that misbehaves.

Repeats, other wordings, new questions, streams, callers who leave, bodies that are none,
directives, several tenants. Each answer is checked; memory, file handles and tasks at the end stand
beside those after the warm-up. Exit status 1 where an answer was wrong or something is left over.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import yaml

from benchmarks.soak import upstream
from benchmarks.soak.census import Census, Sample
from benchmarks.soak.clients import MODEL, Caller, Report, first_pool
from semcache.server_keys import new_key

CHECKOUT = Path(__file__).resolve().parents[2]
TENANTS = 5
UPSTREAM_TIMEOUT_S = 3.0
QUIET_S = 12.0  # longer than a stall, and than connections are kept
_START_S = 120.0
_POOL = 32  # asyncio's own threads come as they are needed, and stay
_HANDLES_OF_THREAD = 3  # with a database connection each


def main() -> None:
    """Entry point."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    options.add_argument("--minutes", type=float, default=10.0)
    options.add_argument("--connections", type=int, default=64)
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--out", type=Path, help="the figures as JSON")
    args = options.parse_args()
    found = asyncio.run(soak(args.minutes * 60, args.connections, args.seed))
    print(table(found))
    if args.out is not None:
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.exit(1 if found["wrong"] or found["left over"] else 0)


async def soak(seconds: float, connections: int, seed: int) -> dict[str, Any]:
    """Run it; the figures."""
    secrets = [new_key() for _ in range(TENANTS)]
    keys = [key for key, _ in secrets]
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as heard:
        misbehaving = upstream.start(heard, seed)
        config = config_of(Path(folder), heard.getsockname()[1], [told for _, told in secrets])
        try:
            with server(Path(folder), config) as (pid, base_url):
                return await under_load(pid, base_url, keys, seconds, connections, seed)
        finally:
            misbehaving.kill()
            misbehaving.join()


async def under_load(
    pid: int, base_url: str, keys: Sequence[str], seconds: float, connections: int, seed: int
) -> dict[str, Any]:
    """Warm up, ask, let it come to rest, and look what is left."""
    report = Report()
    pool = first_pool(seed, report)
    loop = asyncio.get_running_loop()
    async with httpx2.AsyncClient(base_url=base_url, timeout=30) as watching:
        census = Census(pid, watching, keys[0])
        warm_up_s = min(60.0, seconds / 4)
        await _traffic(base_url, keys, report, pool, loop.time() + warm_up_s, connections, seed)
        await _come_to_rest(watching, keys[0])
        before = await census.take(0.0)
        census.samples.clear()
        began = time.perf_counter()
        until = loop.time() + seconds
        async with asyncio.TaskGroup() as group:
            group.create_task(census.watch(max(1.0, seconds / 120), until))
            group.create_task(_traffic(base_url, keys, report, pool, until, connections, seed + 1))
        took_s = time.perf_counter() - began
        await _come_to_rest(watching, keys[0])
        after = await census.take(took_s + QUIET_S)
    return figures(report, census, before, after, took_s, connections)


async def _come_to_rest(http: httpx2.AsyncClient, key: str) -> None:
    """Wait, and ask once past the cache: the HTTP client closes what has been idle only then."""
    await asyncio.sleep(QUIET_S)
    message = {"role": "user", "content": "Is it quiet?"}
    headers = {"authorization": f"Bearer {key}", "cache-control": "no-cache, no-store"}
    body = {"model": MODEL, "messages": [message]}
    for _ in range(2):
        await http.post("/v1/chat/completions", json=body, headers=headers)
    await asyncio.sleep(1.0)


async def _traffic(
    base_url: str,
    keys: Sequence[str],
    report: Report,
    pool: list[Any],
    until: float,
    connections: int,
    seed: int,
) -> None:
    limits = httpx2.Limits(max_connections=1, max_keepalive_connections=1)
    async with asyncio.TaskGroup() as group:
        for at in range(connections):
            http = httpx2.AsyncClient(base_url=base_url, timeout=30, limits=limits, verify=False)
            caller = Caller(http, keys, seed * 1000 + at, report, pool)
            group.create_task(_closing(http, caller, until))


async def _closing(http: httpx2.AsyncClient, caller: Caller, until: float) -> None:
    async with http:
        await caller.run(until)


def figures(
    report: Report, census: Census, before: Sample, after: Sample, took_s: float, connections: int
) -> dict[str, Any]:
    """What is shown and kept."""
    threads = max(0, after.threads - before.threads)
    allowed = {"threads": _POOL, "handles": _HANDLES_OF_THREAD * threads}
    left = {
        name: (getattr(before, name), getattr(after, name))
        for name in ("handles", "threads", "tasks", "in_flight")
        if getattr(after, name) > getattr(before, name) + allowed.get(name, 0)
    }
    return {
        "seconds": round(took_s, 1),
        "connections": connections,
        "tenants": TENANTS,
        "requests": sum(
            count for name, count in report.counts.items() if not name.startswith("stream")
        ),
        "counts": dict(sorted(report.counts.items())),
        "wrong": report.wrong[:20],
        "wrong answers": len(report.wrong),
        "exact hit, median ms": round(statistics.median(report.hit_ms or [0.0]), 2),
        "before": census_row(before),
        "after": census_row(after),
        "most": {
            name: max(getattr(one, name) for one in census.samples)
            for name in ("rss_mb", "handles", "threads", "tasks", "in_flight")
        },
        "left over": left,
        "growth_mb_per_minute": census.growth_mb_per_minute(),
        "samples": census.to_wire(),
    }


def census_row(sample: Sample) -> dict[str, Any]:
    """A sample by name."""
    names = ("rss_mb", "handles", "threads", "tasks", "in_flight", "entries")
    return {name: getattr(sample, name) for name in names}


def table(found: dict[str, Any]) -> str:
    """For the terminal."""
    lines = [
        f"{found['requests']} requests in {found['seconds']} s over {found['connections']} "
        f"connections, {found['tenants']} tenants: {found['wrong answers']} wrong answers",
        "",
        "| | after the warm-up | most | at the end |",
        "|---|---|---|---|",
    ]
    for name in ("rss_mb", "handles", "threads", "tasks", "in_flight"):
        row = (found["before"][name], found["most"][name], found["after"][name])
        lines.append(f"| {name} | {row[0]} | {row[1]} | {row[2]} |")
    lines += ["", f"memory in the second half: {found['growth_mb_per_minute']} MB a minute", ""]
    lines += [f"{count:8d}  {name}" for name, count in found["counts"].items()]
    lines += ["", *found["wrong"]]
    if found["left over"]:
        lines.append(f"left over: {found['left over']}")
    return "\n".join(lines)


def config_of(folder: Path, upstream_port: int, digests: Sequence[str]) -> dict[str, Any]:
    """A server that is small enough to be full within a minute."""
    keys = [{"name": f"tenant-{at}", "sha256": told} for at, told in enumerate(digests)]
    return {
        "engines": ["upstream"],
        "storage_config": {"data_dir": str(folder / "data"), "max_size": 1500},
        "upstream": {
            "base_url": f"http://127.0.0.1:{upstream_port}/v1",
            "models": [MODEL],
            "timeout_s": UPSTREAM_TIMEOUT_S,
        },
        "policy": {"ttl_s": 45.0},
        "store": {"memory_bytes": 4_000_000},
        "server": {"host": "127.0.0.1", "keys": keys, "max_body_bytes": 200_000},
        "prices": {MODEL: {"input": 2.5, "output": 10.0}},
    }


@contextmanager
def server(folder: Path, config: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """The real server; its process id and URL."""
    file = folder / "soak.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "semcache_server", "-f", str(file), "-p", str(port)]
    env = {**os.environ, "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'server'}"}
    child = subprocess.Popen(command, env=env, cwd=folder)
    base_url = f"http://127.0.0.1:{port}"
    try:
        _wait(child, base_url)
        yield child.pid, base_url
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(60)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise


def _wait(child: subprocess.Popen[bytes], base_url: str) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and child.poll() is None:
        try:
            if httpx2.get(f"{base_url}/readyz").is_success:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    raise RuntimeError("the server did not start")


if __name__ == "__main__":
    main()
