"""`client.cache`: feedback and explanations, through any official client.

    client.cache.feedback(response, "wrong")          # of semcache.OpenAI, or AsyncOpenAI
    cache_of(client).feedback(response, "wrong")      # of any openai client: of `wrap`, or one that
                                                      # talks to a semcache server

Both send `POST {base_url}/cache/…`. A cache in the process takes that; else it reaches the server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, overload

import openai

Name: TypeAlias = Any
"""An id, or an object with one: a completion, a chunk of a stream, a raw response."""


class Cache:
    """What a blocking client can say to its cache, and ask of it."""

    def __init__(self, client: openai.OpenAI) -> None:
        self._client = client

    def feedback(self, answer: Name, verdict: str, comment: str | None = None) -> dict[str, Any]:
        """Say that an answer was "right" or "wrong"; returns what was done.

        `answer` is a response object, a raw response, a response id, a decision id or an entry id.
        Raises openai.NotFoundError where no answer of this caller has this id, and
        openai.BadRequestError for another verdict.
        """
        body = feedback_body(answer, verdict, comment)
        return _told(self._client.post("/cache/feedback", body=body, cast_to=object))

    def explain(
        self,
        question: str | None = None,
        *,
        messages: Sequence[Mapping[str, Any]] | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Why a request would be answered as it would; nothing is asked, stored or counted.

        `fields` are those of a chat request: `model`, tools, parameters. Raises openai.APIError.
        """
        body = explain_body(question, messages, fields)
        return _told(self._client.post("/cache/explain", body=body, cast_to=object))


class AsyncCache:
    """What an async client can say to its cache, and ask of it. See `Cache`."""

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._client = client

    async def feedback(
        self, answer: Name, verdict: str, comment: str | None = None
    ) -> dict[str, Any]:
        """As `Cache.feedback`."""
        body = feedback_body(answer, verdict, comment)
        return _told(await self._client.post("/cache/feedback", body=body, cast_to=object))

    async def explain(
        self,
        question: str | None = None,
        *,
        messages: Sequence[Mapping[str, Any]] | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """As `Cache.explain`."""
        body = explain_body(question, messages, fields)
        return _told(await self._client.post("/cache/explain", body=body, cast_to=object))


@overload
def cache_of(client: openai.OpenAI) -> Cache: ...


@overload
def cache_of(client: openai.AsyncOpenAI) -> AsyncCache: ...


def cache_of(client: openai.OpenAI | openai.AsyncOpenAI) -> Cache | AsyncCache:
    """The cache behind any official client: in its process, or its server's."""
    return Cache(client) if isinstance(client, openai.OpenAI) else AsyncCache(client)


def feedback_body(answer: Name, verdict: str, comment: str | None) -> dict[str, Any]:
    """The request's body. A raw response names the decision; other objects have an `id`."""
    headers = getattr(answer, "headers", None)
    id_ = answer if isinstance(answer, str | int) else getattr(answer, "id", None)
    if isinstance(headers, Mapping):
        id_ = headers.get("x-semcache-decision") or headers.get("x-semcache-entry-id") or id_
        if id_ is None and hasattr(answer, "parse"):
            id_ = getattr(answer.parse(), "id", None)
    body = {"id": id_, "verdict": verdict}
    return body if comment is None else {**body, "comment": comment}


def explain_body(
    question: str | None, messages: Sequence[Mapping[str, Any]] | None, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """The request's body."""
    asked = {"question": question, "messages": messages}
    return {**fields, **{name: value for name, value in asked.items() if value is not None}}


def _told(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("The server's answer is not semcache's: it has no cache to speak to.")
    return value
