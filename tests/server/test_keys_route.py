"""A server with keys: a made key is let in by the official client, another is not, on any route."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import pytest
import yaml

from semcache import cli
from semcache.config import Config
from semcache.quotas import Quota
from semcache.server_keys import Doorkeeper, digest_of
from semcache_server.admin import AdminDoor
from tests.scripted import ScriptedAnswerer
from tests.server.serving import SECRET, serving

ROUTES = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/cache/explain"),
    ("POST", "/v1/cache/feedback"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/m"),
    ("GET", "/metrics"),
    ("POST", "/put"),
    ("POST", "/get"),
    ("POST", "/flush"),
]
BODY = {
    "model": "all-MiniLM-L6-v2",
    "messages": [{"role": "user", "content": "hi"}],
    "prompt": "hi",
    "input": "hi",
    "answer": "ho",
}


def a_key(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[str, Config]:
    """What `semcache key` prints: the key, and a configuration."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["key", *options])
    assert not ended.value.code
    key, _, section = capsys.readouterr().out.partition("\n")
    return key, Config.from_mapping(yaml.safe_load(section))


def test_only_its_keys_are_let_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, config = a_key(capsys, "shop", "--per-minute", "4")
    door = Doorkeeper(config.server.keys, SECRET, lambda: 0.0)
    answerer = ScriptedAnswerer()
    with serving(tmp_path, answerer, door=door.tenant_of) as http:
        for method, path in ROUTES:
            for headers in ({}, {"authorization": "Bearer sk-other"}):
                told = http.request(
                    method, path, headers=headers, json=BODY if method == "POST" else None
                )
                assert told.status_code == 401, path
                assert told.json()["error"]["code"] == "invalid_api_key"
        assert http.get("/healthz").status_code == 200
        client = openai.OpenAI(base_url=f"{http.base_url}/v1", api_key=key, max_retries=0)
        for _ in range(4):
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
        with pytest.raises(openai.RateLimitError) as told_off:
            client.models.list()
        assert told_off.value.response.headers["retry-after"] == "15"
        client.close()
    assert len(answerer.calls) == 1


def test_keys_share_nothing_but_by_namespace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [
        a_key(capsys, "shop"),
        a_key(capsys, "support", "--namespace", "crew"),
        a_key(capsys, "sales", "--namespace", "crew"),
    ]
    keys = [config.server.keys[0] for _, config in made]
    door = Doorkeeper(keys, SECRET, lambda: 0.0)
    answerer = ScriptedAnswerer()
    with serving(tmp_path, answerer, door=door.tenant_of) as http:
        for key, _ in made:
            client = openai.OpenAI(base_url=f"{http.base_url}/v1", api_key=key, max_retries=0)
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
            client.close()
    assert len(answerer.calls) == 2


def test_the_command_says_what_a_key_may_spend(capsys: pytest.CaptureFixture[str]) -> None:
    said = ("--namespace", "crew", "--untrusted", "--tokens-per-day", "5", "--usd-per-month", "2.5")
    _, config = a_key(capsys, "intern", *said)
    [made] = config.server.keys
    assert made.quota == Quota(tokens_per_day=5, usd_per_month=2.5)
    assert not made.trusted


def test_the_admin_reads_names_and_asks_as_nobody_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, config = a_key(capsys, "support", "--namespace", "crew")
    door = Doorkeeper(config.server.keys, SECRET, lambda: 0.0)
    mine = "sk-semcache-admin-" + "m" * 43
    admin = AdminDoor((digest_of(mine),))
    options: dict[str, Any] = {"door": door.tenant_of, "admin": admin, "tenants": door.tenants}
    question = [{"role": "user", "content": "hi"}]
    with serving(tmp_path, ScriptedAnswerer(), **options) as http:
        for sent in (key, mine):
            headers = {"authorization": f"Bearer {sent}"}
            body = {"model": "m", "messages": question}
            told = http.post("/v1/chat/completions", json=body, headers=headers)
            assert told.headers["x-semcache-status"] == "MISS"
        stats = http.get("/v1/cache/stats", headers=headers).json()
        assert http.get("/v1/cache/stats", headers={"authorization": f"Bearer {key}"}).is_error
    named = {stats["tenants"].get(one["tenant"], one["tenant"]) for one in stats["holdings"]}
    assert named == {"crew", "admin"}
