"""Bad input gets a clear 4xx in OpenAI's form, stores nothing, and hurts nobody."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.scripted import ScriptedAnswerer
from tests.server.serving import serving

URL = "/v1/chat/completions"
GOOD: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, ScriptedAnswerer(), max_body_bytes=100_000) as http:
        yield http


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b"null", None),
        (b"\xff\xfe{}", None),
        (b'{"model": "m", "messages": [{"role": "user", "content": "\xc3\x28"}]}', None),
        (b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}', None),
        (b'{"a": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", None),
        (b'{"messages": [{"role": "user", "content": "hi"}]}', "model"),
        (b'{"model": 3, "messages": []}', "model"),
        (b'{"model": "m"}', "messages"),
        (b'{"model": "m", "messages": []}', "messages"),
        (b'{"model": "m", "messages": "hi"}', "messages"),
        (b'{"model": "m", "messages": [{"role": "user"}]}', "messages[0]"),
        (b'{"model": "m", "messages": [{"role": "king", "content": "hi"}]}', "messages[0]"),
        (b'{"model": "m", "messages": [{"role": "user", "content": [3]}]}', "messages[0]"),
    ],
)
def test_a_bad_body(served: httpx2.Client, body: bytes, param: str | None) -> None:
    refused = served.post(URL, content=body)
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert error["message"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 3),
        ("temperature", "hot"),
        ("temperature", True),
        ("n", 0),
        ("n", 10**30),
        ("max_tokens", -1),
        ("max_tokens", 1.5),
        ("stop", [""]),
        ("stop", 7),
        ("stream", "yes"),
        ("top_logprobs", 99),
        ("tools", [{}]),
        ("response_format", {}),
        ("logit_bias", []),
    ],
)
def test_an_absurd_parameter_is_named(served: httpx2.Client, name: str, value: Any) -> None:
    refused = served.post(URL, json={**GOOD, name: value})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == name


def test_an_unknown_model(served: httpx2.Client) -> None:
    refused = served.post(URL, json={**GOOD, "model": "nobody"})
    assert refused.status_code == 404
    assert refused.json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("size", [100_001, 2_000_000])
def test_a_body_that_is_too_large(served: httpx2.Client, size: int) -> None:
    refused = served.post(URL, content=b" " * size)
    assert refused.status_code == 413
    assert refused.json()["error"]["code"] == "payload_too_large"


@pytest.mark.parametrize("value", ["Basic abc", "Bearer", "abc"])
def test_a_bad_authorization(served: httpx2.Client, value: str) -> None:
    refused = served.post(URL, json=GOOD, headers={"authorization": value})
    assert refused.status_code == 400


def test_unknown_urls_and_methods(served: httpx2.Client) -> None:
    lost = served.get("/v1/nothing")
    assert lost.status_code == 404
    assert lost.json()["error"]["code"] == "unknown_url"
    wrong = served.get(URL)
    assert wrong.status_code == 405
    assert "error" in wrong.json()


def test_a_client_that_hangs_up_in_its_request(served: httpx2.Client) -> None:
    url = served.base_url
    half = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{"
    for sent in (b"", half):
        with socket.create_connection((url.host, url.port or 80)) as connection:
            connection.sendall(sent)
    assert served.get("/healthz").text == "ok"


def test_nothing_of_it_was_stored(served: httpx2.Client) -> None:
    served.post(URL, json={**GOOD, "n": 0})
    fine = served.post(URL, json=GOOD)
    assert fine.status_code == 200
    assert fine.headers["x-semcache-status"] == "MISS"
