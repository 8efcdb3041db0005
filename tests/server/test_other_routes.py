"""Models, embeddings, health, gptcache_server's routes, leaving clients, shutdown."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import sqlite3
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import httpx2
import numpy as np
import openai
import pytest

from semcache.embedding import SentenceEncoder
from tests.scripted import ScriptedAnswerer
from tests.server.serving import serving

ASK = {"model": "m", "messages": [{"role": "user", "content": "How tall is it?"}]}


@pytest.fixture
def http(tmp_path: Path) -> Iterator[httpx2.Client]:
    with serving(tmp_path, ScriptedAnswerer(), cache_file_key="open") as client:
        yield client


def test_health_and_models(http: httpx2.Client) -> None:
    assert http.get("/healthz").text == "ok"
    assert http.get("/readyz").text == "ready"
    listed = [model["id"] for model in http.get("/v1/models").json()["data"]]
    assert listed == ["m", "all-MiniLM-L6-v2"]
    assert http.get("/v1/models/m").json()["id"] == "m"
    assert http.get("/v1/models/none").status_code == 404


def test_embeddings_are_the_encoders(http: httpx2.Client) -> None:
    texts = ["How tall is it?", "申请退款"]
    expected = [one.vector for one in SentenceEncoder.open().encode(texts)]
    with openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="k", max_retries=0) as client:
        made = client.embeddings.create(model="all-MiniLM-L6-v2", input=texts)
    for one, vector in zip(made.data, expected, strict=True):
        assert vector is not None
        np.testing.assert_allclose(one.embedding, vector, atol=1e-6)
    body = {"model": "all-MiniLM-L6-v2", "input": texts[0], "encoding_format": "base64"}
    coded = http.post("/v1/embeddings", json=body).json()["data"][0]["embedding"]
    np.testing.assert_allclose(
        np.frombuffer(base64.b64decode(coded), "<f4"), made.data[0].embedding, atol=1e-6
    )


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"model": "other"}, 404, "model"),
        ({"input": []}, 400, "input"),
        ({"input": [1, 2]}, 400, "input"),
        ({"input": " "}, 400, "input"),
        ({"input": "word " * 5000}, 400, "input[0]"),
        ({"dimensions": 3}, 400, "dimensions"),
        ({"encoding_format": "hex"}, 400, "encoding_format"),
    ],
)
def test_bad_embeddings(
    http: httpx2.Client, change: dict[str, object], status: int, param: str
) -> None:
    body = {"model": "all-MiniLM-L6-v2", "input": "hi", **change}
    refused = http.post("/v1/embeddings", json=body)
    assert refused.status_code == status
    assert refused.json()["error"]["param"] == param


def test_gptcache_routes(http: httpx2.Client) -> None:
    assert http.get("/").json() == "hello gptcache server"
    question = "What is the height of the Eiffel Tower?"
    assert http.post("/get", json={"prompt": question}).json() == {
        "prompt": question,
        "answer": None,
    }
    put = http.post("/put", json={"prompt": question, "answer": "330 metres"})
    assert put.json() == "successfully update the cache"
    assert http.post("/get", json={"prompt": question}).json()["answer"] == "330 metres"
    near = "How tall is the Eiffel Tower?"
    assert http.post("/get", json={"prompt": near}).json()["answer"] == "330 metres"
    chat = {"model": "m", "messages": [{"role": "user", "content": question}]}
    said = http.post("/v1/chat/completions", json=chat)
    assert said.json()["choices"][0]["message"]["content"] == "330 metres"
    assert http.post("/flush").json() == "successfully flush the cache"


@pytest.mark.parametrize(
    "body", [{}, {"prompt": ""}, {"prompt": "a"}, {"prompt": 3, "answer": "b"}]
)
def test_a_bad_put(http: httpx2.Client, body: dict[str, object]) -> None:
    refused = http.post("/put", json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] in {"prompt", "answer"}


def test_a_put_replaces(http: httpx2.Client) -> None:
    for answer in ("one", "two"):
        http.post("/put", json={"prompt": "Which?", "answer": answer})
    assert http.post("/get", json={"prompt": "Which?"}).json()["answer"] == "two"


def test_the_cache_file_is_a_copy_of_the_store(http: httpx2.Client, tmp_path: Path) -> None:
    http.post("/put", json={"prompt": "Which?", "answer": "this"})
    assert http.get("/cache_file", params={"key": "wrong"}).status_code == 401
    packed = http.get("/cache_file", params={"key": "open"})
    with zipfile.ZipFile(BytesIO(packed.content)) as archive:
        name = archive.namelist()[0]
        archive.extract(name, tmp_path / "copy")
    copy = sqlite3.connect(tmp_path / "copy" / name)
    assert copy.execute("SELECT count(*) FROM entries").fetchone() == (1,)
    copy.close()


def test_a_client_that_leaves_cancels_the_answer(tmp_path: Path) -> None:
    answerer = ScriptedAnswerer()
    answerer.gate = asyncio.Event()  # never set: the answer hangs after its first chunk
    with serving(tmp_path, answerer) as http:
        for at, stream in enumerate((True, False), start=1):
            leaving = threading.Event()
            asking = threading.Thread(target=ask_and_leave, args=(http, stream, leaving))
            asking.start()
            wait_until(lambda at=at: len(answerer.calls) == at)  # type: ignore[misc]
            leaving.set()
            asking.join()
            wait_until(lambda at=at: answerer.cancelled == at)  # type: ignore[misc]
        answerer.gate = None
        assert http.post("/v1/chat/completions", json=ASK).status_code == 200


def ask_and_leave(http: httpx2.Client, stream: bool, leaving: threading.Event) -> None:
    """Send a request over a socket of its own, and hang up when told."""
    body = json.dumps({**ASK, "stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    address = (http.base_url.host, http.base_url.port or 80)
    with socket.create_connection(address) as connection:
        connection.sendall(head.encode() + body)
        leaving.wait(20)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_shutdown_finishes_what_was_accepted(tmp_path: Path) -> None:
    answerer = ScriptedAnswerer()
    got: list[int] = []

    class Slow(asyncio.Event):
        async def wait(self) -> bool:  # type: ignore[override]
            await asyncio.sleep(1.0)
            return True

    answerer.gate = Slow()
    with serving(tmp_path, answerer) as http:
        url = f"{http.base_url}/v1/chat/completions"
        asking = threading.Thread(
            target=lambda: got.append(httpx2.post(url, json=ASK, timeout=20).status_code)
        )
        asking.start()
        deadline = time.monotonic() + 10
        while not answerer.calls and time.monotonic() < deadline:
            time.sleep(0.01)
    asking.join()
    assert got == [200]
    answerer = ScriptedAnswerer()
    with serving(tmp_path, answerer) as http:
        assert http.post("/v1/chat/completions", json=ASK).headers["x-semcache-status"] == "HIT"
    assert answerer.calls == []
