"""A real semcache_server process on loopback, for tests of what only a process does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx2
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
WAIT_S = 60.0


class Process:
    """The running server: its client, its log so far, and signals to it."""

    def __init__(self, child: subprocess.Popen[str], http: httpx2.Client) -> None:
        self.child = child
        self.http = http
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def said(self, text: str, after: int = 0) -> str:
        """Wait for a line of the log that holds this text, after so many lines."""
        deadline = time.monotonic() + WAIT_S
        with self._news:
            while True:
                for line in self.lines[after:]:
                    if text in line:
                        return line
                if not self._news.wait(deadline - time.monotonic()):
                    raise AssertionError(f"the server never said {text!r}: {self.lines}")

    def send(self, number: int) -> int:
        """Send a signal; how many lines the log had then."""
        before = len(self.lines)
        self.child.send_signal(number)
        return before

    def ended(self) -> None:
        """The process is over: read the rest."""
        self._reading.join(WAIT_S)

    def _read(self) -> None:
        assert self.child.stderr is not None
        with self.child.stderr as log:
            self._follow(log)

    def _follow(self, log: IO[str]) -> None:
        for line in log:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def write(path: Path, config: dict[str, Any]) -> None:
    """Replace a configuration file, so that nobody reads half of it."""
    fresh = path.with_suffix(".new")
    fresh.write_text(yaml.safe_dump(config), encoding="utf-8")
    fresh.replace(path)


@contextmanager
def server_process(file: Path, *options: str, **environment: str) -> Iterator[Process]:
    """Start with this file, wait until it is ready, and end it with SIGTERM."""
    port = free_port()
    told = [sys.executable, "-m", "semcache_server", "-f", str(file), "-p", str(port), *options]
    env = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'server'}",
        "OMP_NUM_THREADS": "1",
    } | environment
    child = subprocess.Popen(told, stderr=subprocess.PIPE, text=True, env=env, cwd=file.parent)
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=WAIT_S) as http:
        process = Process(child, http)
        try:
            _wait(process)
            yield process
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                raise
            finally:
                process.ended()
    assert child.returncode in (0, -signal.SIGTERM), process.lines


def _wait(process: Process) -> None:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if process.child.poll() is not None:
            raise AssertionError(f"the server ended: {process.lines}")
        try:
            if process.http.get("/readyz").is_success:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the server is not ready: {process.lines}")
