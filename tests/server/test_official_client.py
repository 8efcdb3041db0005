"""The official client against the server, on a miss and on a hit: equal objects, each way.

Behind the server is a double of OpenAI's on a loopback port; the same calls straight to that one
are the oracle.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from semcache.upstream import Upstream, UpstreamSettings
from tests.loopback import Json, Loopback, Reply, Seen, Silence
from tests.server.serving import serving
from tests.upstream_double import openai_like

WAIT_S = 20.0
PICTURE = "data:image/png;base64,iVBORw0KGgo="
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}


class Party(BaseModel):
    name: str
    guests: list[str]


def user(text: str, *parts: dict[str, Any]) -> list[dict[str, Any]]:
    content: Any = [{"type": "text", "text": text}, *parts] if parts else text
    return [{"role": "user", "content": content}]


SHOWN = {"type": "image_url", "image_url": {"url": PICTURE}}
CALLED = [
    *user("Weather?"),
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "rain"},
]
CHATS: dict[str, dict[str, Any]] = {
    "text": {"messages": user("Why?")},
    "three choices": {"messages": user("Why?"), "n": 3},
    "tools": {"messages": user("Weather?"), "tools": [TOOL]},
    "a tool's result": {"messages": CALLED, "tools": [TOOL]},
    "picture": {"messages": user("What is this?", SHOWN)},
    "logprobs": {"messages": user("Why?"), "logprobs": True},
    "seeded": {"messages": user("Why?"), "temperature": 0.7, "seed": 1},
}
Call = Callable[[Any], Any]


def chat(**asked: Any) -> Call:
    return lambda c: c.chat.completions.create(**asked)


CALLS: dict[str, Call] = {
    **{f"chat: {name}": chat(model="m", **asked) for name, asked in CHATS.items()},
    "parse": lambda c: c.chat.completions.parse(
        model="m", messages=user("Who?"), response_format=Party
    ),
    "parse: tools": lambda c: c.chat.completions.parse(
        model="m", messages=user("Add up the invoices."), tools=[TOOL]
    ),
    "completion": lambda c: c.completions.create(model="m", prompt="Once", n=2),
    "response": lambda c: c.responses.create(model="m", input="Why?"),
    "response: parse": lambda c: c.responses.parse(model="m", input="Who?", text_format=Party),
    "embeddings": lambda c: c.embeddings.create(model="e", input=["a", "bb"]),
    "embeddings: tokens": lambda c: c.embeddings.create(
        model="e", input=[[1, 2], [3]], encoding_format="base64"
    ),
}
STREAMED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
STREAMS: dict[str, Call] = {
    **{f"chat: {name}": chat(model="s", **asked, **STREAMED) for name, asked in CHATS.items()},
    "completion": lambda c: c.completions.create(model="s", prompt="Once", n=2, stream=True),
}


@dataclass
class Clients:
    """The same clients twice: to the server, and straight to what is behind it."""

    blocking: openai.OpenAI
    asynchronous: openai.AsyncOpenAI
    straight: openai.OpenAI
    upstream: Loopback
    loop: asyncio.Runner

    def ask(self, call: Call, is_async: bool) -> Any:
        """The whole answer, or all pieces of a stream."""
        if not is_async:
            return _listed(call(self.blocking))
        return self.loop.run(_alisted(call(self.asynchronous)))


def _listed(answer: Any) -> Any:
    return list(answer) if isinstance(answer, openai.Stream) else answer


async def _alisted(answering: Any) -> Any:
    answer = await answering
    if isinstance(answer, AsyncIterator):
        return [piece async for piece in answer]
    return answer


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    with Loopback(openai_like) as upstream, asyncio.Runner() as loop:
        relay = Upstream(UpstreamSettings(base_url=upstream.base_url, api_key="sk-operator"))
        with serving(tmp_path_factory.mktemp("official"), relay) as http:
            url = f"{http.base_url}/v1"
            options: dict[str, Any] = {"api_key": "k", "max_retries": 0, "timeout": WAIT_S}
            with (
                openai.OpenAI(base_url=url, **options) as blocking,
                openai.OpenAI(base_url=upstream.base_url, **options) as straight,
            ):
                asynchronous = openai.AsyncOpenAI(base_url=url, **options)
                yield Clients(blocking, asynchronous, straight, upstream, loop)
                loop.run(asynchronous.close())


def same(answer: Any) -> Any:
    """All of an object but what each answer has of its own."""
    return answer.model_dump(exclude={"id", "created", "created_at"}, warnings=False)


def merged(pieces: list[Any]) -> dict[str, Any]:
    """What a stream says, however it is cut: by choice, each member's texts joined."""
    told: dict[Any, Any] = {"models": {p.model for p in pieces}, "ids": len({p.id for p in pieces})}
    for piece in pieces:
        if piece.usage is not None:
            told["usage"] = piece.usage.model_dump()
        for choice in piece.choices:
            delta = choice.model_dump(exclude_none=True)
            index = delta.pop("index")
            said = delta.pop("delta", None) or {}
            _merge(told, (index, "choice"), {**delta, **said})
    return told


def _merge(told: dict[Any, Any], path: tuple[Any, ...], members: dict[str, Any]) -> None:
    for name, value in members.items():
        if name == "tool_calls":
            for call in value:
                flat = {**call.pop("function", {}), **call}
                _merge(told, (*path, flat.pop("index")), flat)
        elif name in {"content", "reasoning_content", "arguments", "text"}:
            told[(*path, name)] = told.get((*path, name), "") + value
        elif name == "logprobs":
            found = told.setdefault((*path, name), [])
            found.extend(value.get("content") or ())
        else:
            told[(*path, name)] = value


@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "async"])
@pytest.mark.parametrize("name", CALLS)
def test_whole_answers(clients: Clients, name: str, is_async: bool) -> None:
    call = CALLS[name]
    expected = call(clients.straight)
    if "embeddings" in name:
        expected.data.sort(key=lambda one: one.index)  # the server does, whatever the upstream did
    before = len(clients.upstream.requests)
    first, second = clients.ask(call, is_async), clients.ask(call, is_async)
    assert type(first) is type(second) is type(expected)
    assert same(first) == same(second) == same(expected)
    asked = len(clients.upstream.requests) - before
    assert asked == (1 if not is_async else 0)  # the blocking client came first
    if "parse" in name:
        parsed = second.output_parsed if "response" in name else second.choices[0].message
        if name == "parse: tools":
            assert parsed.tool_calls[1].function.parsed_arguments == {"city": "Zürich", "days": 2}
        else:
            found = parsed if isinstance(parsed, Party) else parsed.parsed
            assert found == Party(name="fête", guests=["Ana", "Bo"])


@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "async"])
@pytest.mark.parametrize("name", STREAMS)
def test_streams(clients: Clients, name: str, is_async: bool) -> None:
    call = STREAMS[name]
    expected = merged(list(call(clients.straight)))
    before = len(clients.upstream.requests)
    first, second = clients.ask(call, is_async), clients.ask(call, is_async)
    assert {type(piece) for piece in first} == {type(piece) for piece in second}
    assert merged(first) == merged(second) == expected
    assert len(clients.upstream.requests) - before == (1 if not is_async else 0)


def test_streaming_helpers_give_the_whole_answer(clients: Clients) -> None:
    asked: dict[str, Any] = {"model": "h", "messages": user("Weather?"), "tools": [TOOL]}
    whole = []
    for client in (clients.straight, clients.blocking, clients.blocking):
        with client.chat.completions.stream(**asked) as stream:
            kinds = {event.type for event in stream}
            whole.append(same(stream.get_final_completion()))
        assert "tool_calls.function.arguments.done" in kinds
    assert whole[0] == whole[1] == whole[2]


def refusing(seen: Seen) -> Reply:
    """By the model: a status, or silence."""
    model = seen.json()["model"]
    if model == "silent":
        return Silence()
    body = {"error": {"message": f"no {model}", "type": "t", "param": "p", "code": "c"}}
    return Json(body, status=int(model), headers={"x-request-id": "r-1", "retry-after": "3"})


KINDS: dict[str, Call] = {
    "chat": lambda c: c.chat.completions.create(model=c.model, messages=user("x")),
    "stream": lambda c: c.chat.completions.create(model=c.model, messages=user("x"), stream=True),
    "response": lambda c: c.responses.create(model=c.model, input="x"),
    "embeddings": lambda c: c.embeddings.create(model=c.model, input="x"),
}


def test_errors_and_timeouts_are_the_upstreams(tmp_path: Path) -> None:
    with Loopback(refusing) as upstream:
        relay = Upstream(UpstreamSettings(base_url=upstream.base_url, timeout_s=0.3))
        with serving(tmp_path, relay) as http:
            options: dict[str, Any] = {"api_key": "k", "max_retries": 0, "timeout": WAIT_S}
            with (
                openai.OpenAI(base_url=f"{http.base_url}/v1", **options) as client,
                openai.OpenAI(base_url=upstream.base_url, **options) as straight,
            ):
                for model in ("400", "401", "404", "429", "500"):
                    for call in KINDS.values():
                        told = [_raised(one, call, model) for one in (straight, client, client)]
                        assert told[0] == told[1] == told[2]
                for call in KINDS.values():
                    kind, status, *_ = _raised(client, call, "silent")
                    assert (kind, status) == (openai.InternalServerError, 504)
                impatient = client.with_options(timeout=0.1)
                for call in KINDS.values():
                    assert _raised(impatient, call, "silent")[0] is openai.APITimeoutError


def _raised(client: Any, call: Call, model: str) -> tuple[Any, ...]:
    client.model = model
    with pytest.raises(openai.APIError) as raised:
        _listed(call(client))
    error: Any = raised.value
    if not isinstance(error, openai.APIStatusError):
        return (type(error),)
    shown = {k: error.response.headers.get(k) for k in ("x-request-id", "retry-after")}
    return type(error), error.status_code, error.body, shown, error.param, error.code
