"""`/metrics`, read by Prometheus' own parser."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from semcache.cache import SemCache
from semcache.errors import UpstreamError
from semcache.store import LocalStore
from semcache.tally import COSINES, SECONDS, Tally
from semcache_server.metrics import Metrics
from tests.scripted import ScriptedAnswerer, echo
from tests.server.serving import serving
from tests.verify.test_certified import feed, opened

HEIGHT, HEIGHT_TOO = "How tall is the Eiffel Tower?", "What is the height of the Eiffel Tower?"
OTHER_YEAR = ("What happened in Paris in 1889?", "What happened in Paris in 1890?")
FAR = "Which bridges cross the river Seine in Paris?"


def samples(http: httpx2.Client) -> dict[tuple[str, tuple[str, ...]], float]:
    told = http.get("/metrics")
    assert told.status_code == 200
    assert told.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(told.text)
        for sample in family.samples
    }


def post(http: httpx2.Client, text: str, **options: Any) -> httpx2.Response:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **options}
    headers = {"authorization": "Bearer sk-secret"}
    return http.post("/v1/chat/completions", json=body, headers=headers)


def test_it_counts_what_happened(tmp_path: Path) -> None:
    scripted = ScriptedAnswerer()
    with serving(tmp_path, scripted) as http:
        assert samples(http)["semcache_entries", ()] == 0
        for text in (HEIGHT, HEIGHT, HEIGHT_TOO, FAR, *OTHER_YEAR):
            assert post(http, text).is_success
        hot = post(http, HEIGHT, temperature=1.5)
        verdict = {"id": int(post(http, FAR).headers["x-semcache-entry-id"]), "verdict": "wrong"}
        headers = {"authorization": "Bearer sk-secret"}
        assert http.post("/v1/cache/feedback", json=verdict, headers=headers).is_success
        scripted.error = UpstreamError("down", status=503)
        assert post(http, "Where does the Danube end?").status_code == 503
        told = samples(http)
        text = http.get("/metrics").text
    assert hot.is_success
    assert told["semcache_requests_total", ("exact", "hit")] == 2
    assert told["semcache_requests_total", ("semantic", "hit")] == 1
    assert told["semcache_requests_total", ("temperature", "bypass")] == 1
    misses = [v for (name, labels), v in told.items() if "requests" in name and "miss" in labels]
    assert sum(misses) == 5
    guards = {k: v for k, v in told.items() if k[0] == "semcache_guard_rejections_total"}
    assert sum(guards.values()) == 1
    assert {labels[0] for _, labels in guards} <= {"numbers", "dates"}
    assert told["semcache_saved_tokens_total", ("prompt_tokens",)] == 3 * 3
    assert told["semcache_saved_tokens_total", ("completion_tokens",)] == 3 * 5
    assert told["semcache_saved_usd_total", ()] == 0
    assert told["semcache_saved_seconds_total", ()] > 0
    assert told["semcache_entries", ()] == 4
    assert told["semcache_stored_total", ()] == 4
    assert told["semcache_feedback_total", ("wrong",)] == 1
    assert told["semcache_answer_failures_total", ("503",)] == 1
    assert told["semcache_similarity_count", ("hit",)] == 1
    assert told["semcache_similarity_bucket", ("0.8", "hit")] == 0
    assert told["semcache_similarity_bucket", ("+Inf", "hit")] == 1
    for tier, count in (("exact", 2), ("semantic", 1), ("miss", 5)):
        assert told["semcache_lookup_seconds_count", (tier,)] == count
    assert told["semcache_stage_seconds_count", ("encode",)] >= 5
    assert told["semcache_stage_seconds_count", ("store",)] == 4
    assert told["semcache_answer_seconds_count", ("scripted",)] == 5
    assert told["semcache_first_token_seconds_count", ("scripted",)] == 5
    assert told["process_open_fds", ()] > 0
    assert "Eiffel" not in text
    assert "sk-secret" not in text


def test_what_is_in_flight_and_who_waits_for_another(tmp_path: Path) -> None:
    begun = threading.Event()

    def script(request: Any) -> Any:
        begun.set()
        return echo(request)

    scripted = ScriptedAnswerer(script)
    scripted.gate = asyncio.Event()
    with serving(tmp_path, scripted) as http:
        asking = [threading.Thread(target=post, args=(http, HEIGHT)) for _ in range(3)]
        for one in asking:
            one.start()
        assert begun.wait(20)
        while (told := samples(http))["semcache_singleflight_waiters", ()] < 2:
            continue
        assert told["semcache_in_flight", ()] == 3
        gate, scripted.gate = scripted.gate, None
        loop = gate._loop  # type: ignore[attr-defined]
        loop.call_soon_threadsafe(gate.set)
        for one in asking:
            one.join()
        while (told := samples(http))["semcache_in_flight", ()]:  # the answer is there before
            continue
    assert told["semcache_singleflight_waiters", ()] == 0
    assert told["semcache_requests_total", ("", "coalesced")] == 2


def test_the_certificates_state(tmp_path: Path) -> None:
    judge = opened(tmp_path)
    feed(judge, 60)
    cache = SemCache(store=LocalStore(tmp_path), supervisor=judge)
    text = Metrics(cache, lambda scope: None).text().decode()
    told = {
        (sample.name, sample.labels.get("state")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    states = {state: value for (name, state), value in told.items() if state and value}
    assert states == {"certified": 1.0}
    status = judge.status()
    for name in ("threshold", "labels", "wrong", "upper_bound"):
        assert told[f"semcache_certificate_{name}", None] == status[name]
    assert status["labels"] >= 28
    cache._close_leaves()


def test_spreads_are_of_every_bucket() -> None:
    tally = Tally()
    for cosine in (-0.2, 0.3, 0.31, 1.0, 1.0000001):
        tally.observe("hit", cosine)
    spread = tally.spreads()["hit"]
    assert len(spread.counts) == len(COSINES) + 1
    assert spread.counts[:2] == (2, 1)
    assert spread.counts[-2:] == (1, 1)
    assert abs(spread.total - 2.4100001) < 1e-9
    for seconds in (0.00001, 0.05, 61.0):
        tally.took("lookup: exact", seconds)
    counts = tally.times()["lookup: exact"].counts
    assert [at for at, count in enumerate(counts) if count] == [
        0,
        SECONDS.index(0.05),
        len(SECONDS),
    ]
