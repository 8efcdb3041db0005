"""An answerer that only chats, asked for responses: what it is asked, and what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from semcache.chat import ChatRequest
from semcache.completion import Completion, text_completion_of
from semcache.errors import RequestError
from semcache.responding import Responding
from tests.scripted import ScriptedAnswerer
from tests.server.serving import serving

USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


def answer_of(request: ChatRequest) -> Completion:
    """Words, and a call where there are tools; the length where it may say one token."""
    finish = "length" if request.options.get("max_completion_tokens") == 1 else "stop"
    made = text_completion_of(
        "It is 330 m tall.",
        id="chatcmpl-1",
        created=1,
        model="m",
        finish_reason=finish,
        usage=USAGE,
    )
    if "tools" not in request.options:
        return made
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": "Let me see.", "tool_calls": [call]}
    message["reasoning_content"] = "A tool knows."
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return Completion({**made.wire, "choices": [choice]})


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[openai.OpenAI, ScriptedAnswerer]]:
    answerer = ScriptedAnswerer(answer_of)
    with serving(tmp_path, Responding(answerer)) as http:
        url = f"{http.base_url}/v1"
        with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client:
            yield client, answerer


TOOL: dict[str, Any] = {"type": "function", "name": "f", "parameters": {}, "strict": True}


@pytest.mark.parametrize("asked", [{}, {"tools": [TOOL]}], ids=["words", "call and reasoning"])
def test_a_response_from_a_chat(
    served: tuple[openai.OpenAI, ScriptedAnswerer], asked: dict[str, Any]
) -> None:
    client, answerer = served
    ask: dict[str, Any] = {"model": "m", "input": "How tall?", "instructions": "Short.", **asked}
    with client.responses.stream(**ask) as stream:
        kinds = [event.type for event in stream]
        live = stream.get_final_response()
    client.responses.create(**ask)  # may still share the answer in the making
    hit = client.responses.create(**ask)
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert len(kinds) == kinds.index("response.completed") + 1
    assert kinds.count("response.output_item.added") == len(hit.output)
    assert [item.type for item in live.output] == [item.type for item in hit.output]
    assert live.output_text == hit.output_text != ""
    assert hit.id != live.id
    assert (hit.store, hit.status) == (False, "completed")
    assert hit.usage is not None
    assert (hit.usage.input_tokens, hit.usage.output_tokens, hit.usage.total_tokens) == (3, 5, 8)
    if asked:
        assert [item.type for item in hit.output] == ["reasoning", "message", "function_call"]
        assert hit.tools[0].name == "f"
    (request,) = answerer.calls
    assert request.kind == "chat"
    assert [message["role"] for message in request.messages] == ["system", "user"]
    assert request.options.get("tools") == (
        [{"type": "function", "function": {k: v for k, v in TOOL.items() if k != "type"}}]
        if asked
        else None
    )


def test_what_ends_early_is_incomplete_and_chats_stay_chats(
    served: tuple[openai.OpenAI, ScriptedAnswerer],
) -> None:
    client, answerer = served
    for _ in range(2):
        cut = client.responses.create(model="m", input="How tall?", max_output_tokens=1)
        assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")  # type: ignore[union-attr]
    assert len(answerer.calls) == 2
    said = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
    assert said.choices[0].message.content == "It is 330 m tall."


ITEMS: list[dict[str, Any]] = [
    {"role": "developer", "content": "Be kind."},
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "See"},
            {"type": "input_image", "image_url": "data:x,y", "detail": "low"},
        ],
    },
    {"type": "reasoning", "id": "rs", "summary": []},
    {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
    {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "1"},
    {"role": "assistant", "content": [{"type": "output_text", "text": "One."}]},
    {"role": "user", "content": "And two?"},
]
MESSAGES = [
    {"role": "developer", "content": "Be kind."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "See"},
            {"type": "image_url", "image_url": {"url": "data:x,y", "detail": "low"}},
        ],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "1"},
    {"role": "assistant", "content": "One."},
    {"role": "user", "content": "And two?"},
]
SCHEMA = {"type": "json_schema", "name": "party", "schema": {"type": "object"}, "strict": True}


def asked_as_chat(body: dict[str, Any]) -> ChatRequest:
    answerer = ScriptedAnswerer()
    request = ChatRequest.from_wire({"model": "m", **body}, tenant="t", kind="response")

    async def run() -> None:
        async for _ in Responding(answerer).answer(request):
            pass

    asyncio.run(run())
    return answerer.calls[0]


def test_items_and_parameters_as_a_chat_has_them() -> None:
    request = asked_as_chat(
        {
            "input": ITEMS,
            "max_output_tokens": 7,
            "text": {"format": SCHEMA},
            "reasoning": {"effort": "low"},
            "store": False,
            "seed": 3,
            "metadata": {"a": "b"},
        }
    )
    assert list(request.messages) == MESSAGES
    named = {name: value for name, value in SCHEMA.items() if name != "type"}
    assert request.options == {
        "max_completion_tokens": 7,
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": named},
        "seed": 3,
    }
    again = ChatRequest.from_wire(request.to_wire(), tenant="t")
    assert (again.messages, again.options) == (request.messages, request.options)


@pytest.mark.parametrize(
    "body",
    [
        {"input": "x", "previous_response_id": "resp_1"},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
        {"input": [{"type": "function_call_output", "call_id": "c", "output": 3}]},
        {"input": "x", "tools": [{"type": "custom", "name": "sh"}]},
    ],
)
def test_what_a_chat_cannot_say_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=r"support|needs"):
        asked_as_chat(body)
