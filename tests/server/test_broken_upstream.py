"""A fuzz: bodies from nowhere, and an upstream that sends anything.

Whatever comes, nobody gets a 500, and what was cut off or unreadable is given to nobody else. What
is stored can be served, whole and streamed.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from semcache.upstream import Upstream, UpstreamSettings
from tests.loopback import Events, Json, Loopback, Reply, Seen
from tests.server.serving import serving
from tests.upstream_double import openai_like

PATHS: dict[str, dict[str, Any]] = {
    "chat/completions": {"model": "m", "messages": [{"role": "user", "content": "Is 7 a number?"}]},
    "completions": {"model": "m", "prompt": "Is 7 a number?"},
    "responses": {"model": "m", "input": "Is 7 a number?"},
    "embeddings": {"model": "e", "input": "Is 7 a number?"},
}
QUICK = settings(
    max_examples=40,
    database=None,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 2**40) | st.floats(allow_nan=False) | st.text()
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)


@dataclass
class Broken:
    """A server, and the bytes that its upstream sends next."""

    http: httpx2.Client
    upstream: Loopback
    reply: Reply

    def post(self, path: str, body: Any, **headers: str) -> httpx2.Response:
        return self.http.post(f"/v1/{path}", json=body, headers=headers)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broken]:
    made: list[Broken] = []
    with Loopback(lambda _: made[0].reply) as upstream:
        relay = Upstream(UpstreamSettings(base_url=upstream.base_url, timeout_s=5.0))
        with serving(tmp_path_factory.mktemp("broken"), relay) as http:
            made.append(Broken(http, upstream, Json({})))
            yield made[0]


_numbers = count()


def asked(path: str, *, stream: bool) -> dict[str, Any]:
    body = copy.deepcopy(PATHS[path])
    return {**body, "stream": True} if stream else body


def wires_of(path: str, body: dict[str, Any]) -> list[Any]:
    """What a sound upstream would say: one object, or those of a stream."""
    seen = Seen("POST", f"/v1/{path}", {}, json.dumps(body).encode(), 1)
    reply = openai_like(seen)
    if isinstance(reply, Json):
        return [reply.body]
    assert isinstance(reply, Events)
    sent = b"".join(part for part in reply.parts if isinstance(part, bytes)).decode()
    data = [line.removeprefix("data: ") for line in sent.split("\n") if line.startswith("data: ")]
    return [json.loads(one) for one in data if one != "[DONE]"]


def as_bytes(wires: list[Any], path: str, *, stream: bool) -> list[bytes]:
    if not stream:
        return [json.dumps(wires[0]).encode()]
    events = [b"data: " + json.dumps(wire).encode() + b"\n\n" for wire in wires]
    return events if path == "responses" else [*events, b"data: [DONE]\n\n"]


def places(wire: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in an object."""
    members = wire.items() if isinstance(wire, dict) else enumerate(wire)
    found = []
    for name, value in members:
        found.append((*path, name))
        if isinstance(value, dict | list):
            found += places(value, (*path, name))
    return found


@st.composite
def tampered(draw: Any) -> tuple[str, dict[str, Any], list[bytes], bool]:
    """Path, request, what the upstream sends, and whether that can never be a whole answer."""
    path = draw(st.sampled_from(sorted(PATHS)))
    stream = path != "embeddings" and draw(st.booleans())
    body = asked(path, stream=stream)
    wires = copy.deepcopy(wires_of(path, body))
    how = draw(st.sampled_from(["value", "gone", "more", "cut", "garbage", "short"]))
    if how in {"value", "gone"}:
        at = draw(st.integers(0, len(wires) - 1))
        *way, last = draw(st.sampled_from(places(wires[at])))
        inner = wires[at]
        for name in way:
            inner = inner[name]
        if how == "value":
            inner[last] = draw(ANYTHING)
        else:
            del inner[last]
    elif how == "more" and stream:
        wires.insert(draw(st.integers(0, len(wires) - 1)), draw(ANYTHING))
    parts = as_bytes(wires, path, stream=stream)
    if how == "cut":
        sent = b"".join(parts)
        end = len(sent) - (len(parts[-1]) if stream else 1)
        return path, body, [sent[: end * draw(st.integers(0, 999)) // 1000]], True
    if how == "garbage":
        bad = [b"data: {\xff\n\n", b"data: nul\n\n", b"data: []\n\n", b'data: "x"\n\n']
        parts.insert(0, draw(st.sampled_from(bad)))
        return path, body, parts, True
    if how == "short" and stream:
        return path, body, parts[: draw(st.integers(0, len(parts) - 1))], True
    return path, body, parts, False


@QUICK
@given(case=tampered())
def test_an_upstream_that_sends_anything(broken: Broken, case: Any) -> None:
    path, body, parts, is_bad = case
    stream = bool(body.get("stream"))
    broken.reply = Events(parts) if stream else Json(b"".join(parts))
    own = {"x-semcache-namespace": str(next(_numbers))}  # nobody has asked this before
    first = broken.post(path, body, **own)
    assert first.status_code != 500, first.text
    assert first.status_code in {200, 400, 401, 404, 429} or 501 <= first.status_code < 600
    for again in (False, True):
        asked_again = {**body, "stream": again} if path != "embeddings" else body
        stored = broken.post(path, asked_again, **own, **{"cache-control": "only-if-cached"})
        assert stored.status_code in {200, 504}, stored.text
        if is_bad:
            assert stored.status_code == 504
        elif stored.status_code == 200 and not again:
            assert "error" not in stored.json() or stored.json()["error"] is None
        elif stored.status_code == 200:
            events = [e for e in stored.text.split("\n") if e.startswith("data: ")]
            read = [json.loads(e[6:]) for e in events if e != "data: [DONE]"]
            assert all(isinstance(one, dict) for one in read)


@QUICK
@given(path=st.sampled_from(sorted(PATHS)), data=st.data())
def test_bodies_from_nowhere(broken: Broken, path: str, data: Any) -> None:
    broken.reply = Json({"error": {"message": "never asked"}}, status=418)
    body = asked(path, stream=False)
    how = data.draw(st.sampled_from(["value", "bytes", "anything", "more"]))
    sent: bytes
    if how == "bytes":
        sent = data.draw(st.binary(max_size=60))
    elif how == "anything":
        sent = json.dumps(data.draw(ANYTHING)).encode()
    elif how == "more":
        names = ["n", "stop", "tools", "cache", "stream", "user", "metadata", "text", "store"]
        more = {data.draw(st.sampled_from(names)): data.draw(ANYTHING) for _ in range(3)}
        sent = json.dumps({**body, **more}).encode()
    else:
        *way, last = data.draw(st.sampled_from(places(body)))
        inner: Any = body
        for name in way:
            inner = inner[name]
        inner[last] = data.draw(ANYTHING)
        sent = json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    answer = broken.http.post(f"/v1/{path}", content=sent, headers=headers)
    assert answer.status_code in {400, 404, 413, 418}, (sent, answer.text)
    assert "error" in answer.json()
