"""A request followed: spans by the official SDK, log lines, and no text of it in either."""

from __future__ import annotations

import io
import json
import logging
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from semcache.chat import ChatRequest
from semcache.completion import Completion
from semcache.upstream import Upstream, UpstreamSettings
from semcache_server import logs
from semcache_server.tracing import OtelTracer, open_tracing
from tests.loopback import Events, Json, Loopback, Seen, sse
from tests.relaying import HELLO
from tests.scripted import ScriptedAnswerer, echo
from tests.server.serving import serving

ROOT = Path(__file__).resolve().parent.parent.parent
QUESTION = "How tall is the Eiffel Tower?"
ALIKE = "What is the height of the Eiffel Tower?"
KEY = "sk-nobody-may-log-this"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


def ask(http: httpx2.Client, text: str, **options: Any) -> httpx2.Response:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **options}
    headers = {"authorization": f"Bearer {KEY}", "traceparent": TRACEPARENT, "tracestate": "a=1"}
    return http.post("/v1/chat/completions", json=body, headers=headers)


def answer(seen: Seen) -> Json:
    if "fail" in seen.json()["messages"][0]["content"]:
        return Json({"error": {"message": f"no: {QUESTION}"}}, 500)
    return Json(echo(ChatRequest.from_wire(seen.json(), tenant="t")).wire)


def tree(spans: list[ReadableSpan], root: ReadableSpan) -> dict[str, Any]:
    """The spans below one, by name."""
    below = [one for one in spans if one.parent and one.parent.span_id == root.context.span_id]
    below.sort(key=lambda one: one.start_time or 0)
    assert all((root.start_time or 0) <= (one.start_time or 0) for one in below)
    return {one.name: tree(spans, one) for one in below}


def test_spans_of_every_stage_and_the_callers_trace(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = OtelTracer(provider)
    with Loopback(answer) as server:
        upstream = Upstream(UpstreamSettings(base_url=server.base_url))
        with serving(tmp_path, upstream, tracer=tracer) as http:
            for text in (QUESTION, QUESTION, ALIKE):
                assert ask(http, text).is_success
            assert ask(http, "fail").status_code == 500
        sent = server.requests[0].headers
    tracer.close()
    spans = list(exporter.get_finished_spans())
    spans.sort(key=lambda one: one.start_time or 0)
    roots = [one for one in spans if one.name == "POST /v1/chat/completions"]
    assert len(roots) == 4
    for one in spans:
        assert f"{one.context.trace_id:032x}" == TRACE
    for one in roots:
        assert one.parent is not None
        assert f"{one.parent.span_id:016x}" == PARENT
    miss, hit, alike, failed = roots
    looked: dict[str, Any] = {"encode": {}, "search": {}, "judge": {}}
    assert tree(spans, miss) == {"exact": {}, "semantic": looked, "answer": {}, "store": {}}
    assert tree(spans, hit) == {"exact": {}}
    assert tree(spans, alike) == {"exact": {}, "semantic": looked}
    assert set(tree(spans, failed)) == {"exact", "semantic", "answer"}
    told: list[dict[str, Any]] = [dict(one.attributes or {}) for one in roots]
    assert [one["semcache.outcome"] for one in told] == ["miss", "hit", "hit", "miss"]
    assert [one["http.response.status_code"] for one in told] == [200, 200, 200, 500]
    assert told[2]["semcache.similarity"] > 0.8
    assert not failed.status.is_ok
    assert sent["traceparent"] == f"00-{TRACE}-{miss.context.span_id:016x}-01"
    assert sent["tracestate"] == "a=1"
    everything = "".join(one.to_json() for one in spans)
    assert "Eiffel" not in everything
    assert KEY not in everything


@contextmanager
def logged(level: str, form: logs.LogFormat) -> Iterator[io.StringIO]:
    """What the server's log would hold."""
    root, own = logging.getLogger(), logging.getLogger("semcache")
    handlers, before = list(root.handlers), own.level
    written = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", written)
        logs.log_to_stderr(level, form)
        try:
            yield written
        finally:
            root.handlers[:] = handlers
            own.setLevel(before)
            logging.getLogger("uvicorn").setLevel(logging.NOTSET)


def quoting(request: ChatRequest) -> Completion:
    """An engine that fails, and quotes what it was asked."""
    raise ZeroDivisionError(f"cannot answer {request.messages} for {KEY}")


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_line_for_each_request_and_nothing_of_its_text(
    tmp_path: Path, form: logs.LogFormat
) -> None:
    with logged("info", form) as written, serving(tmp_path, ScriptedAnswerer()) as http:
        for text in (QUESTION, QUESTION, ALIKE):
            assert ask(http, text).is_success
        assert "MISS" in ask(http, "hello", stream=True).headers["x-semcache-status"]
        assert ask(http, QUESTION, model="gpt-unknown").status_code == 404
        assert http.post("/v1/chat/completions", content=QUESTION).status_code == 400
        for path in (f"/v1/models/{QUESTION}", f"/{QUESTION}"):
            assert http.get(path).status_code == 404
        assert http.get("/healthz").is_success
    told = written.getvalue()
    assert "Eiffel" not in told
    assert KEY not in told
    if form == "text":
        assert told.count(f"trace_id={TRACE}") == 5
        assert "outcome=hit reason=exact similarity=1.0" in told
        return
    lines = [json.loads(line) for line in told.splitlines()]
    lines = [line for line in lines if line["logger"] == "semcache.requests"]
    assert sorted(line["http"] for line in lines) == [200, 200, 200, 200, 400, 404, 404, 404]
    assert {line["path"] for line in lines} == {
        "/v1/chat/completions", "/v1/models/{name:path}", "other"
    }  # fmt: skip
    outcomes = ["", "", "", "", "hit", "hit", "miss", "miss"]
    assert sorted(line.get("outcome", "") for line in lines) == outcomes
    assert all(line["ms"] >= line["first_byte_ms"] > 0 for line in lines)
    assert {"exact_ms", "encode_ms", "search_ms", "judge_ms", "answer_ms"} <= {*chain(*lines)}
    assert Counter(line.get("trace_id") for line in lines) == {TRACE: 5, None: 3}


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_exceptions_message_is_not_logged(tmp_path: Path, form: logs.LogFormat) -> None:
    with logged("info", form) as written:
        with serving(tmp_path, ScriptedAnswerer(quoting)) as http:
            for stream in (False, True):
                assert ask(http, QUESTION, stream=stream).status_code == 500
        try:
            raise RuntimeError(QUESTION) from ValueError(KEY)
        except RuntimeError:
            logging.getLogger("asyncio").exception("a task failed\n%s", QUESTION)
    told = written.getvalue()
    assert "ZeroDivisionError" in told
    assert "in quoting" in told
    assert "a task failed" in told
    assert "builtins.ValueError" in told
    assert "Eiffel" not in told
    assert KEY not in told
    with logged("debug", form) as written:
        try:
            raise RuntimeError(QUESTION)
        except RuntimeError:
            logging.getLogger("semcache").exception("it failed")
    assert QUESTION in written.getvalue()


def test_a_failing_store_says_no_text_either(tmp_path: Path) -> None:
    with logged("info", "text") as written, serving(tmp_path, ScriptedAnswerer()) as http:
        database = tmp_path / "semcache.db"
        held = sqlite3.connect(database)
        held.execute("DROP TABLE entries")
        held.commit()
        held.close()
        assert ask(http, QUESTION).is_success
    told = written.getvalue()
    assert "layer failed" in told
    assert "Eiffel" not in told


def test_the_sdks_environment_says_where_spans_go(monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback([Json(b"")]) as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.origin)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=here")
        tracer = open_tracing()
        tracer.begin("POST", "/v1/chat/completions", {}, perf_counter()).end(200, {})
        tracer.close()
        [sent] = collector.requests
    assert sent.path == "/v1/traces"
    [told] = ExportTraceServiceRequest.FromString(sent.body).resource_spans
    named = {one.key: one.value.string_value for one in told.resource.attributes}
    assert named["service.name"] == "semcache"
    assert named["deployment.environment"] == "here"
    assert told.scope_spans[0].spans[0].name == "POST /v1/chat/completions"


def test_opentelemetry_is_not_loaded_while_traces_are_off() -> None:
    code = "import sys, semcache_server.starting; print('opentelemetry' in sys.modules)"
    path = f"{ROOT}:{ROOT / 'server'}"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": path}
    )
    assert told.stdout == "False\n"


def test_a_stream_is_followed_to_its_end_and_stored_after_it(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with Loopback([Events(sse(*HELLO))]) as server:
        upstream = Upstream(UpstreamSettings(base_url=server.base_url))
        with serving(tmp_path, upstream, tracer=OtelTracer(provider)) as http:
            assert ask(http, QUESTION, stream=True).text.endswith("[DONE]\n\n")
    spans = list(exporter.get_finished_spans())
    root = next(one for one in spans if one.name.startswith("POST"))
    assert {"answer", "store"} <= set(tree(spans, root))
