"""`/v1/responses` through the official client: relayed, stored whole, replayed in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from semcache.upstream import Upstream, UpstreamSettings
from tests.loopback import Events, Json, Loopback, Reply, Seen
from tests.responding import message, named_events, responding, response_to, streamed, text_part
from tests.server.serving import serving

ASKED: dict[str, dict[str, Any]] = {
    "text": {"input": "How tall is it?"},
    "kept nowhere": {"input": "How tall is it?", "store": False},
    "tools": {"input": "Weather?", "tools": [{"type": "function", "name": "weather"}]},
    "parts": {
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "Who?"}]}],
        "instructions": "Be short.",
        "reasoning": {"effort": "low"},
    },
}


@contextmanager
def relayed(
    folder: Path, script: Callable[[Seen], Reply] = responding
) -> Iterator[tuple[openai.OpenAI, Loopback]]:
    with Loopback(script) as upstream:
        relay = Upstream(UpstreamSettings(base_url=upstream.base_url, api_key="sk-operator"))
        with serving(folder, relay) as http:
            url = f"{http.base_url}/v1"
            with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client:
                yield client, upstream


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[openai.OpenAI, Loopback]]:
    with relayed(tmp_path_factory.mktemp("responses")) as both:
        yield both


def same(response: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = response.model_dump(exclude={"id", "created_at"})
    return dumped


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("first_streams", [False, True], ids=["whole first", "stream first"])
def test_a_hit_is_the_same_response_whole_and_streamed(
    served: tuple[openai.OpenAI, Loopback], asked: dict[str, Any], first_streams: bool
) -> None:
    client, upstream = served
    model, before = f"gpt-{first_streams}", len(upstream.requests)
    if first_streams:
        with client.responses.stream(model=model, **asked) as stream:
            miss: Any = stream.get_final_response()
    else:
        miss = client.responses.create(model=model, **asked)
    client.responses.create(model=model, **asked)  # may still share the answer in the making
    hit = client.responses.create(model=model, **asked)
    events = list(client.responses.create(model=model, stream=True, **asked))
    with client.responses.stream(model=model, **asked) as stream:
        last = stream.get_final_response()
    assert same(client.responses.create(model=model, **asked)) == same(hit)
    parsed_only = {"parsed", "parsed_arguments"}
    for one in (miss, last):
        told = openai.types.responses.Response.construct(**_less(one.model_dump(), parsed_only))
        assert same(told) == same(hit)
    assert len(upstream.requests) == before + 1
    kept = asked.get("store", True)
    assert (hit.id == miss.id) is kept
    assert hit.id.startswith("resp_")
    _check_order(events, same(hit))


def _less(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {k: _less(v, names) for k, v in value.items() if k not in names}
    return [_less(v, names) for v in value] if isinstance(value, list) else value


def _check_order(events: list[Any], response: dict[str, Any]) -> None:
    """What OpenAI's reference says of the order, checked on what the official client parsed."""
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].response.output == []
    assert same(events[-1].response) == response
    assert len({e.response.id for e in (events[0], events[1], events[-1])}) == 1
    for at, item in enumerate(response["output"]):
        own = [event for event in events if getattr(event, "output_index", None) == at]
        assert own[0].type == "response.output_item.added"
        assert own[-1].type == "response.output_item.done"
        assert own[-1].item.model_dump() == item
        said = "".join(e.delta for e in own if e.type.endswith(".delta"))
        assert said == _said(item)
        done = [e for e in own if e.type.endswith((".delta", ".done"))]
        assert not done[-2].type.endswith(".delta")


def _said(item: dict[str, Any]) -> str:
    if item["type"] == "message":
        return "".join(part["text"] for part in item["content"])
    if item["type"] == "reasoning":
        return "".join(part["text"] for part in item["summary"])
    return str(item["arguments"] if item["type"] == "function_call" else item["input"])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"tools": [{"type": "web_search"}]}, "hosted tools"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt without version"),
        ({"temperature": 0.7}, "temperature"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_cache_keeps_out_of(
    served: tuple[openai.OpenAI, Loopback], options: dict[str, Any], reason: str
) -> None:
    client, upstream = served
    before = len(upstream.requests)
    for _ in range(2):
        raw = client.responses.with_raw_response.create(model="gpt-x", input="Now?", **options)
        assert raw.headers["cache-status"] == f'semcache; fwd=bypass; detail="{reason}"'
    assert len(upstream.requests) == before + 2
    assert upstream.requests[-1].json() == {"model": "gpt-x", "input": "Now?", **options}


def test_context_and_echoes_are_the_callers_own(served: tuple[openai.OpenAI, Loopback]) -> None:
    client, upstream = served
    before = len(upstream.requests)
    ask: dict[str, Any] = {"model": "gpt-y", "input": "And then?"}
    first = client.responses.create(**ask, previous_response_id="resp_a", metadata={"by": "a"})
    again = client.responses.create(**ask, previous_response_id="resp_a", metadata={"by": "b"})
    other = client.responses.create(**ask, previous_response_id="resp_b", user="u")
    alone = client.responses.create(**ask)
    assert len(upstream.requests) == before + 3
    assert (first.metadata, again.metadata, alone.metadata) == ({"by": "a"}, {"by": "b"}, {})
    assert (first.id, first.output) == (again.id, again.output)
    assert (other.previous_response_id, alone.previous_response_id) == ("resp_b", None)
    assert (other.user, alone.user) == ("u", None)
    raw = client.responses.with_raw_response
    near = [
        raw.create(model="gpt-y", input=text).headers["x-semcache-status"]
        for text in ("What is the height of the Eiffel Tower?", "How tall is the Eiffel Tower?")
    ]
    assert near == ["MISS", "SEMANTIC_HIT"]


def _broken(body: dict[str, Any]) -> Reply:
    """By the question: what must not be stored."""
    whole, kind = response_to(body), str(body["input"])
    refusal = {"type": "refusal", "refusal": "No."}
    call = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{"}
    changes: dict[str, dict[str, Any]] = {
        "failed": {"status": "failed", "error": {"code": "server_error", "message": "broke"}},
        "cut": {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
        "refused": {"output": [message(refusal)]},
        "broken call": {"output": [call]},
        "empty": {"output": []},
        "nothing said": {"output": [message(text_part(""))]},
    }
    if kind in changes:
        return Json({**whole, **changes[kind]})
    events = named_events(streamed(whole))
    parts: dict[str, list[bytes]] = {
        "no end": events[:-1],
        "an error": [*events[:4], b'event: error\ndata: {"type":"error","message":"broke"}\n\n'],
        "only done": [*events[:-1], b"data: [DONE]\n\n"],
        "malformed": [*events[:-1], b'data: {"type":"response.completed","response":{}}\n\n'],
    }
    return Events(parts[kind])


WHOLE = ["failed", "cut", "refused", "broken call", "empty", "nothing said"]
CUT = ["no end", "an error", "only done", "malformed"]


def test_what_is_not_whole_is_relayed_and_not_stored(tmp_path: Path) -> None:
    with relayed(tmp_path, lambda seen: _broken(seen.json())) as (client, upstream):
        for kind in WHOLE:
            for _ in range(2):
                raw = client.responses.with_raw_response.create(model="gpt-x", input=kind)
                assert raw.headers["x-semcache-status"] == "MISS"
                assert "stored" not in raw.headers["cache-status"]
        for kind in CUT:
            for _ in range(2):
                events = list(client.responses.create(model="gpt-x", input=kind, stream=True))
                assert events[-1].type == "error"
                assert not any(event.type == "response.completed" for event in events)
            with pytest.raises(openai.APIStatusError) as raised:
                client.responses.create(model="gpt-x", input=kind)
            assert raised.value.status_code == 502
        assert len(upstream.requests) == 2 * len(WHOLE) + 3 * len(CUT)


@pytest.mark.parametrize(
    "body",
    [
        {"input": []},
        {"input": 3},
        {"input": [{"role": "robot", "content": "x"}]},
        {"input": [{"role": "user", "content": [1]}]},
        {"input": [{"type": "weird", "role": "user", "content": [1]}]},
        {"input": [{"type": "reasoning", "content": [1]}]},
        {"input": "x", "store": "yes"},
        {},
    ],
)
def test_bad_input(served: tuple[openai.OpenAI, Loopback], body: dict[str, Any]) -> None:
    client, upstream = served
    before = len(upstream.requests)
    with pytest.raises(openai.BadRequestError):
        client.post("/responses", body={"model": "gpt-x", **body}, cast_to=object)
    assert len(upstream.requests) == before


def test_why_a_response_is_answered_as_it_is(served: tuple[openai.OpenAI, Loopback]) -> None:
    client, _ = served
    ask: dict[str, Any] = {
        "model": "gpt-why",
        "input": "How high is the tower?",
        "instructions": "Be short.",
    }
    before: Any = client.post("/cache/explain", body=ask, cast_to=object)
    client.responses.create(**ask)
    after: Any = client.post("/cache/explain", body=ask, cast_to=object)
    told = [one["decision"]["outcome"] for one in (before, after)]
    assert told == ["miss", "hit"]
