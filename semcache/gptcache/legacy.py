"""The requests and answers of `gptcache_server`'s own routes, as plain values.

    GET  /        "hello gptcache server"
    POST /put     {"prompt", "answer"}  →  "successfully update the cache"
    POST /get     {"prompt"}            →  {"prompt", "answer"}; a miss is an answer of null
    POST /flush                         →  "successfully flush the cache"

All with status 200 and as JSON. Unlike GPTCache, an empty answer is refused: it could not be told
from a miss, and GPTCache drops it without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from semcache.errors import RequestError

HELLO = "hello gptcache server"
UPDATED = "successfully update the cache"
FLUSHED = "successfully flush the cache"


@dataclass(frozen=True, slots=True)
class Put:
    """A question with the answer to store for it."""

    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class Get:
    """A question to look up."""

    prompt: str

    def answered(self, answer: str | None) -> dict[str, Any]:
        """The body of the reply; None is a miss."""
        return {"prompt": self.prompt, "answer": answer}


def parse_put(body: object) -> Put:
    """Read a decoded `/put` body. Raises RequestError, naming the field."""
    fields = _fields(body)
    return Put(_text(fields, "prompt"), _text(fields, "answer"))


def parse_get(body: object) -> Get:
    """Read a decoded `/get` body. Raises RequestError, naming the field."""
    return Get(_text(_fields(body), "prompt"))


def _fields(body: object) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise RequestError("The request body must be a JSON object.")
    return body


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise RequestError(f"'{name}' must be a text that is not empty.", param=name)
    return value
