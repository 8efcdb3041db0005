"""Which cache a client has: given, configured, shared by copies, opened late, closed once."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import sys
import threading
from pathlib import Path
from subprocess import run
from typing import Any

import httpx
import httpx2
import openai
import pytest

import semcache
from semcache.assembly import Assembled, build
from semcache.cache import SemCache
from semcache.config import Config
from semcache.errors import ConfigError
from semcache.keys import tenant_of
from tests.client.talking import asynchronous, bare, bare_asynchronous, blocking, body_of, using
from tests.loopback import Loopback

PROMPT = {"model": "gpt-x", "prompt": "Once"}
EXACT = {"engines": [], "evaluation": "exact"}


def ask(client: openai.OpenAI, question: str = "Why?", **fields: Any) -> str:
    """Whether it was a hit."""
    answer = client.chat.completions.with_raw_response.create(**body_of(question, **fields))
    status: str = answer.headers.get("x-semcache-status", "none")
    return status


def loops() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "semcache-loop"}


def configured(folder: Path) -> Config:
    return Config.from_mapping({**EXACT, "storage_config": {"data_dir": str(folder)}})


# ------------------------------------------------------------------------------ copies, wrapping


def test_the_clients_are_official_clients(server: Loopback, cache: SemCache) -> None:
    with blocking(server, cache) as client:
        assert isinstance(client, openai.OpenAI)
        assert isinstance(client.with_options(timeout=1), semcache.OpenAI)
    asynchronous_client = asynchronous(server, cache)
    assert isinstance(asynchronous_client, openai.AsyncOpenAI)
    assert isinstance(asynchronous_client.copy(), semcache.AsyncOpenAI)
    asyncio.run(asynchronous_client.close())


def test_defaults_are_the_official_ones(server: Loopback, cache: SemCache) -> None:
    with (
        openai.OpenAI(api_key="k") as official,
        semcache.OpenAI(api_key="k", cache=cache) as client,
        semcache.OpenAI(api_key="k", cache=cache, timeout=3, max_retries=5) as told,
    ):
        for name in ("timeout", "max_retries", "base_url", "api_key"):
            assert getattr(client, name) == getattr(official, name)
        assert (told.timeout, told.max_retries) == (3, 5)
    for made in (openai.AsyncOpenAI(api_key="k"), semcache.AsyncOpenAI(api_key="k", cache=cache)):
        assert made.timeout == official.timeout
        asyncio.run(made.close())


def test_copies_keep_the_cache(server: Loopback, cache: SemCache) -> None:
    with blocking(server, cache) as client, httpx2.Client() as http:
        assert ask(client) == "MISS"
        for copy in (
            client.with_options(timeout=3),
            client.copy(max_retries=1),
            client.with_options(http_client=http),
            client.with_options(http_client=http).with_options(timeout=4),
        ):
            assert ask(copy) == "HIT"
            assert copy.base_url == client.base_url
    assert len(server.requests) == 1


def test_async_copies_keep_the_cache(server: Loopback, cache: SemCache) -> None:
    async def talk(client: openai.AsyncOpenAI) -> None:
        async with httpx2.AsyncClient() as http:
            await client.chat.completions.create(**body_of())
            for copy in (client.copy(timeout=3), client.with_options(http_client=http)):
                await copy.chat.completions.create(**body_of())

    using(asynchronous(server, cache), talk)
    assert len(server.requests) == 1


class _Noting(httpx2.BaseTransport):
    """A caller's own transport, which notes what goes through it and who is calling."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self._network = httpx2.HTTPTransport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append((request.url.path, request.headers["x-mine"], CALLER.get("nobody")))
        return self._network.handle_request(request)

    def close(self) -> None:
        self._network.close()


CALLER: contextvars.ContextVar[str] = contextvars.ContextVar("caller")


def test_a_wrapped_client_keeps_its_http_client(server: Loopback, cache: SemCache) -> None:
    transport, hooked = _Noting(), []
    http = httpx2.Client(
        transport=transport,
        headers={"x-mine": "yes"},
        params={"tag": "7"},
        event_hooks={"request": [lambda request: hooked.append(request.url.query)]},
    )
    CALLER.set("me")
    with bare(server, http_client=http) as official:
        client = semcache.wrap(official, cache=cache)
        assert type(client) is openai.OpenAI
        assert [ask(client), ask(client), ask(client, stream=True)] == ["MISS", "HIT", "HIT"]
        client.models.list()
        assert ask(official) == "none"
    path = "/v1/chat/completions"
    assert transport.seen == [(p, "yes", "me") for p in (path, "/v1/models", path)]
    assert hooked == [b"tag=7"] * 3
    assert http.is_closed
    assert client.is_closed()
    client.close()


def test_a_wrapped_async_client(server: Loopback, cache: SemCache) -> None:
    async def talk(official: openai.AsyncOpenAI) -> list[str]:
        client = semcache.wrap(official, cache=cache)
        create = client.chat.completions.with_raw_response.create
        answers = [await create(**body_of()) for _ in range(2)]
        return [answer.headers["x-semcache-status"] for answer in answers]

    assert using(bare_asynchronous(server), talk) == ["MISS", "HIT"]


def test_below_send_there_is_no_cache(server: Loopback, cache: SemCache) -> None:
    """Some of the official client's ways to authenticate use the transport alone."""
    with blocking(server, cache) as client:
        http = client._client
        for _ in range(2):
            request = http.build_request("POST", f"{server.base_url}/completions", json=PROMPT)
            assert httpx2.Client.send(http, request).json()["usage"]

    async def talk(client: openai.AsyncOpenAI) -> None:
        http = client._client
        request = http.build_request("POST", f"{server.base_url}/completions", json=PROMPT)
        assert (await httpx2.AsyncClient.send(http, request)).json()["usage"]

    using(asynchronous(server, cache), talk)
    assert len(server.requests) == 3
    assert cache.layers.store.stats().entries == 0


def test_a_subclass_stays_what_it_is(server: Loopback, cache: SemCache) -> None:
    azure = openai.AzureOpenAI(
        api_key="az", azure_endpoint=server.origin, api_version="2030-01-01", max_retries=0
    )
    with semcache.wrap(azure, cache=cache) as client:
        assert isinstance(client, openai.AzureOpenAI)
        assert [ask(client), ask(client)] == ["MISS", "HIT"]
    path = "/openai/deployments/gpt-x/chat/completions?api-version=2030-01-01"
    assert [seen.path for seen in server.requests] == [path]


def test_wrapping_twice_replaces_the_cache(
    server: Loopback, cache: SemCache, tmp_path: Path
) -> None:
    other = build(configured(tmp_path / "other"))
    with blocking(server, cache) as first:
        again = semcache.wrap(first, cache=other)
        assert [ask(first), ask(again), ask(again)] == ["MISS", "MISS", "HIT"]
        back = semcache.wrap(again, cache=cache)
        assert [ask(back), ask(first)] == ["HIT", "HIT"]
        again.close()
        back.close()
    asyncio.run(other.cache.aclose())
    assert len(server.requests) == 2


def test_a_client_over_the_older_httpx_is_refused(server: Loopback, cache: SemCache) -> None:
    with httpx.Client() as older:
        official = bare(server, http_client=older)
        with pytest.raises(TypeError, match=r"httpx2\.Client"):
            semcache.wrap(official, cache=cache)
        with pytest.raises(TypeError, match=r"httpx2\.Client"):
            blocking(server, cache, http_client=older)
    with pytest.raises(TypeError, match=r"httpx2\.AsyncClient"):
        asynchronous(server, cache, http_client=httpx.AsyncClient())


# ------------------------------------------------------------------------------- configuration


def test_a_configuration_opens_late_and_closes_with_its_last_client(
    server: Loopback, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    options: dict[str, Any] = {"api_key": "k", "base_url": server.base_url}
    first = semcache.OpenAI(cache_config=configured(folder), **options)
    second = semcache.OpenAI(cache_config=configured(folder), **options)
    before = loops()
    first.models.with_raw_response.list()
    assert not folder.exists()
    assert [ask(first), ask(second)] == ["MISS", "HIT"]
    shared = first._semcache.get()
    assert shared is not None
    assert second._semcache.get() is shared
    first.close()
    assert ask(second) == "HIT"
    second.close()
    assert loops() <= before  # those of earlier tests may end meanwhile
    with semcache.OpenAI(cache_config=configured(folder), **options) as third:
        assert ask(third) == "HIT"  # from the disk
        assert third._semcache.get() is not shared
    chats = [seen for seen in server.requests if seen.path.endswith("/completions")]
    assert len(chats) == 1


def test_a_configuration_file(server: Loopback, tmp_path: Path) -> None:
    path = tmp_path / "cache_config.yaml"
    path.write_text(
        f"engines: []\nevaluation: exact\nstorage_config:\n  data_dir: {tmp_path}/d\n"
        "policy:\n  max_temperature: 1.0\n"
    )
    options: dict[str, Any] = {"api_key": "k", "base_url": server.base_url}
    with semcache.OpenAI(cache_config=path, **options) as client:
        assert [ask(client, temperature=1), ask(client, temperature=1)] == ["MISS", "HIT"]

    async def talk(client: openai.AsyncOpenAI) -> None:
        for _ in range(2):
            await client.chat.completions.create(**body_of(temperature=1))

    using(semcache.AsyncOpenAI(cache_config=str(path), **options), talk)
    assert len(server.requests) == 1  # the same folder, the same tenant


def test_an_unreadable_configuration_is_refused_at_once(tmp_path: Path, cache: SemCache) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("similarity_thresold: 0.8\n")
    for path in (bad, tmp_path / "none.yaml"):
        with pytest.raises(ConfigError):
            semcache.OpenAI(api_key="k", cache_config=path)
    with pytest.raises(ConfigError, match="not both"):
        semcache.AsyncOpenAI(api_key="k", cache_config=bad, cache=cache)


def test_a_cache_that_cannot_be_opened_breaks_no_call(
    server: Loopback, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    config = configured(tmp_path / "file")
    options: dict[str, Any] = {"api_key": "k", "base_url": server.base_url}
    caplog.set_level(logging.ERROR, "semcache")
    with semcache.OpenAI(cache_config=config, **options) as client:
        assert [ask(client), ask(client)] == ["none", "none"]
    assert len(caplog.records) == 1
    assert "Cannot make the directory" in caplog.text


def test_a_cache_that_its_giver_closed_breaks_no_call(server: Loopback, tmp_path: Path) -> None:
    given = build(configured(tmp_path / "data"))
    with blocking(server, given.cache) as client:
        assert ask(client) == "MISS"
        asyncio.run(given.cache.aclose())
        assert [ask(client), ask(client, "Other?")] == ["none", "none"]
    assert len(server.requests) == 3


def test_the_tenant_is_that_of_the_installation(server: Loopback, tmp_path: Path) -> None:
    assembled: Assembled = build(configured(tmp_path / "data"))
    with semcache.OpenAI(api_key="sk-1", base_url=server.base_url, cache=assembled) as client:
        assert ask(client) == "MISS"
        [entry] = assembled.cache.layers.store.scan()
    secret = (tmp_path / "data" / "secret").read_bytes()
    assert entry.scope.tenant == tenant_of(secret, "sk-1")
    assert (entry.scope.source.answerer, entry.scope.source.model) == ("upstream", server.base_url)
    asyncio.run(assembled.cache.aclose())  # still open: it was given


def test_paraphrases_hit_with_the_documented_defaults(server: Loopback, tmp_path: Path) -> None:
    config = Config.from_mapping({"engines": [], "storage_config": {"data_dir": str(tmp_path)}})
    with semcache.OpenAI(api_key="k", base_url=server.base_url, cache_config=config) as client:
        asked = ["How do I reset my password?", "How can I reset my password?", "Who was Bach?"]
        assert [ask(client, question) for question in asked] == ["MISS", "SEMANTIC_HIT", "MISS"]


# ---------------------------------------------------------------------------------- life and end


def test_several_event_loops_one_after_another(server: Loopback, cache: SemCache) -> None:
    async def ask_twice(question: str) -> list[str]:
        create = client.chat.completions.with_raw_response.create
        answers = [await create(**body_of(question)) for _ in range(2)]
        return [answer.headers["x-semcache-status"] for answer in answers]

    client = asynchronous(server, cache)
    assert [asyncio.run(ask_twice(q)) for q in ("One?", "One?", "Two?")] == [
        ["MISS", "HIT"],
        ["HIT", "HIT"],
        ["MISS", "HIT"],
    ]
    asyncio.run(client.close())


def test_connections_of_a_dead_loop_are_not_used(server: Loopback, cache: SemCache) -> None:
    client = asynchronous(server, cache)
    for question in ("One?", "Two?", "Three?"):
        answer = asyncio.run(client.chat.completions.create(**body_of(question)))
        assert answer.model == "gpt-x-2031"
    asyncio.run(client.close())
    assert server.connections == 3


def test_a_closed_client_says_so(server: Loopback, cache: SemCache) -> None:
    client = blocking(server, cache)
    client.close()
    client.close()
    assert client.is_closed()
    with pytest.raises(RuntimeError, match="closed"):
        ask(client)

    async def closed(client: openai.AsyncOpenAI) -> None:
        await client.close()
        assert client.is_closed()
        with pytest.raises(RuntimeError, match="closed"):
            await client.chat.completions.create(**body_of())

    using(asynchronous(server, cache), closed)


def test_a_client_nobody_closed_goes_quietly(server: Loopback, cache: SemCache) -> None:
    before = loops()
    client = blocking(server, cache)
    assert ask(client) == "MISS"
    [loop] = loops() - before
    del client
    gc.collect()
    loop.join(20)
    assert not loop.is_alive()


def test_a_refused_construction_leaves_nothing(
    cache: SemCache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_ADMIN_KEY", raising=False)
    for kind in (semcache.OpenAI, semcache.AsyncOpenAI):
        with pytest.raises(openai.OpenAIError, match="credentials"):
            kind(cache_config=configured(tmp_path / "data"))
    gc.collect()
    assert not (tmp_path / "data").exists()


PROGRAM = """
import sys
from semcache import OpenAI
from semcache.config import Config
config = Config.from_mapping({"engines": [], "evaluation": "exact",
                              "storage_config": {"data_dir": sys.argv[2]}})
client = OpenAI(api_key="k", base_url=sys.argv[1], cache_config=config)
create = client.chat.completions.with_raw_response.create
answer = create(model="m", messages=[{"role": "user", "content": "Why?"}])
print(answer.headers["x-semcache-status"])
"""


def test_a_program_that_just_ends_loses_nothing(server: Loopback, tmp_path: Path) -> None:
    said = []
    for _ in range(2):
        done = run(  # the arguments are ours
            [sys.executable, "-X", "dev", "-c", PROGRAM, server.base_url, str(tmp_path / "data")],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        said.append(done.stdout.strip())
        assert "Traceback" not in done.stderr
    assert said == ["MISS", "HIT"]
