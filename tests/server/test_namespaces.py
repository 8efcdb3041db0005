"""A namespace with writers that are trusted and others that are not, and how the others are held.

Nothing that an untrusted key does may reach what others are given: not its answers, not what it
says of theirs, not what it asks at the same time. Answers that enough of them were given alike may.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest

from semcache.chat import ChatRequest
from semcache.completion import Completion, text_completion_of
from semcache.config import Config
from semcache.errors import ConfigError
from semcache.promotion import Promotion
from semcache.server_keys import Doorkeeper, ServerKey
from tests.scripted import ScriptedAnswerer, echo
from tests.server.serving import SECRET, serving

HEIGHT = "How tall is the Eiffel Tower?"
HEIGHT_TOO = "What is the height of the Eiffel Tower?"


def key(name: str, **more: Any) -> ServerKey:
    return ServerKey(name, sha256(name.encode()).hexdigest(), namespace="crew", **more)


KEYS = [key("boss"), *(key(name, trusted=False) for name in ("ann", "ben", "cat"))]


class Crew:
    """The server, and what its keys are told."""

    def __init__(self, http: httpx2.Client, answerer: ScriptedAnswerer) -> None:
        self.http = http
        self.answerer = answerer

    def post(self, who: str, path: str, body: Any, **headers: str) -> httpx2.Response:
        sent = {"authorization": f"Bearer {who}", **headers}
        return self.http.post(path, json=body, headers=sent)

    def ask(self, who: str, text: str = HEIGHT, user: str | None = None, **headers: str) -> str:
        """How it was answered."""
        body = {"model": "m", "messages": [{"role": "user", "content": text}], "user": user}
        self.last = self.post(who, "/v1/chat/completions", body, **headers)
        assert self.last.status_code == 200, self.last.text
        return self.last.headers["x-semcache-status"]


@contextmanager
def crew(folder: Path, after: int | None = None, script: Any = echo) -> Iterator[Crew]:
    door = Doorkeeper(KEYS, SECRET, lambda: 0.0)
    votes = None if after is None else Promotion(folder / "v.db", after, SECRET, lambda: 0.0)
    answerer = ScriptedAnswerer(script)
    options: dict[str, Any] = {"door": door.tenant_of, "caller_of": door.caller_of}
    with serving(folder, answerer, cached={"promotion": votes}, **options) as http:
        yield Crew(http, answerer)


def test_the_untrusted_read_and_never_write(tmp_path: Path) -> None:
    with crew(tmp_path) as all_of:
        assert all_of.ask("ann") == "MISS"
        assert all_of.ask("ann") == "HIT"
        assert all_of.post("ann", "/put", {"prompt": "Who?", "answer": "me"}).status_code == 200
        for who in ("ben", "boss"):
            assert all_of.ask(who, HEIGHT_TOO) == "MISS"
            assert all_of.post(who, "/get", {"prompt": "Who?"}).json()["answer"] is None
        for _ in range(2):
            assert all_of.ask("cat", HEIGHT_TOO) == "HIT"  # the trusted one's
        assert all_of.ask("cat", HEIGHT) == "SEMANTIC_HIT"
        served = all_of.last.headers
        for name in (served["x-semcache-decision"], served["x-semcache-entry-id"]):
            for verdict in ("wrong", "right"):
                told = all_of.post("cat", "/v1/cache/feedback", {"id": name, "verdict": verdict})
                assert told.status_code == 404
        assert all_of.ask("boss", HEIGHT_TOO) == "HIT"
        fresh = all_of.ask("cat", HEIGHT_TOO, **{"cache-control": "no-cache"})
        assert fresh in ("MISS", "BYPASS", "REFRESH")
        for forged in ("x-semcache-namespace", "x-tenant", "x-user", "forwarded"):
            all_of.ask("ann", "What is forged?", **{forged: "crew"})
        assert all_of.ask("boss", "What is forged?") == "MISS"


def test_what_enough_were_told_alike_is_for_all(tmp_path: Path) -> None:
    def script(request: ChatRequest) -> Completion:
        said = f"One {len(told)}." if "luck" in str(request.messages) else " 330 \n metres"
        told.append(said)
        return text_completion_of(said, id=f"chatcmpl-{len(told)}", created=1, model="m")

    told: list[str] = []
    with crew(tmp_path, 2, script) as all_of:
        for _ in range(3):  # one vote, however often
            assert all_of.ask("ann", **{"cache-control": "no-cache"}) != "HIT"
        body = {"prompt": HEIGHT, "answer": "330 metres"}
        assert all_of.post("cat", "/put", body).status_code == 200  # it was not made for cat
        assert all_of.ask("boss") == "MISS"
        assert all_of.post("boss", "/v1/cache/feedback", {
            "id": all_of.last.json()["id"], "verdict": "wrong"
        }).status_code == 200  # fmt: skip
        assert all_of.ask("ben") == "MISS"
        before = len(told)
        assert all_of.ask("boss") == "HIT"
        assert len(told) == before
        for who in ("ann", "ben", "boss"):  # each is told something else
            assert all_of.ask(who, "Which number brings luck?") == "MISS"
        for who in ("ann", "ben", "boss", "cat"):  # one person's own, whatever they were told
            assert all_of.ask(who, "Where is my order?", user="eve") == "MISS"


def test_votes_are_digests_that_end(tmp_path: Path) -> None:
    now = [0.0]
    votes = Promotion(tmp_path / "v.db", 2, SECRET, lambda: now[0], capacity=20)
    one, other = (
        text_completion_of(text, id="x", created=1, model="m") for text in ("yes  sir", "no")
    )
    assert not votes.agreed("k", "ann", one)
    assert not votes.agreed("k", "ann", one)
    assert not votes.agreed("k", "ben", other)
    assert not votes.agreed("k2", "ben", one)
    assert votes.agreed("k", "ben", one)
    now[0] = 31 * 86_400.0
    assert not votes.agreed("k", "cat", one)
    for at in range(100):
        now[0] += 1
        votes.agreed(f"k{at}", "ann", one)
    assert not votes.agreed("k", "dan", other)
    votes.close()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"yes" not in written
    assert (tmp_path / "v.db").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "server",
    [
        {"promote_after": 1},
        {"keys": [{"name": "a", "sha256": "a" * 64, "trusted": False}]},
        {"pass_through": {"shared": True}},
    ],
)
def test_sharing_that_means_nothing_is_refused(server: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Config.from_mapping({
            "engines": ["upstream"], "upstream": {"base_url": "http://x/v1"}, "server": server
        })  # fmt: skip
