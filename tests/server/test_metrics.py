"""`/metrics`, read by Prometheus' own parser."""

from __future__ import annotations

from pathlib import Path

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from tests.scripted import ScriptedAnswerer
from tests.server.serving import serving

HEIGHT, HEIGHT_TOO = "How tall is the Eiffel Tower?", "What is the height of the Eiffel Tower?"
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


def test_it_counts_what_happened(tmp_path: Path) -> None:
    with serving(tmp_path, ScriptedAnswerer()) as http:
        assert samples(http)["semcache_entries", ()] == 0
        for text in (HEIGHT, HEIGHT, HEIGHT_TOO, FAR):
            body = {"model": "m", "messages": [{"role": "user", "content": text}]}
            headers = {"authorization": "Bearer sk-secret"}
            assert http.post("/v1/chat/completions", json=body, headers=headers).is_success
        hot = {"model": "m", "messages": [{"role": "user", "content": HEIGHT}], "temperature": 1.5}
        http.post("/v1/chat/completions", json=hot)
        told = samples(http)
        text = http.get("/metrics").text
    assert told["semcache_requests_total", ("exact", "hit")] == 1
    assert told["semcache_requests_total", ("semantic", "hit")] == 1
    assert told["semcache_requests_total", ("temperature", "bypass")] == 1
    misses = [v for (name, labels), v in told.items() if "requests" in name and "miss" in labels]
    assert sum(misses) == 2
    assert told["semcache_saved_tokens_total", ("prompt_tokens", "saved")] == 2 * 3
    assert told["semcache_saved_tokens_total", ("completion_tokens", "saved")] == 2 * 5
    assert told["semcache_entries", ()] == 2
    assert told["semcache_similarity_count", ("hit",)] == 1
    assert told["semcache_similarity_bucket", ("0.8", "hit")] == 0
    assert told["semcache_similarity_bucket", ("+Inf", "hit")] == 1
    assert told["semcache_similarity_sum", ("miss",)] < told["semcache_similarity_sum", ("hit",)]
    assert "Eiffel" not in text
    assert "sk-secret" not in text


def test_spreads_are_of_every_bucket(tmp_path: Path) -> None:
    from semcache.tally import COSINES, Tally

    tally = Tally()
    for cosine in (-0.2, 0.3, 0.31, 1.0, 1.0000001):
        tally.observe("hit", cosine)
    spread = tally.spreads()["hit"]
    assert len(spread.counts) == len(COSINES) + 1
    assert spread.counts[:2] == (2, 1)
    assert spread.counts[-2:] == (1, 1)
    assert abs(spread.total - 2.4100001) < 1e-9
