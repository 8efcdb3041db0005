"""python -m benchmarks.server: the real server beside a minimal one around GPTCache's get.

Both hold the same entries under the same vectors, use the same encoder, and are asked the same by a
load generator in a process of its own, over kept connections on the loopback. Each server runs
alone while it is asked; they take turns at every task. A third server says the same to all: what
even it takes is the machine's. A semantic request is a wording that
nobody has asked before. Whether the answer was the right one is counted, not assumed: entries are
generated, so some lie close together.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tqdm import tqdm

from benchmarks.generated import Question, questions
from benchmarks.server import floor
from semcache.assembly import build
from semcache.chat import text_request
from semcache.completion import text_completion_of
from semcache.config import Config
from semcache.interfaces import Entry, Vector

MODEL = "bench-model"
THRESHOLD = 0.8
UNIQUE = 8  # the length of the mark that begins each answer
CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked: `kind` of wording, over so many connections."""

    name: str
    kind: str
    connections: int
    sides: tuple[str, ...]


TASKS = (
    Task("exact, 1 connection", "exact", 1, ("chat", "get", "peer", "floor")),
    Task("exact, 32 connections", "exact", 32, ("chat", "stream", "get", "peer", "floor")),
    Task("semantic, 1 connection", "semantic", 1, ("chat", "peer")),
    Task("semantic, 32 connections", "semantic", 32, ("chat", "peer")),
)
OURS = ("chat", "stream", "get")
NAMES = {
    "chat": "semcache /v1/chat/completions",
    "stream": "semcache, streamed",
    "get": "semcache /get",
    "peer": "GPTCache server /get",
    "floor": "the same bytes for all",
}


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def write_config(folder: Path, entries: int) -> Path:
    """A server with an upstream that nothing listens on: only hits are asked for.

    Without the verifier: the peer has none, and refuses nothing.
    """
    path = folder / "cache_config.yaml"
    values = {
        "storage_config": {"data_dir": str(folder / "semcache"), "max_size": 2 * entries},
        "config": {"similarity_threshold": THRESHOLD},
        "engines": ["upstream"],
        "upstream": {"base_url": f"http://127.0.0.1:{free_port()}/v1"},
        "trust": {"verifier": False},
    }
    path.write_text(yaml.safe_dump(values))
    return path


def fill(folder: Path, config: Path, entries: Sequence[Question]) -> None:
    """Encode every question once; store them in ours, leave them in files for the peer."""
    assembled = build(Config.from_file(config))
    layers, embedder = assembled.cache.layers, assembled.cache.layers.embedder
    if embedder is None:
        raise RuntimeError("this benchmark needs an encoder")
    vectors: list[Vector] = []
    for begin in tqdm(range(0, len(entries), 64), desc="encoding", disable=None):
        some = [one.stored for one in entries[begin : begin + 64]]
        vectors += [one.vector for one in embedder.encode(some) if one.vector is not None]
    tenant = assembled.tenant_of("")

    def put(pair: tuple[Question, Vector]) -> None:
        question, vector = pair
        for model in (MODEL, assembled.default_model):  # the second is what /get speaks for
            key = assembled.cache.plan(
                text_request(question.stored, tenant=tenant, model=model)
            ).key
            layers.store.put(
                Entry(
                    key=key.exact,
                    scope=key.scope,
                    question=key.question,
                    completion=text_completion_of(
                        question.answer, id="chatcmpl-0", created=0, model=model
                    ),
                    created_at=time.time(),
                    embedder=embedder.fingerprint,
                ),
                vector,
            )

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(put, zip(entries, vectors, strict=True)))
    layers.store.close()
    embedder.close()
    np.save(folder / "vectors.npy", np.stack(vectors))
    pairs = [[one.stored, one.answer] for one in entries]
    (folder / "entries.json").write_text(json.dumps(pairs))


@contextmanager
def running(command: Sequence[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, from its first answer until it is told to end."""
    path = os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "server"), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-m", *command], env={**os.environ, "PYTHONPATH": path}
    )
    try:
        _await_health(process, port)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_health(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError("the server ended before it answered")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the server did not answer within five minutes")


def body_of(side: str, text: str) -> dict[str, Any]:
    """The JSON body of a question."""
    if side in {"get", "peer"}:
        return {"prompt": text}
    body: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": text}]}
    return {**body, "stream": True} if side == "stream" else body


def expected(side: str, question: Question) -> str:
    """What a right response holds."""
    return floor.BODY.decode() if side == "floor" else question.answer[:UNIQUE]


def load(
    side: str, port: int, task: Task, asked: Sequence[Question], seconds: float
) -> dict[str, Any]:
    """Run the load generator once."""
    exact = task.kind == "exact"
    plan = {
        "port": port,
        "connections": task.connections,
        "path": "/get" if side in {"get", "peer"} else "/v1/chat/completions",
        "shots": [
            [body_of(side, one.stored if exact else one.asked), expected(side, one)]
            for one in asked
        ],
        "rounds": 100 if exact else 1,
        "seconds": seconds,
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.server.load"],
        input=json.dumps(plan).encode(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=seconds + 120,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class Wordings:
    """Hands out wordings that this server has not been asked yet."""

    def __init__(self, entries: Sequence[Question]) -> None:
        self._entries = entries
        self._used: dict[str, int] = {}

    def fresh(self, server: str, share: float) -> Sequence[Question]:
        """The next share of all wordings for one server."""
        begin = self._used.get(server, 0)
        end = self._used[server] = begin + int(len(self._entries) * share)
        return self._entries[begin:end]


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Fill, start both servers, run every task."""
    entries = questions(args.entries)
    wordings = Wordings(entries)
    results: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=args.dir)))
        config = write_config(folder, args.entries)
        fill(folder, config, entries)
        ours, peers, echo = free_port(), free_port(), free_port()
        ports = {"chat": ours, "stream": ours, "get": ours, "peer": peers, "floor": echo}
        own = ["semcache_server", "-s", "127.0.0.1", "-p", str(ours), "-f", str(config)]
        peer = ["benchmarks.server.peer", "--folder", str(folder), "--port", str(peers)]
        peer += ["--threshold", str(THRESHOLD), "--threads", str(args.threads)]
        stack.enter_context(running(own, ours))
        stack.enter_context(running(peer, peers))
        stack.enter_context(running(["benchmarks.server.floor", "--port", str(echo)], echo))
        laps = [(task, side) for task in TASKS for side in task.sides]
        for task, side in tqdm(laps, desc="asking", disable=None):
            if task.kind == "exact":
                asked: Sequence[Question] = entries[:200]
                load(side, ports[side], task, asked, 0.5)  # into memory, where there is one
            else:
                share = 0.1 if task.connections == 1 else 0.9
                asked = wordings.fresh(str(ports[side]), share)
            results.setdefault(task.name, {})[side] = load(
                side, ports[side], task, asked, args.seconds
            )
    return {
        "entries": args.entries,
        "threads_of_peer": args.threads,
        "in_memory": str(args.dir).startswith("/dev/shm"),
        "cores": os.cpu_count(),
        "load_1m": round(os.getloadavg()[0], 2),
        "tasks": results,
    }


def show(result: dict[str, Any]) -> None:
    """The table for people."""
    print(f"\n{result['entries']:,} entries; × is requests/s over the GPTCache server's\n")
    print(f"{'':26}{'':31}{'per s':>9}{'p50 ms':>9}{'p95':>9}{'p99':>9}{'right':>8}{'failed':>8}")
    for task, sides in result["tasks"].items():
        for side, one in sides.items():
            times = one["per_s"] / sides["peer"]["per_s"]
            print(
                f"{task:26}{NAMES[side]:31}{one['per_s']:9.0f}{one['p50']:9.3f}{one['p95']:9.3f}"
                f"{one['p99']:9.3f}{one['right']:8.1%}{one['failed']:8d}"
                f"{f'  ×{times:.1f}' if side in OURS else ''}"
            )
    where = "in memory" if result["in_memory"] else "on disk"
    print(f"\n{where}; load {result['load_1m']} on {result['cores']} cores\n")


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of a task, at most")
    parser.add_argument("--threads", type=int, default=8, help="of the GPTCache server")
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="where the stores lie: a disk, as in use, or /dev/shm to leave the disk out",
    )
    parser.add_argument("--out", type=Path, help="folder for the result (JSON)")
    args = parser.parse_args(argv)
    result = measure(args)
    show(result)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "server.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
