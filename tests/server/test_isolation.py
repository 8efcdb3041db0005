"""Two tenants, one of whom tries to read, to guess, to poison and to end what is the other's.

What the spy is told must be what it would be told if the other did not exist.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Event
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from semcache.cache import SemCache
from semcache.chat import ChatRequest
from semcache.completion import Chunk
from semcache.server_keys import Doorkeeper, ServerKey, digest_of
from semcache.store import LocalStore
from semcache_server.admin import AdminDoor
from semcache_server.app import Serving, build_app
from tests.scripted import ScriptedAnswerer
from tests.server.serving import SECRET, serving

ALICE, SPY, ADMIN = "sk-alice", "sk-spy", "sk-admin"
GUEST = "sk-guest"  # who has asked nothing yet
HEIGHT = "How tall is the Eiffel Tower?"
HEIGHT_TOO = "What is the height of the Eiffel Tower?"
OWN = re.compile(
    "/v1/(chat/completions|completions|responses|embeddings|models.*|cache/(explain|feedback))"
    "|/openapi.json|/metrics|/put|/get|/flush|/cache_file|/healthz|/readyz|/|/dashboard.*"
)
"""Routes for everybody, and for tenants."""
NUMBERED = {"x-semcache-entry-id", "x-semcache-decision", "x-semcache-lookup-ms", "date"}


def tenant(key: str) -> ServerKey:
    return ServerKey(key, sha256(key.encode()).hexdigest())


class Server:
    """The server, and those who ask it."""

    def __init__(self, http: httpx2.Client, answerer: ScriptedAnswerer) -> None:
        self.http = http
        self.answerer = answerer

    def post(self, key: str, path: str, body: Any, **headers: str) -> httpx2.Response:
        sent = {"authorization": f"Bearer {key}", **headers}
        return self.http.post(path, json=body, headers=sent)

    def ask(self, key: str, text: str = HEIGHT, more: Any = None, **sent: str) -> httpx2.Response:
        body = {"model": "m", "messages": [{"role": "user", "content": text}], **(more or {})}
        return self.post(key, "/v1/chat/completions", body, **sent)

    def status(self, key: str, text: str = HEIGHT, more: Any = None, **sent: str) -> str:
        said = self.ask(key, text, more, **sent)
        assert said.status_code == 200, said.text
        return said.headers["x-semcache-status"]


class Held(ScriptedAnswerer):
    """Waits before its first word."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = Event()
        self.go_on = Event()
        self.go_on.set()

    async def answer(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        self.asked.set()
        while not self.go_on.is_set():
            await asyncio.sleep(0.005)
        async for chunk in super().answer(request):
            yield chunk


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    door = Doorkeeper([tenant(key) for key in (ALICE, SPY, GUEST)], SECRET, lambda: 0.0)
    answerer = Held()
    with serving(
        folder,
        answerer,
        door=door.tenant_of,
        caller_of=door.caller_of,
        admit=door.admit,
        admin=AdminDoor((digest_of(ADMIN),)),
    ) as http:
        yield Server(http, answerer)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in which Alice has asked something, twice, and has two answers."""
    with server(tmp_path_factory.mktemp("one")) as running:
        assert running.status(ALICE) == "MISS"
        assert running.status(ALICE) == "HIT"
        yield running


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same server, if Alice did not exist."""
    with server(tmp_path_factory.mktemp("empty")) as running:
        yield running


def test_no_header_and_no_field_makes_the_spy_another(one: Server) -> None:
    alice = one.ask(ALICE)
    tenant_of_alice = Doorkeeper([tenant(ALICE)], SECRET, lambda: 0.0).tenant_of(ALICE)
    names = [
        *("x-user", "x-tenant", "x-tenant-id", "x-semcache-tenant", "x-semcache-user", "from"),
        *(
            "x-semcache-namespace",
            "x-portkey-cache-namespace",
            "cf-aig-cache-key",
            "x-bf-cache-key",
        ),
        *("helicone-cache-seed", "helicone-auth", "openai-organization", "openai-project"),
        *("x-api-key", "api-key", "x-forwarded-user", "x-forwarded-for", "forwarded", "x-real-ip"),
        *("x-original-url", "x-http-method-override", "x-remote-user", "cookie"),
        *("proxy-authorization", "x-semcache-key", "x-semcache-entry-id", "x-semcache-decision"),
    ]
    values = [ALICE, f"Bearer {ALICE}", tenant_of_alice, f"for={ALICE}", "default", ""]
    values += [alice.headers["x-semcache-key"], alice.headers["x-semcache-entry-id"]]
    for at, value in enumerate(values):
        forged = dict.fromkeys(names, value)
        told = one.ask(SPY, f"{HEIGHT} ({at})", **forged)
        assert told.headers["x-semcache-status"] == "MISS"
        assert told.headers["x-semcache-key"] != alice.headers["x-semcache-key"]
    bodies: list[dict[str, Any]] = [
        {"user": ALICE},
        {"tenant": tenant_of_alice},
        {"cache": {"namespace": tenant_of_alice}},
        {"cache": {"key": alice.headers["x-semcache-key"], "use-cache": True}},
        {"metadata": {"tenant": ALICE}, "safety_identifier": ALICE},
    ]
    for at, more in enumerate(bodies):
        assert one.status(SPY, HEIGHT, more | {"seed": at}) == "MISS"
    assert one.status(ALICE) == "HIT"


def test_the_spy_is_told_what_a_stranger_is_told(one: Server, empty: Server) -> None:
    """Neither a similarity, nor a reason, nor a key: the headers of a miss are the same."""
    for body in ({"question": HEIGHT_TOO + " "}, {"question": HEIGHT, "model": "m"}):
        shown, blank_shown = (here.post(GUEST, "/v1/cache/explain", body) for here in (one, empty))
        assert shown.status_code == 200
        assert _numberless(shown.text) == _numberless(blank_shown.text)
    told, blank = (here.post(GUEST, "/get", {"prompt": HEIGHT}) for here in (one, empty))
    assert told.content == blank.content
    for text in (HEIGHT_TOO, f"{HEIGHT_TOO[:-1]} in feet?", f" {HEIGHT}"):
        for sent in ({}, {"cache-control": "only-if-cached"}, {"x-semcache-threshold": "0"}):
            told, blank = (here.ask(GUEST, text, **sent) for here in (one, empty))
            assert told.status_code == blank.status_code
            assert _told(told) == _told(blank)
        assert "near" not in told.headers["cache-status"]


def _told(response: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name not in NUMBERED}


def _numberless(text: str) -> str:
    """Without times, which differ by themselves."""
    return re.sub(r'"[a-z_]*(_ms|_s|_at)":[0-9.e-]+', "", text)


def test_what_is_alices_is_as_unknown_as_nothing(one: Server) -> None:
    served = one.ask(ALICE)
    assert one.status(ALICE, HEIGHT_TOO) == "SEMANTIC_HIT"
    near = one.ask(ALICE, f"{HEIGHT_TOO} ")
    names = [served.headers["x-semcache-entry-id"], served.json()["id"], near.json()["id"]]
    decision = near.headers.get("x-semcache-decision")
    names += [] if decision is None else [decision]
    nothing = one.post(SPY, "/v1/cache/feedback", {"id": "987654321", "verdict": "wrong"})
    assert nothing.status_code == 404
    for name in names:
        for verdict in ("wrong", "right"):
            told = one.post(SPY, "/v1/cache/feedback", {"id": name, "verdict": verdict})
            assert (told.status_code, told.content) == (404, nothing.content)
    assert one.status(ALICE) == "HIT"


def test_what_the_spy_stores_and_ends_is_the_spys(one: Server) -> None:
    poison = {"prompt": "Who wrote Faust?", "answer": "The spy."}
    assert one.post(SPY, "/put", poison).status_code == 200
    assert one.post(ALICE, "/get", {"prompt": poison["prompt"]}).json()["answer"] is None
    said = one.ask(ALICE, "Who was it that wrote Faust?")
    assert "spy" not in said.json()["choices"][0]["message"]["content"]
    assert one.post(SPY, "/flush", {}).status_code == 200
    gone = {"keys": [said.headers["x-semcache-key"]]}
    assert one.post(SPY, "/cache/delete", gone).status_code == 401
    assert one.status(ALICE, "Who was it that wrote Faust?") == "HIT"


def test_the_spy_joins_no_answer_of_alices(one: Server) -> None:
    answerer = one.answerer
    assert isinstance(answerer, Held)
    answerer.go_on.clear()
    answerer.asked.clear()
    before = len(answerer.calls)
    with ThreadPoolExecutor(2) as pool:
        hers = pool.submit(one.ask, ALICE, "What is being asked right now?")
        assert answerer.asked.wait(20)
        answerer.asked.clear()
        theirs = pool.submit(one.ask, SPY, "What is being asked right now?")
        assert answerer.asked.wait(20)  # by itself: it follows nobody
        answerer.go_on.set()
        said = [each.result(20) for each in (hers, theirs)]
    assert len(answerer.calls) == before + 2
    assert not any("collapsed" in each.headers["cache-status"] for each in said)


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": f"Basic {ALICE}"},
        {"authorization": ALICE},
        {"authorization": f"Bearer {ALICE.upper()}"},
        {"authorization": f"Bearer {ALICE[:-1]}"},
        {"authorization": f"Bearer {ALICE}x"},
        {"authorization": f"Bearer {ALICE} {SPY}"},
        {"authorization": f"Bearer {ALICE},{SPY}"},
        {"authorization": f"Bearer {ALICE}".encode() + b"\xa0"},
        {"authorization": f"Bearer {ALICE}".encode() + b"\xcc\x81"},
        {"authorization": "Bearer ｓｋ-alice".encode()},
        {"authorization": f"Bearer {digest_of(ALICE)}"},
        {"x-api-key": ALICE, "api-key": ALICE},
        {"proxy-authorization": f"Bearer {ALICE}"},
        {"cookie": f"authorization=Bearer {ALICE}"},
    ],
)
def test_only_the_very_key_is_a_key(one: Server, sent: dict[str, Any]) -> None:
    """Nor does it help to have it in the address."""
    body = {"model": "m", "messages": [{"role": "user", "content": HEIGHT}]}
    where = f"/v1/chat/completions?api_key={ALICE}&key={ALICE}&access_token={ALICE}"
    told = one.http.post(where, json=body, headers=sent)
    assert told.status_code in (400, 401)
    assert ALICE not in told.text
    assert "x-semcache-key" not in told.headers


def test_a_wrong_key_is_as_wrong_as_any(one: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """One answer for all, and all digests are compared each time, to their end."""
    wrong = ("sk-nobody", "x", ALICE[:-1], ALICE.upper(), f"{ADMIN}x")
    told = {one.ask(key).content for key in wrong}
    assert len(told) == 1
    compared: list[tuple[str, str]] = []
    real = hmac.compare_digest

    def counting(known: str, given: str) -> bool:
        compared.append((known, given))
        return real(known, given)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    door = Doorkeeper([tenant(str(at)) for at in range(5)], SECRET, lambda: 0.0)
    for key, known in (("0", True), ("4", True), ("5", False)):
        compared.clear()
        if known:
            door.tenant_of(key)
        else:
            with pytest.raises(Exception, match="not known"):
                door.tenant_of(key)
        assert [len(one) + len(other) for one, other in compared] == [128] * 5


def test_the_admins_routes_know_no_tenant(one: Server, tmp_path: Path) -> None:
    """Whichever there are: with no key, and with a tenant's, they say one and the same thing."""
    routes = [
        (method, route.path.replace("{id}", "1").replace("{entry_id}", "1"))
        for route in _routes(tmp_path)
        for method in (route.methods or set()) - {"HEAD"}
        if not OWN.fullmatch(route.path)
    ]
    assert len(routes) > 8
    for method, path in routes:
        blank = one.http.request(method, path)
        assert blank.status_code == 401, (method, path)
        for key in (ALICE, SPY, "sk-nobody", ADMIN.upper()):
            sent = {"authorization": f"Bearer {key}"}
            where = f"{path}?key={ADMIN}&admin_key={ADMIN}"
            told = one.http.request(method, where, headers=sent)
            assert (told.status_code, told.content) == (401, blank.content), (method, path)
    assert one.status(ALICE) == "HIT"


def _routes(folder: Path) -> list[Route]:
    with LocalStore(folder) as store:
        app = build_app(Serving(cache=SemCache(store=store), tenant_of=str, model="m"))
    assert isinstance(app.rest, Starlette)
    return [route for route in app.rest.routes if isinstance(route, Route)]
