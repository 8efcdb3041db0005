"""kill -9 in the middle of an import and of streamed answers: nothing torn, and it goes on."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import orjson

from semcache.embedding import SentenceEncoder
from semcache.installation import read_secret
from semcache.store import LocalStore
from semcache.transfer.header import Header, installation_of
from semcache.transfer.lines import line_of
from tests.loopback import Events, Loopback, Seen
from tests.server.test_kill import free_port, start
from tests.store.samples import answer
from tests.transfer.test_import import nobodys

COUNT = 500
PIECES = 12


def streamed(request: Seen) -> Events:
    """An answer in pieces, each naming the question."""
    question = request.json()["messages"][-1]["content"]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    parts: list[bytes | float] = []
    for at in range(PIECES):
        finish = "stop" if at == PIECES - 1 else None
        choice = {"index": 0, "delta": {"content": f"{question} "}, "finish_reason": finish}
        parts += [b"data: " + orjson.dumps({**head, "choices": [choice]}) + b"\n\n", 0.005]
    return Events([*parts, b"data: [DONE]\n\n"])


def ask_until_it_dies(port: int, name: str, whole: list[str]) -> None:
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        for at in range(100_000):
            body = {
                "model": "m",
                "stream": True,
                "messages": [{"role": "user", "content": f"What is the number {at} of {name}?"}],
            }
            try:
                with client.stream("POST", "/v1/chat/completions", json=body) as told:
                    if b"".join(told.iter_bytes()).endswith(b"[DONE]\n\n"):
                        whole.append(str(body["messages"][0]["content"]))  # type: ignore[index]
            except httpx2.HTTPError:
                return


def lines(folder: Path, slowly: bool = False) -> Iterator[bytes]:
    """An export of nobody's entries; it waits for nothing unless it is to be interrupted."""
    yield Header(installation_of(read_secret(folder / "data")), None).line()
    for at in range(COUNT):
        completion = answer(f"imported {at}")
        yield line_of(nobodys(f"key {at}", question=f"Imported {at}?", completion=completion))
        if slowly and at % 50 == 49:
            time.sleep(0.05)


def imported(folder: Path, port: int, content: Any) -> httpx2.Response | None:
    key = (folder / "data" / "admin_key").read_text().strip()
    headers = {"authorization": f"Bearer {key}"}
    url = f"http://127.0.0.1:{port}/v1/cache/import"
    try:
        return httpx2.post(url, content=content, headers=headers, timeout=60)
    except httpx2.HTTPError:
        return None


def checked(folder: Path) -> tuple[int, int]:
    """How many are imported and how many asked; none of them is torn."""
    encoder = SentenceEncoder.open()
    count = [0, 0]
    with LocalStore(folder / "data", dim=encoder.dim, embedder=encoder.fingerprint) as store:
        report = store.check()
        assert report.clean, report.problems
        for entry in store.scan():
            text, question = entry.completion.text, entry.question or ""
            asked = question.startswith("What")
            right = f"{question} " * PIECES if asked else question.lower().rstrip("?")
            assert text == right
            count[asked] += 1
    return count[0], count[1]


def test_nothing_is_torn_and_the_import_goes_on(tmp_path: Path) -> None:
    whole: list[str] = []
    with Loopback(streamed) as upstream:
        settings = (
            "engines: [upstream]\npolicy: {volatile: 'off', personal: 'off'}\n"
            f'upstream: {{base_url: "{upstream.base_url}", models: ["m"]}}\n'
        )
        port = free_port()
        process = start(tmp_path, port, settings)
        work = [
            threading.Thread(target=ask_until_it_dies, args=(port, name, whole)) for name in "ab"
        ]
        work.append(
            threading.Thread(target=imported, args=(tmp_path, port, lines(tmp_path, slowly=True)))
        )
        for thread in work:
            thread.start()
        with LocalStore(tmp_path / "data") as store:
            deadline = time.monotonic() + 60
            while store.archive.count() < 140 or len(whole) < 5:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for thread in work:
            thread.join()
        before = checked(tmp_path)
        assert 0 < before[0] < COUNT
        assert before[1]

        port = free_port()
        process = start(tmp_path, port, settings + "evaluation: exact\n")
        told = imported(tmp_path, port, lines(tmp_path))
        assert told is not None
        report = told.json()
        assert report["already_there"] == before[0]
        assert report["stored"] == COUNT - before[0]
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert checked(tmp_path) == (COUNT, before[1])
