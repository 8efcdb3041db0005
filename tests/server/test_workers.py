"""Two real workers on one port: one store, one count, and one that is killed comes back."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from semcache.errors import ConfigError
from semcache_server.ports import listen_beside, reserve
from tests.loopback import Loopback
from tests.server.process import Process, server_process, write
from tests.server.test_reloading import OLD, answering, config_of, hup

ALONE = {"connection": "close"}


def ask(process: Process, text: str) -> tuple[str, int]:
    """Over a connection of its own: the outcome, and the process that answered."""
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    before = len(process.lines)
    response = process.http.post("/v1/chat/completions", json=body, headers=ALONE)
    assert response.status_code == 200, response.text
    assert text in response.text
    line: dict[str, Any] = json.loads(process.said('"outcome"', before))
    return str(line["outcome"]), int(line["process"])


def feedback(http: httpx2.Client, id_: str = "") -> int:
    """On a hit, given to whichever worker hears it; the status."""
    body = {"model": "m", "messages": [{"role": "user", "content": "who is there?"}]}
    hit = http.post("/v1/chat/completions", json=body, headers=ALONE).json()
    said = {"id": id_ or hit["id"], "verdict": "right"}
    return http.post("/v1/cache/feedback", json=said, headers=ALONE).status_code


def hits(process: Process) -> float:
    """As whichever worker counts them, for all."""
    text = process.http.get("/metrics", headers=ALONE).text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            wanted = {"outcome": "hit", "detail": "exact"}
            if sample.name == "semcache_requests_total" and sample.labels == wanted:
                return sample.value
    return 0.0


def both(process: Process, text: str) -> set[int]:
    """Ask until two workers have answered from the store; their process ids."""
    seen: set[int] = set()
    while len(seen) < 2:
        outcome, pid = ask(process, text)
        assert outcome == "hit"
        seen.add(pid)
    return seen


def test_two_workers_share_a_store_and_one_that_is_killed_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    with Loopback(answering(OLD)) as upstream:
        config = config_of(upstream, tmp_path, server={"log_level": "info"})
        write(file, config)
        with server_process(file, "--workers", "2") as process:
            process.said("2 workers")
            assert ask(process, "who is there?")[0] == "miss"
            first = both(process, "who is there?")
            assert len(upstream.requests) == 1
            verdicts = [feedback(process.http) for _ in range(8)]
            assert verdicts == [200] * 8
            assert feedback(process.http, "chatcmpl-nobody-knows") == 404
            count = sum('"outcome": "hit"' in line for line in process.lines)
            told = [hits(process)]
            while told[-1] < count:
                time.sleep(0.05)
                told.append(hits(process))
            assert told[-1] == count
            assert told == sorted(told)
            killed = min(first)
            os.kill(killed, signal.SIGKILL)
            process.said("ended (-9)")
            outcome, pid = ask(process, "who is there?")
            assert (outcome, pid == killed) == ("hit", False)
            again = both(process, "who is there?")
            assert len(again | first) == 3
            assert hits(process) >= count
            write(file, {**config, "policy": {"max_temperature": 2.0}, "store": {"threads": 3}})
            before = hup(process)
            while sum("store.threads" in line for line in process.lines[before:]) < 2:
                time.sleep(0.05)
    for pid in again:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_port_is_kept_for_its_workers() -> None:
    port, held = reserve("127.0.0.1", 0)
    sockets = [*listen_beside("127.0.0.1", port), *listen_beside("127.0.0.1", port)]
    for one in sockets:
        one.listen()
    with pytest.raises(ConfigError, match="Cannot listen"):
        reserve("127.0.0.1", port)
    for one in (*held, *sockets):
        one.close()
