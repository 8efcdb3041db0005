"""`/v1/cache/export` and `/v1/cache/import`: from one server to another, while both answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import orjson

from semcache.keys import tenant_of
from semcache_server.admin_moving import MAX_LINE_BYTES
from tests.scripted import ScriptedAnswerer
from tests.server.serving import SECRET, serving
from tests.server.test_admin_routes import ADMIN, DOOR, HEIGHT

ONE, TWO = tenant_of(SECRET, "one"), tenant_of(SECRET, "two")


def ask(http: httpx2.Client, text: str, key: str) -> dict[str, str]:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    headers = {"authorization": f"Bearer {key}"}
    told = http.post("/v1/chat/completions", json=body, headers=headers)
    assert told.status_code == 200
    return dict(told.headers)


Lines = list[bytes]


def exported(folder: Path) -> tuple[Lines, Lines]:
    """All that a server has for two keys, and what it has for the second one, with vectors."""
    with serving(folder, ScriptedAnswerer(), admin=DOOR, installation="aa") as here:
        for at in range(140):
            ask(here, f"What is the number {at} good for?", "one")
        ask(here, HEIGHT, "two")
        with here.stream("GET", "/v1/cache/export", headers=ADMIN) as told:
            assert told.headers["content-type"].startswith("application/x-ndjson")
            lines = b"".join(told.iter_bytes()).splitlines()
        params: dict[str, Any] = {"tenant": TWO, "vectors": "true"}
        mine = here.get("/v1/cache/export", params=params, headers=ADMIN).content.splitlines()
        last = orjson.loads(lines[140])["id"]
        rest = here.get("/v1/cache/export", params={"after": last}, headers=ADMIN).content
        for path in ("export?tenants=x", "export?since=soon", "export?vectors=2"):
            assert here.get(f"/v1/cache/{path}", headers=ADMIN).status_code == 400
        for headers in ({}, {"authorization": "Bearer one"}):
            assert here.get("/v1/cache/export", headers=headers).status_code == 401
            assert here.post("/v1/cache/import", content=b"", headers=headers).status_code == 401
    assert [orjson.loads(line)["question"] for line in rest.splitlines()[1:]] == [HEIGHT]
    return lines, mine


def test_from_server_to_server(tmp_path: Path) -> None:
    lines, mine = exported(tmp_path / "a")
    assert orjson.loads(lines[0])["entries"] == 141
    assert len(lines) == 142
    assert [orjson.loads(line).get("question") for line in mine] == [None, HEIGHT]
    with serving(tmp_path / "b", ScriptedAnswerer(), admin=DOOR, installation="bb") as there:
        # Under tenants of another installation nobody would be given them.
        refused = sent(there, mine[0] + b"\n" + mine[1]).json()
        assert (refused["stored"], refused["skipped"]) == (0, 1)
        told = sent(there, in_pieces(lines), tenant=ONE, into=TWO).json()
        assert (told["stored"], told["encoded"], told["skipped"]) == (140, 140, 3)
        assert [bad["line"] for bad in told["bad_lines"]] == [142, 143, 144]
        assert ask(there, "What is the number 7 good for?", "two")["x-semcache-status"] == "HIT"
        memory_gives_way(there, mine)
        strict = sent(there, b"\n".join([mine[0], b"{broken"]), into=TWO, strict="true")
        assert strict.status_code == 400
        assert "Line 2" in strict.json()["error"]["message"]
        assert sent(there, b"Dear all,").status_code == 400
        assert sent(there, mine[0], into="somebody").status_code == 400


def sent(http: httpx2.Client, content: Any, **params: str) -> httpx2.Response:
    return http.post("/v1/cache/import", params=params, headers=ADMIN, content=content)


def in_pieces(lines: Lines) -> Iterator[bytes]:
    """Cut where no line ends, and with two bad lines behind."""
    whole = b"\n".join(lines)
    for at in range(0, len(whole), 7001):
        yield whole[at : at + 7001]
    yield b"\n" + b"x" * (MAX_LINE_BYTES + 1) + b"\n" + b"{broken\n"


def memory_gives_way(http: httpx2.Client, mine: Lines) -> None:
    """What memory holds is not what is served once something newer was imported."""
    ask(http, HEIGHT, "two")
    newer = [orjson.loads(line) for line in mine]
    newer[1]["created_at"] += 3600
    newer[1]["completion"]["choices"][0]["message"]["content"] = "Imported."
    body = b"\n".join(map(orjson.dumps, newer))
    assert sent(http, body, into=TWO).json()["stored"] == 1
    assert sent(http, body, into=TWO).json()["already_there"] == 1
    asked = {"model": "m", "messages": [{"role": "user", "content": HEIGHT}]}
    key = {"authorization": "Bearer two"}
    answer = http.post("/v1/chat/completions", json=asked, headers=key).json()
    assert answer["choices"][0]["message"]["content"] == "Imported."
