"""kill -9 in the middle of puts: what the server acknowledged is there, and the store is sound.

SEMCACHE_KILL_ROUNDS sets how often (2 by default).
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2

from semcache.chat import text_request
from semcache.embedding import SentenceEncoder
from semcache.keys import request_key
from semcache.store import LocalStore

ROOT = Path(__file__).resolve().parent.parent.parent
ROUNDS = int(os.environ.get("SEMCACHE_KILL_ROUNDS", "2"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def start(folder: Path, port: int, settings: str = "engines: []\n") -> subprocess.Popen[bytes]:
    config = folder / "config.yaml"
    config.write_text(settings)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'server'}"}
    options = ["-p", str(port), "-d", str(folder / "data"), "-f", str(config), "-s", "127.0.0.1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "semcache_server", *options],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=1).status_code == 200:
                return process
        except httpx2.HTTPError:
            time.sleep(0.05)
    process.kill()
    raise RuntimeError((process.communicate()[1] or b"").decode()[-2000:])


def put_until_it_dies(port: int, name: str, acknowledged: dict[str, str]) -> None:
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
        for at in range(100_000):
            prompt, answer = f"Question {at} of {name}?", f"Answer {at} of {name}."
            try:
                response = client.post("/put", json={"prompt": prompt, "answer": answer})
            except httpx2.HTTPError:
                return
            if response.status_code == 200:
                acknowledged[prompt] = answer


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    rng = random.Random(11)
    encoder = SentenceEncoder.open()
    acknowledged: dict[str, str] = {}
    for turn in range(ROUNDS):
        port = free_port()
        process = start(tmp_path, port)
        names = [f"{turn}-{thread}" for thread in range(4)]
        threads = [
            threading.Thread(target=put_until_it_dies, args=(port, name, acknowledged))
            for name in names
        ]
        for thread in threads:
            thread.start()
        time.sleep(rng.uniform(0.1, 1.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for thread in threads:
            thread.join()
        data = tmp_path / "data"
        with LocalStore(data, dim=encoder.dim, embedder=encoder.fingerprint) as store:
            report = store.check()
            assert report.clean, report.problems
            for prompt, answer in acknowledged.items():
                request = text_request(prompt, tenant="anonymous", model="semcache")
                entry = store.get(request_key(request).exact)
                assert entry is not None, prompt
                assert entry.completion.text == answer
    assert acknowledged
