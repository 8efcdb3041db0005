"""`/v1/chat/completions` through the official client: a miss, then hits, equal objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from semcache.chat import ChatRequest
from semcache.completion import Completion
from semcache.errors import EngineBusy, UpstreamError
from tests.scripted import ScriptedAnswerer, echo
from tests.server.serving import serving

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "How tall is it?"}]}


class Served:
    """A server, what answers behind it, and an official client in front."""

    def __init__(self, http: httpx2.Client, answerer: ScriptedAnswerer) -> None:
        self.http = http
        self.answerer = answerer
        self.client = openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="k", max_retries=0)

    def ask(self, text: str = "How tall is it?", **options: Any) -> Any:
        return self.client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": text}], **options
        )


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    answerer = ScriptedAnswerer()
    with serving(tmp_path, answerer) as http:
        made = Served(http, answerer)
        yield made
        made.client.close()


def same(completion: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = completion.model_dump(exclude={"id", "created"})
    return dumped


def test_a_hit_is_the_same_object_under_its_own_id(served: Served) -> None:
    first, second = served.ask(), served.ask()
    assert same(first) == same(second)
    assert first.id != second.id
    assert first.choices[0].message.content == "m answers: How tall is it?"
    assert first.usage.total_tokens == second.usage.total_tokens == 8
    assert len(served.answerer.calls) == 1


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream_and_its_replay_say_the_same(served: Served, include_usage: bool) -> None:
    options: dict[str, Any] = {"stream": True}
    if include_usage:
        options["stream_options"] = {"include_usage": True}
    told = []
    for _ in range(2):
        chunks = list(served.ask(**options))
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        usage = [c.usage.total_tokens for c in chunks if c.usage]
        ends = [c.choices[0].finish_reason for c in chunks if c.choices][-1]
        told.append((text, usage, ends, len({c.id for c in chunks})))
    assert told[0] == told[1]
    assert told[0] == ("m answers: How tall is it?", [8] if include_usage else [], "stop", 1)
    assert same(served.ask())["usage"]["total_tokens"] == 8
    assert len(served.answerer.calls) == 1


def test_raw_streams_end_with_done(served: Served) -> None:
    for _ in range(2):
        response = served.http.post("/v1/chat/completions", json={**ASK, "stream": True})
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.text.endswith("data: [DONE]\n\n")
        assert '"usage"' not in response.text


def test_headers_tell_what_happened(served: Served) -> None:
    raw = served.client.chat.completions.with_raw_response
    message = [{"role": "user", "content": "What is the height of the Eiffel Tower?"}]
    miss = raw.create(model="m", messages=message)  # type: ignore[arg-type]
    assert miss.headers["cache-status"].startswith("semcache; fwd=miss; stored;")
    assert miss.headers["x-semcache-status"] == "MISS"
    hit = raw.create(model="m", messages=message)  # type: ignore[arg-type]
    assert hit.headers["cache-status"].startswith("semcache; hit;")
    assert int(hit.headers["age"]) >= 0
    message = [{"role": "user", "content": "How tall is the Eiffel Tower?"}]
    near = raw.create(model="m", messages=message)  # type: ignore[arg-type]
    assert near.headers["x-semcache-status"] == "SEMANTIC_HIT"
    assert 0.6 <= float(near.headers["x-semcache-similarity"]) < 1
    assert near.parse().choices[0].message.content == (
        "m answers: What is the height of the Eiffel Tower?"
    )


def test_tenants_do_not_share(served: Served) -> None:
    served.ask()
    other = openai.OpenAI(base_url=f"{served.http.base_url}/v1", api_key="other", max_retries=0)
    other.chat.completions.create(model="m", messages=ASK["messages"])
    other.close()
    assert len(served.answerer.calls) == 2


def test_only_if_cached(served: Served) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        served.ask(extra_headers={"Cache-Control": "only-if-cached"})
    assert raised.value.status_code == 504
    assert served.answerer.calls == []
    served.ask()
    served.ask(extra_headers={"Cache-Control": "only-if-cached"})
    assert len(served.answerer.calls) == 1


def test_legacy_completions(tmp_path: Path) -> None:
    def text(request: ChatRequest) -> Completion:
        choice = {"index": 0, "text": "four", "finish_reason": "stop", "logprobs": None}
        return Completion(
            {
                "id": "cmpl-1",
                "object": "text_completion",
                "created": 1,
                "model": "m",
                "choices": [choice],
            }
        )

    answerer = ScriptedAnswerer(text)
    with serving(tmp_path, answerer) as http:
        for _ in range(2):
            said = http.post("/v1/completions", json={"model": "m", "prompt": "2+2="}).json()
            assert said["object"] == "text_completion"
            assert said["choices"][0]["text"] == "four"
        assert len(answerer.calls) == 1
        assert answerer.calls[0].kind == "completion"


def test_an_upstreams_error_reaches_the_client_as_it_is(tmp_path: Path) -> None:
    body = b'{"error": {"message": "slow down", "type": "rate_limit", "code": "x"}}'
    headers = {"retry-after": "7", "content-type": "application/json"}
    error = UpstreamError("429", status=429, body=body, headers=headers)
    answerer = ScriptedAnswerer(error=error)
    with serving(tmp_path, answerer) as http:
        for stream in (False, True):
            refused = http.post("/v1/chat/completions", json={**ASK, "stream": stream})
            assert refused.status_code == 429
            assert refused.content == body
            assert refused.headers["retry-after"] == "7"
        answerer.error = EngineBusy("full", retry_after_s=3)
        busy = http.post("/v1/chat/completions", json=ASK)
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "3")
        assert busy.json()["error"]["code"] == "engine_busy"
        answerer.error = None
        assert http.post("/v1/chat/completions", json=ASK).headers["x-semcache-status"] == "MISS"


def test_an_answer_that_breaks_off_says_so_and_is_not_stored(tmp_path: Path) -> None:
    answerer = ScriptedAnswerer(error=RuntimeError("boom"), fail_after=2)
    with serving(tmp_path, answerer) as http:
        broken = http.post("/v1/chat/completions", json={**ASK, "stream": True})
        assert broken.status_code == 200
        assert "[DONE]" not in broken.text
        assert '"answer_error"' in broken.text
        assert "boom" not in broken.text
        answerer.error = None
        whole = http.post("/v1/chat/completions", json=ASK)
        assert whole.headers["x-semcache-status"] == "MISS"
        assert whole.json()["choices"] == echo(ChatRequest.from_wire(ASK, tenant="t")).choices
