"""Callers with keys of their own, before a recording upstream: what it sees, and what it does not.

The upstream lets in two keys. Whatever else a caller sends, only what is the upstream's gets there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2

from semcache.pass_through import PassThrough
from semcache.server_keys import digest_of
from semcache.upstream import Upstream, UpstreamSettings
from semcache_server.admin import AdminDoor
from tests.loopback import Json, Loopback, Reply, Seen
from tests.server.serving import SECRET, serving

GOOD = ("Bearer sk-alice", "Bearer sk-bob")
SENT = {
    "cookie": "session=1",
    "forwarded": "for=10.0.0.1",
    "x-forwarded-for": "10.0.0.1",
    "x-forwarded-host": "elsewhere",
    "x-real-ip": "10.0.0.1",
    "x-api-key": "sk-other",
    "api-key": "sk-other",
    "proxy-authorization": "Basic eA==",
    "cache-control": "max-age=60",
    "x-semcache-namespace": "mine",
    "x-semcache-ttl": "60",
    "x-portkey-cache-namespace": "mine",
    "helicone-cache-enabled": "true",
    "x-user": "bob",
    "x-tenant": "bob",
    "x-upstream": "http://elsewhere/v1",
    "x-base-url": "http://elsewhere/v1",
    "user-agent": "spy",
    "openai-organization": "org-secret",
    "x-lets-through": "this",
}
OURS = {"host", "accept", "accept-encoding", "connection", "user-agent", "authorization"}


def provider(seen: Seen) -> Reply:
    if seen.headers.get("authorization") not in GOOD:
        return Json({"error": {"message": "no such key", "code": "invalid_api_key"}}, 401)
    if seen.path.endswith("/models"):
        return Json({"data": [{"id": "m"}]})
    message = {"role": "assistant", "content": f"for {seen.headers['authorization']}"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return Json({"id": "1", "object": "chat.completion", "model": "m", "choices": [choice]})


def ask(http: httpx2.Client, key: str, **headers: str) -> httpx2.Response:
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "cache": {"ttl": 60, "namespace": "mine"},
    }
    sent = {"authorization": f"Bearer {key}", **headers}
    return http.post("/v1/chat/completions", json=body, headers=sent)


def said(response: httpx2.Response) -> Any:
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


def test_only_the_callers_own_key_gets_through(tmp_path: Path) -> None:
    with Loopback(provider) as elsewhere:
        upstream = Upstream(UpstreamSettings(elsewhere.base_url, "sk-server", key_from_caller=True))
        door = PassThrough(lambda key: upstream.knows(key, "models"), SECRET, lambda: 0.0)
        options: dict[str, Any] = {
            "door": door.tenant_of,
            "caller_of": door.caller_of,
            "admit": door.admit,
            "pass_through": True,
            "admin": AdminDoor((digest_of("an admin's, made elsewhere"),)),
            "more_models": (upstream.fetch_models,),
            "forward_headers": ("x-lets-through",),
        }
        with serving(tmp_path, upstream, **options) as http:
            assert said(ask(http, "sk-alice", **SENT)) == "for Bearer sk-alice"
            assert ask(http, "sk-alice", **SENT).headers["x-semcache-status"] == "HIT"
            assert len(elsewhere.requests) == 2
            for _ in range(3):
                assert ask(http, "sk-mallory", **SENT).status_code == 401
            assert http.get("/v1/models").status_code == 401
            assert ask(http, "sk-semcache-admin-1").status_code == 401
            assert len(elsewhere.requests) == 3
            assert said(ask(http, "sk-bob", **SENT)) == "for Bearer sk-bob"
            assert said(ask(http, "sk-bob", **{**SENT, "x-lets-through": "that"}))
            admins = {"authorization": "Bearer an admin's, made elsewhere"}
            for path in ("/v1/models", "/v1/cache/stats", "/metrics", "/dashboard"):
                assert http.get(path, headers=admins).status_code == 200
            assert ask(http, "an admin's, made elsewhere").status_code == 401
            listed = http.get("/v1/models", headers={"authorization": "Bearer sk-bob"}).json()
            assert "m" in {model["id"] for model in listed["data"]}
        asked = [seen for seen in elsewhere.requests if seen.method == "POST"]
    assert [seen.headers.get("x-lets-through") for seen in asked] == ["this", "this", "that"]
    for seen in elsewhere.requests:
        assert "admin" not in str(seen.headers)
        posted = {"content-type", "content-length", "x-lets-through"}
        assert set(seen.headers) <= OURS | posted
        assert seen.headers["user-agent"] == "semcache"
        assert not {b"cache", b"mine"} & set(seen.body.replace(b'"', b" ").split())
        assert "sk-server" not in str(seen.headers)


def test_the_servers_own_key_is_all_that_is_sent_otherwise(tmp_path: Path) -> None:
    def own(seen: Seen) -> Reply:
        assert seen.headers["authorization"] == "Bearer sk-server"
        seen.headers["authorization"] = GOOD[0]
        return provider(seen)

    with Loopback(own) as elsewhere:
        upstream = Upstream(UpstreamSettings(elsewhere.base_url, "sk-server"))
        with serving(tmp_path, upstream) as http:
            assert said(ask(http, "sk-mallory", **SENT))
    [seen] = elsewhere.requests
    assert set(seen.headers) <= OURS | {"content-type", "content-length"}
    assert "mallory" not in str(seen.headers) + seen.body.decode()
