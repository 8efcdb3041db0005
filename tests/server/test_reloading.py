"""SIGHUP while requests run: none is dropped, what can change does, a bad file changes nothing."""

from __future__ import annotations

import json
import signal
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2

from semcache.chat import ChatRequest
from semcache.config import Config
from semcache.reloading import applied
from semcache.server_keys import new_key
from tests.loopback import Json, Loopback, Seen
from tests.scripted import echo
from tests.server.process import Process, server_process, write

OLD, NEW = "the old upstream", "the new upstream"


def answering(name: str) -> Any:
    def reply(seen: Seen) -> Json:
        wire = echo(ChatRequest.from_wire(seen.json(), tenant="t")).wire
        return Json({**wire, "system_fingerprint": name})

    return reply


def config_of(upstream: Loopback, folder: Path, **more: Any) -> dict[str, Any]:
    server = {"host": "127.0.0.1", "log_format": "json", **more.pop("server", {})}
    return {
        "engines": ["upstream"],
        "evaluation": "exact",
        "storage_config": {"data_dir": str(folder / "data")},
        "upstream": {"base_url": upstream.base_url},
        "server": server,
        **more,
    }


class Load:
    """Clients that keep asking, hits and misses in turns."""

    def __init__(self, http: httpx2.Client) -> None:
        self._http = http
        self._stop = threading.Event()
        self.headers: dict[str, str] = {}
        self.failed: list[str] = []
        self.asked = 0
        self._threads = [threading.Thread(target=self._run, args=(at,)) for at in range(4)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, who: int) -> None:
        at = 0
        while not self._stop.is_set():
            text = f"question {at if at % 2 else 0} of {who}"
            told = ask(self._http, text, **self.headers)
            self.asked += 1
            if told.status_code != 200 or text not in told.text:
                self.failed.append(f"{told.status_code} {told.text}")
            at += 1


def ask(http: httpx2.Client, text: str, **headers: str) -> httpx2.Response:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return http.post("/v1/chat/completions", json=body, headers=headers)


def hup(process: Process) -> int:
    before = process.send(signal.SIGHUP)
    process.said("configuration", before)
    return before


def test_a_running_server_takes_a_new_configuration_over(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    with (
        Loopback(answering(OLD)) as old,
        Loopback(answering(NEW)) as new,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
    ):
        systemd.bind(str(tmp_path / "notify"))
        write(file, config_of(old, tmp_path))
        with server_process(file, NOTIFY_SOCKET=str(tmp_path / "notify")) as process:
            assert systemd.recv(100) == b"READY=1"
            with Load(process.http) as load:
                assert OLD in ask(process.http, "who?").text
                prices = {"m": {"input": 1000.0, "output": 1000.0}}
                store = {"max_bytes": 10_000_000}
                write(file, config_of(new, tmp_path, prices=prices, store=store))
                before = hup(process)
                assert "store.max_bytes" in process.said("needs a restart", before)
                assert NEW in ask(process.http, "who now?").text
                assert "usd" in ask(process.http, "who now?").headers["x-semcache-saved"]
                file.write_text("polcy: {}\n")
                refused = json.loads(process.said("refused", hup(process)))
                assert "Did you mean 'policy'?" in refused["message"]
                assert NEW in ask(process.http, "who is it?").text
                asked = load.asked
                while load.asked < asked + 40:
                    continue
            assert not load.failed
            key, digest = new_key()
            told = {"keys": [{"name": "one", "sha256": digest}], "log_level": "info"}
            write(file, config_of(new, tmp_path, server=told))
            hup(process)
            assert ask(process.http, "let me in").status_code == 401
            assert ask(process.http, "let me in", authorization=f"Bearer {key}").is_success
            line = json.loads(process.said('"outcome": "miss"'))
            assert line["path"] == "/v1/chat/completions"
            assert process.http.get("/readyz").is_success


def test_what_can_change_and_what_cannot(tmp_path: Path) -> None:
    reached = {"engines": ["upstream"], "upstream": {"base_url": "http://a/v1"}}
    old = Config.from_mapping(reached)
    new = Config.from_mapping(
        {
            "engines": ["cag", "upstream"],
            "upstream": {"base_url": "http://b/v1", "passages": 3},
            "policy": {"ttl_s": 5},
            "config": {"similarity_threshold": 0.9},
            "storage_config": {"data_dir": "elsewhere"},
            "server": {"port": 9, "max_body_bytes": 77, "traces": "otlp"},
            "trust": {"max_wrong_rate": 0.1},
        }
    )
    config, waiting = applied(old, new)
    assert config.upstream == replace(new.upstream, passages=old.upstream.passages)
    assert config.policy.ttl_s == 5
    assert config.gptcache.cosine_threshold == new.gptcache.cosine_threshold
    assert config.gptcache.data_dir == old.gptcache.data_dir
    assert (config.server.port, config.server.max_body_bytes) == (old.server.port, 77)
    assert set(waiting) == {
        "data_dir", "engines", "upstream.passages", "server.port", "server.traces",
        "trust.max_wrong_rate",
    }  # fmt: skip
    certified, waiting = applied(
        replace(old, trust=new.trust),
        Config.from_mapping({**reached, "policy": {"guards": ["numbers"]}}),
    )
    assert certified.policy.guards == old.policy.guards
    assert "policy.guards" in waiting
