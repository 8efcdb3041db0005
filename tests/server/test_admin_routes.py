"""The admin's routes, over HTTP: what they find, what they take away, and whom they let in."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.routing import Route

from semcache.cache import SemCache
from semcache.keys import tenant_of
from semcache.store import LocalStore
from semcache_server.admin import AdminDoor, admin_routes
from semcache_server.app import Serving
from tests.scripted import ScriptedAnswerer
from tests.server.serving import SECRET, serving

KEY = "sk-semcache-admin-" + "k" * 43
ADMIN = {"authorization": f"Bearer {KEY}"}
DOOR = AdminDoor((sha256(KEY.encode()).hexdigest(),))
HEIGHT = "How tall is the Eiffel Tower?"
HEIGHT_TOO = "What is the height of the Eiffel Tower?"
BREAD = "How do I bake a sourdough bread?"


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    folder = tmp_path_factory.mktemp("data")
    answerer = ScriptedAnswerer(models=("m", "m2"))
    with serving(folder, answerer, admin=DOOR) as client:
        client.headers["authorization"] = ADMIN["authorization"]
        yield client


@pytest.fixture(autouse=True)
def empty(http: httpx2.Client) -> None:
    http.post("/cache/flushall")


def ask(http: httpx2.Client, text: str, key: str = "one", model: str = "m", **more: Any) -> Any:
    headers = {"authorization": f"Bearer {key}", **more}
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    told = http.post("/v1/chat/completions", json=body, headers=headers)
    assert told.status_code == 200
    return told.headers


def status(http: httpx2.Client, text: str, **options: Any) -> str:
    said: str = ask(http, text, **options)["x-semcache-status"]
    return said


def entries(http: httpx2.Client, **query: Any) -> list[dict[str, Any]]:
    told = http.get("/v1/cache/entries", params=query)
    assert told.status_code == 200
    assert "no-store" in told.headers["cache-control"]
    found: list[dict[str, Any]] = told.json()["data"]
    return found


def test_no_route_lets_anybody_else_in(tmp_path: Path, http: httpx2.Client) -> None:
    store = LocalStore(tmp_path)
    cache = SemCache(store=store)
    routes = admin_routes(Serving(cache=cache, tenant_of=str, model="m"), AdminDoor())
    cache._close_leaves()
    assert len(routes) >= 11
    ask(http, HEIGHT)
    for route in routes:
        assert isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}:
            path = route.path.replace("{id}", str(entries(http)[0]["id"]))
            for headers in (
                {"authorization": ""},
                {"authorization": "Bearer one"},
                {"authorization": "Bearer one", "x-admin": KEY, "cookie": f"key={KEY}"},
            ):
                told = http.request(method, f"{path}?key={KEY}", headers=headers, json={})
                assert told.status_code == 401, path
                assert told.json()["error"]["code"] == "invalid_api_key"
            told = http.request(method, path, headers={"sec-fetch-site": "cross-site"}, json={})
            assert told.status_code == 403, path
            assert not any(name.startswith("access-control") for name in told.headers)
    assert status(http, HEIGHT) == "HIT"


def test_entries_are_listed_in_pages_and_by_what_they_are(http: httpx2.Client) -> None:
    for at in range(5):
        ask(http, f"What is the square of {at}?", key="one")
    ask(http, BREAD, key="two", model="m2", **{"x-semcache-namespace": "crew"})
    every = entries(http)
    assert [one["question"] for one in every][:2] == [BREAD, "What is the square of 4?"]
    assert every[0]["tenant"] == tenant_of(SECRET, "two")
    assert every[0]["namespace"] == "crew"
    assert every[0]["condition"] == "fresh"
    assert every[0]["answer"] == f"m2 answers: {BREAD}"
    found: list[int] = []
    cursor = ""
    while True:
        page = http.get("/v1/cache/entries", params={"limit": 2, "cursor": cursor}).json()
        found += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        cursor = page["next"]
    assert found == [one["id"] for one in every]
    assert len(entries(http, model="m2")) == 1
    assert len(entries(http, tenant=tenant_of(SECRET, "one"))) == 5
    assert [one["question"] for one in entries(http, contains="SOURDOUGH")] == [BREAD]
    assert entries(http, state="stale") == []
    assert len(entries(http, namespace="crew")) == 1


def test_one_entry_is_shown_deleted_quarantined_and_set_free(http: httpx2.Client) -> None:
    number = ask(http, HEIGHT)["x-semcache-key"]
    assert status(http, HEIGHT) == "HIT"
    entry = entries(http)[0]
    assert entry["key"].startswith(number)
    path = f"/v1/cache/entries/{entry['id']}"
    whole = http.get(path).json()
    assert whole["completion"]["choices"][0]["message"]["content"] == entry["answer"]
    assert http.post(f"{path}/quarantine").json()["condition"] == "quarantined"
    told = http.post(
        "/v1/chat/completions",
        json={"model": "m", "messages": [{"role": "user", "content": HEIGHT}]},
        headers={"authorization": "Bearer one", "cache-control": "only-if-cached"},
    )
    assert told.status_code == 504
    assert http.post(f"{path}/release").json()["condition"] == "fresh"
    assert status(http, HEIGHT) == "HIT"
    assert http.delete(path).json() == {
        "id": entry["id"],
        "object": "cache.entry",
        "deleted": True,
    }
    for method, where in (("GET", path), ("DELETE", path), ("POST", f"{path}/quarantine")):
        assert http.request(method, where).status_code == 404
    assert status(http, HEIGHT) == "MISS"


def test_why_asks_in_the_entrys_own_scope(http: httpx2.Client) -> None:
    ask(http, HEIGHT)
    path = f"/v1/cache/entries/{entries(http)[0]['id']}/explain"
    own = http.post(path, json={}).json()
    assert own["decision"]["outcome"] == "hit"
    assert own["decision"]["tier"] == "exact"
    other = http.post(path, json={"question": HEIGHT_TOO}).json()
    assert other["decision"]["tier"] == "semantic"
    assert other["candidates"][0]["question"] == HEIGHT
    far = http.post(path, json={"question": BREAD}).json()
    assert far["decision"]["outcome"] == "miss"


def test_search_finds_the_nearest_of_all_tenants_or_of_one(http: httpx2.Client) -> None:
    ask(http, HEIGHT, key="one")
    ask(http, BREAD, key="two")
    found = http.post("/v1/cache/search", json={"question": HEIGHT_TOO, "k": 5}).json()
    assert [one["question"] for one in found["data"]] == [HEIGHT, BREAD]
    assert found["data"][0]["similarity"] > 0.9 > found["data"][1]["similarity"]
    assert (found["scopes_searched"], found["scopes_left_out"]) == (2, 0)
    of_two = {"question": HEIGHT_TOO, "tenant": tenant_of(SECRET, "two")}
    found = http.post("/v1/cache/search", json=of_two).json()
    assert [one["question"] for one in found["data"]] == [BREAD]


def test_litellms_routes(http: httpx2.Client) -> None:
    keys = [ask(http, text)["x-semcache-key"] for text in (HEIGHT, BREAD)]
    assert http.get("/cache/ping").json()["status"] == "healthy"
    done = http.post("/cache/delete", json={"keys": [keys[0], "0" * 32]})
    assert done.json() == {"status": "success", "deleted": 1}
    assert status(http, HEIGHT, **{"cache-control": "no-store"}) == "MISS"
    assert status(http, BREAD) == "HIT"
    assert http.post("/cache/flushall").json() == {"status": "success", "deleted": 1}
    assert status(http, BREAD) == "MISS"


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({"tenant": tenant_of(SECRET, "two")}, {HEIGHT, HEIGHT_TOO}),
        ({"model": "m"}, {HEIGHT_TOO}),
        ({"namespace": "crew"}, {HEIGHT, BREAD}),
        ({"question": HEIGHT}, {HEIGHT_TOO, BREAD}),
        ({"answerer": "scripted"}, set()),
        ({"answerer": "nobody"}, {HEIGHT, HEIGHT_TOO, BREAD}),
        ({"older_than_s": 3600}, {HEIGHT, HEIGHT_TOO, BREAD}),
        ({"older_than_s": 0}, set()),
        ({"model": "m", "tenant": tenant_of(SECRET, "one")}, {HEIGHT_TOO, BREAD}),
    ],
)
def test_invalidation_says_what_would_go_and_then_it_goes(
    http: httpx2.Client, body: dict[str, Any], left: set[str]
) -> None:
    ask(http, HEIGHT, key="one")
    ask(http, HEIGHT_TOO, key="one", model="m2", **{"x-semcache-namespace": "crew"})
    ask(http, BREAD, key="two")
    would = http.post("/v1/cache/invalidate?dry_run=true", json=body).json()
    assert len(entries(http)) == 3
    assert {one["question"] for one in would["sample"]} == {HEIGHT, HEIGHT_TOO, BREAD} - left
    done = http.post("/v1/cache/invalidate", json=body).json()
    assert done["count"] == would["count"] == 3 - len(left)
    assert {one["question"] for one in entries(http)} == left


def test_invalidation_by_name_and_of_what_memory_holds(http: httpx2.Client) -> None:
    key = ask(http, HEIGHT)["x-semcache-key"]
    ask(http, BREAD)
    assert status(http, HEIGHT) == status(http, BREAD) == "HIT"
    ids = [one["id"] for one in entries(http) if one["question"] == BREAD]
    body = {"keys": [key], "ids": [*ids, 10**9]}
    other = http.post("/v1/cache/invalidate", json={**body, "model": "m2"}).json()
    assert other["count"] == 0
    assert http.post("/v1/cache/invalidate", json=body).json()["count"] == 2
    assert status(http, HEIGHT) == status(http, BREAD) == "MISS"


@pytest.mark.parametrize(
    ("method", "path", "body", "param"),
    [
        ("POST", "/cache/delete", {"keys": "a"}, "keys"),
        ("POST", "/cache/delete", {"keys": []}, "keys"),
        ("POST", "/cache/delete", {}, "keys"),
        ("POST", "/cache/delete", {"keys": ["short"]}, "keys"),
        ("POST", "/cache/delete", {"keys": ["0" * 32] * 1001}, "keys"),
        ("POST", "/v1/cache/invalidate", {}, None),
        ("POST", "/v1/cache/invalidate", {"tenant": None}, None),
        ("POST", "/v1/cache/invalidate", {"tenants": "a"}, "tenants"),
        ("POST", "/v1/cache/invalidate", {"ids": [True]}, "ids"),
        ("POST", "/v1/cache/invalidate", {"ids": [2**63]}, "ids"),
        ("POST", "/v1/cache/invalidate", {"older_than_s": -1}, "older_than_s"),
        ("POST", "/v1/cache/invalidate?dry_run=perhaps", {"model": "m"}, "dry_run"),
        ("POST", "/v1/cache/search", {"question": " "}, "question"),
        ("POST", "/v1/cache/search", {"question": "a", "k": 0}, "k"),
        ("POST", "/v1/cache/search", [], None),
        ("GET", "/v1/cache/entries?limit=0", None, "limit"),
        ("GET", "/v1/cache/entries?cursor=x", None, "cursor"),
        ("GET", "/v1/cache/entries?state=old", None, "state"),
        ("GET", "/v1/cache/entries?nonsense=1", None, "nonsense"),
        ("GET", "/v1/cache/stats?minutes=0", None, "minutes"),
        ("GET", "/v1/cache/entries/-1", None, "id"),
        ("GET", "/v1/cache/entries/%C2%B2", None, "id"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    http: httpx2.Client, method: str, path: str, body: object, param: str | None
) -> None:
    told = http.request(method, path, json=body)
    assert told.status_code == 400
    assert told.json()["error"]["type"] == "invalid_request_error"
    assert told.json()["error"]["param"] == param


def test_stats_and_decisions_tell_what_happened(http: httpx2.Client) -> None:
    before = http.get("/v1/cache/stats").json()
    ask(http, HEIGHT)
    assert status(http, HEIGHT) == "HIT"
    assert status(http, HEIGHT_TOO) == "SEMANTIC_HIT"
    ask(http, BREAD, **{"cache-control": "no-cache"})
    told = http.get("/v1/cache/stats?minutes=2").json()
    grown = {
        name: told["totals"][name] - before["totals"][name]
        for name in ("hit", "semantic", "miss", "bypass", "requests", "completion_tokens")
    }
    assert grown == {
        "hit": 1,
        "semantic": 1,
        "miss": 1,
        "bypass": 1,
        "requests": 4,
        "completion_tokens": 10,
    }
    assert told["store"]["entries"] == 2
    assert [(one["model"], one["entries"]) for one in told["holdings"]] == [("m", 2)]
    minutes = told["timeline"]
    assert sum(one["hit"] + one["semantic"] for one in minutes) == (
        told["totals"]["hit"] + told["totals"]["semantic"]
    )
    assert told["latencies"]["lookup: exact"]["count"] >= 1
    assert 0 < told["latencies"]["lookup: semantic"]["p50_ms"] < 60_000
    similar = told["similarity"]
    assert len(similar["served"]) == len(similar["bounds"]) + 1
    assert sum(similar["served"]) == told["totals"]["semantic"]
    assert similar["threshold"] == 0.6
    assert told["certificate"] is None

    seen = http.get("/v1/cache/decisions?limit=4").json()["data"]
    assert [one["outcome"] for one in seen] == ["bypass", "semantic", "hit", "miss"]
    assert [one["question"] for one in seen] == [BREAD, HEIGHT_TOO, HEIGHT, HEIGHT]
    assert seen[0]["reason"] == "request=no-cache"
    assert seen[1]["entry_id"] == seen[2]["entry_id"] == entries(http)[-1]["id"]
    assert seen[1]["similarity"] > 0.9
