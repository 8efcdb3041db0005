"""From a request's messages to turns of plain text. Pure; knows no model.

- Texts of system and developer messages are gathered: they go after the knowledge, into the one
  system message.
- Results of tools are turns of the user; an assistant's tool calls are told as JSON.
- Neighbouring turns of one role are joined, as many templates want roles to alternate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from semcache.chat import ChatRequest, Message, message_text
from semcache.errors import RequestError

Role = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One side's words."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """The request's own system text (may be empty) and its turns, in order."""

    system: str
    turns: tuple[Turn, ...]


def conversation_of(request: ChatRequest) -> Conversation:
    """Read the messages. Raises RequestError for what is not text."""
    if not request.messages:
        raise RequestError(
            "The local engine takes one text prompt: no lists of prompts, no token ids.",
            param="prompt",
        )
    for at, message in enumerate(request.messages):
        _require_text(message, at)
    system = [
        text
        for message in request.messages
        if message["role"] in {"system", "developer"} and (text := message_text(message).strip())
    ]
    return Conversation("\n\n".join(system), tuple(_joined(_turns(request))))


def _require_text(message: Message, at: int) -> None:
    content = message.get("content")
    if not isinstance(content, list):
        return
    for part in content:
        if part["type"] != "text":
            raise RequestError(
                f"The local engine reads text only, not {part['type']!r} parts.",
                param=f"messages[{at}].content",
            )


def _turns(request: ChatRequest) -> Iterator[Turn]:
    for message in request.messages:
        role = message["role"]
        if role == "assistant":
            yield Turn("assistant", _said(message))
        elif role not in {"system", "developer"}:
            yield Turn("user", message_text(message))


def _said(message: Message) -> str:
    calls: list[Any] = list(message.get("tool_calls") or ())
    if message.get("function_call"):
        calls.append(message["function_call"])
    told = [orjson.dumps(call.get("function", call)).decode() for call in calls]
    return "\n".join(filter(None, (message_text(message), *told)))


def _joined(turns: Iterator[Turn]) -> Iterator[Turn]:
    last: Turn | None = None
    for turn in turns:
        if last is not None and last.role == turn.role:
            last = Turn(last.role, f"{last.text}\n\n{turn.text}")
            continue
        if last is not None:
            yield last
        last = turn
    if last is not None:
        yield last
