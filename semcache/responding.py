"""An answerer that only chats, asked for responses: each is put to it as a chat, and back.

Its words are streamed as they come; what it says beside them (calls, reasoning) follows whole.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import count
from typing import Any, cast

from semcache.chat import ChatRequest
from semcache.completion import Chunk, collect
from semcache.errors import AnswerError
from semcache.grounds import Grounds
from semcache.interfaces import Answerer, FromDocuments
from semcache.keys import Source
from semcache.responses import events
from semcache.responses.as_chat import messages_of, options_of
from semcache.responses.from_chat import begun, message_id, response_of

_SAID_LIVE = frozenset(
    {"response.output_item.added", "response.content_part.added", "response.output_text.delta"}
)


class Responding:
    """Implements `interfaces.Answerer` in the name of another, for responses too.

    `embeds`: it may be asked for embeddings.
    """

    def __init__(self, answerer: Answerer, *, embeds: bool = False) -> None:
        self._answerer = answerer
        self._embeds = embeds

    @property
    def name(self) -> str:
        """The other's."""
        return self._answerer.name

    def accepts(self, request: ChatRequest) -> bool:
        """Whether the other does; what it cannot be asked is refused when it is."""
        if request.kind == "embedding" and not self._embeds:
            return False
        return self._answerer.accepts(_kind_of_chat(request))

    def source(self, request: ChatRequest) -> Source:
        """The other's."""
        return self._answerer.source(_kind_of_chat(request))

    def models(self) -> Sequence[str]:
        """The other's."""
        return self._answerer.models()

    async def aclose(self) -> None:
        """Close the other."""
        await self._answerer.aclose()

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """The other's answer. Raises what it raises, and RequestError."""
        if request.kind != "response":
            async with aclosing(cast(Any, self._answerer.answer(request))) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        numbers, came = count(), cast("list[Chunk]", [])
        async with aclosing(self._events(request, came)) as told:
            async for event in told:
                yield Chunk({**event, "sequence_number": next(numbers)}, came[0].grounds)

    async def _events(
        self, request: ChatRequest, came: list[Chunk]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The events; what they are made of is added to `came`."""
        asked = _as_chat(request)
        id_, created = secrets.token_hex(12), int(time.time())
        started = begun(id_, created, request.model, request.options)
        said = thought = False
        async with aclosing(cast(Any, self._answerer.answer(asked))) as chunks:
            async for chunk in chunks:
                opening = () if came else events.begun(started)
                came.append(chunk)
                for event in opening:
                    yield event
                thought = thought or _thinks(chunk)
                for piece in () if thought and not said else _words(chunk):
                    for event in () if said else _message_begun(str(started["id"])):
                        yield event
                    said = True
                    yield {"type": "response.output_text.delta", **_place(started), **piece}
        completion = collect(came)
        if not completion.choices:
            raise AnswerError("The engine gave no answer.")
        for event in _rest(response_of(started, completion.wire, words_first=said), said=said):
            yield event


class RespondingFromDocuments(Responding):
    """The same for one that implements `interfaces.FromDocuments`, as this does."""

    def grounds(self, request: ChatRequest) -> Grounds:
        """The other's, for the chat that it is asked."""
        asked = _as_chat(request) if request.kind == "response" else request
        return cast(FromDocuments, self._answerer).grounds(asked)


def responding(answerer: Answerer, *, embeds: bool = False) -> Responding:
    """The wrapping that an answerer needs."""
    kind = RespondingFromDocuments if isinstance(answerer, FromDocuments) else Responding
    return kind(answerer, embeds=embeds)


def _kind_of_chat(request: ChatRequest) -> ChatRequest:
    return replace(request, kind="chat") if request.kind == "response" else request


def _as_chat(request: ChatRequest) -> ChatRequest:
    return replace(
        request,
        kind="chat",
        messages=tuple(messages_of(request.messages, request.options)),
        options=options_of(request.options),
        stream_options={"include_usage": True} if request.stream else None,
    )


def _words(chunk: Chunk) -> Iterator[dict[str, Any]]:
    """What the first choice says in this chunk."""
    for choice in chunk.wire.get("choices") or ():
        text = (choice.get("delta") or {}).get("content")
        if choice.get("index", 0) == 0 and isinstance(text, str) and text:
            tokens = (choice.get("logprobs") or {}).get("content") or []
            yield {"delta": text, "logprobs": tokens}


def _thinks(chunk: Chunk) -> bool:
    """Whether it reasons: that stands before the words, so they have to wait."""
    deltas = (choice.get("delta") or {} for choice in chunk.wire.get("choices") or ())
    return any(delta.get("reasoning_content") for delta in deltas)


def _place(started: dict[str, Any]) -> dict[str, Any]:
    return {"item_id": message_id(str(started["id"])), "output_index": 0, "content_index": 0}


def _message_begun(response_id: str) -> Iterator[dict[str, Any]]:
    id_ = message_id(response_id)
    item = {"id": id_, "type": "message", "role": "assistant", "status": "in_progress"}
    yield {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    place = {"item_id": id_, "output_index": 0, "content_index": 0}
    yield {"type": "response.content_part.added", **place, "part": part}


def _rest(response: dict[str, Any], *, said: bool) -> Iterator[dict[str, Any]]:
    """What is left of the events when the first message's words have been streamed."""
    for event in list(events.replay(response))[2:]:
        is_first = event.get("output_index") == 0 and event.get("content_index", 0) == 0
        if not (said and is_first and event["type"] in _SAID_LIVE):
            yield event
