"""Hits that are answered where the request was read, over raw sockets: whatever the request's form,
the answers are those of the ordinary way, in order, and the connection goes on.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import httpx2
import pytest

from semcache_server.answering import Answering
from tests.scripted import ScriptedAnswerer
from tests.server.serving import serving

KNOWN = "Why is the sky blue?"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    with serving(tmp_path_factory.mktemp("store"), ScriptedAnswerer()) as running:
        running.post("/v1/chat/completions", json=asking(KNOWN)).raise_for_status()
        yield running


def asking(question: str, **fields: object) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": question}], **fields}


def request(question: str, *headers: str, version: str = "1.1", **fields: object) -> bytes:
    body = json.dumps(asking(question, **fields)).encode()
    lines = [
        f"POST /v1/chat/completions HTTP/{version}",
        "host: semcache",
        f"content-length: {len(body)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Talk:
    """One connection, and what came over it."""

    def __init__(self, client: httpx2.Client) -> None:
        url = client.base_url
        self._socket = socket.create_connection((url.host, url.port or 80), timeout=10)
        self._rest = b""

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._socket.sendall(piece)

    def more(self) -> bytes:
        found = self._socket.recv(65536)
        self._rest += found
        return found

    def hear(self) -> tuple[int, dict[str, str], bytes]:
        """The next response with a content-length."""
        while b"\r\n\r\n" not in self._rest:
            assert self.more(), "the server hung up"
        head, self._rest = self._rest.split(b"\r\n\r\n", 1)
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        assert len(headers) == len(lines)
        size = int(headers["content-length"])
        while len(self._rest) < size:
            assert self.more(), "the server hung up"
        body, self._rest = self._rest[:size], self._rest[size:]
        return int(first.split()[1]), headers, body


def text(body: bytes) -> str:
    return str(json.loads(body)["choices"][0]["message"]["content"])


def test_a_hit_is_what_the_ordinary_way_answers(client: httpx2.Client) -> None:
    with Talk(client) as talk:
        talk.say(request(KNOWN))
        status, headers, body = talk.hear()
    assert status == 200
    # A body without a length is not waited for: the ordinary way.
    ordinary = client.post(
        "/v1/chat/completions",
        content=iter([json.dumps(asking(KNOWN)).encode()]),
        headers={"content-type": "application/json"},
    )
    own = {"x-semcache-decision"}
    assert {*headers} - own == {*ordinary.headers.keys()} - own
    assert headers["x-semcache-status"] == ordinary.headers["x-semcache-status"] == "HIT"
    assert text(body) == text(ordinary.content)


def test_a_hit_takes_no_task(client: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def called(self: Answering, scope: object, receive: object, send: object) -> None:
        raise RuntimeError("the ordinary way")

    monkeypatch.setattr(Answering, "__call__", called)
    with Talk(client) as talk:
        talk.say(request(KNOWN))
        assert talk.hear()[0] == 200
        talk.say(request("Who is new?"))
        assert talk.more().startswith(b"HTTP/1.1 500")


def test_a_body_in_pieces(client: httpx2.Client) -> None:
    whole = request(KNOWN)
    with Talk(client) as talk:
        for cut in (1, 40, len(whole) - 30, len(whole) - 1):
            talk.say(whole[:cut], whole[cut:])
            status, headers, _ = talk.hear()
            assert (status, headers["x-semcache-status"]) == (200, "HIT")


def test_requests_sent_ahead_are_answered_in_order(client: httpx2.Client) -> None:
    with Talk(client) as talk:
        talk.say(
            request(KNOWN)
            + request("Who is new here?", "cache-control: no-store")
            + request(KNOWN)
            + request(KNOWN, stream=True)
            + b"GET /healthz HTTP/1.1\r\nhost: semcache\r\n\r\n"
            + request(KNOWN)
        )
        heard = [talk.hear() for _ in range(6)]
    states = [headers.get("x-semcache-status") for _, headers, _ in heard]
    assert states == ["HIT", "MISS", "HIT", "HIT", None, "HIT"]
    assert heard[3][2].endswith(b"data: [DONE]\n\n")
    assert heard[4][2] == b"ok"


@pytest.mark.parametrize(
    ("version", "header"), [("1.1", "connection: close"), ("1.0", "accept: */*")]
)
def test_a_connection_that_is_not_kept_is_closed(
    client: httpx2.Client, version: str, header: str
) -> None:
    with Talk(client) as talk:
        talk.say(request(KNOWN, header, version=version))
        status, headers, _ = talk.hear()
        assert (status, headers["connection"]) == (200, "close")
        assert talk.more() == b""


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"{not json", 400),
        (b'{"model": "m", "messages": []}', 400),
        (json.dumps(asking(KNOWN, model="nobody")).encode(), 404),
    ],
)
def test_errors_are_answered_and_the_connection_goes_on(
    client: httpx2.Client, sent: bytes, status: int
) -> None:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: s\r\ncontent-length: {len(sent)}\r\n\r\n"
    with Talk(client) as talk:
        talk.say(head.encode() + sent, request(KNOWN))
        found, _, body = talk.hear()
        assert found == status
        assert json.loads(body)["error"]["message"]
        assert talk.hear()[0] == 200


def test_who_asks_before_sending_the_body_is_told_to_go_on(client: httpx2.Client) -> None:
    whole = request(KNOWN, "expect: 100-continue")
    head, body = whole.split(b"\r\n\r\n", 1)
    with Talk(client) as talk:
        talk.say(head + b"\r\n\r\n")
        assert talk.more().startswith(b"HTTP/1.1 100")
        talk._rest = b""
        talk.say(body)
        assert talk.hear()[0] == 200


def test_who_hangs_up_before_the_body_is_whole_harms_nobody(client: httpx2.Client) -> None:
    with Talk(client) as talk:
        talk.say(request(KNOWN)[:-5])
    with Talk(client) as talk:
        talk.say(request(KNOWN))
        assert talk.hear()[0] == 200
