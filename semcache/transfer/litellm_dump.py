"""What LiteLLM's semantic caches keep, from a dump in JSON lines.

    {"prompt", "response", …}               a hash of its redis-semantic (and valkey) cache
    ["prompt", "response"]                  the same two fields, as `redis-cli HMGET` says them
    {"payload": {"text", "response"}, …}    a point of its qdrant-semantic collection

LiteLLM documents that an exact key is a SHA-256; the values are as its source writes them
(litellm/caching/: caching.py, redis_semantic_cache.py, qdrant_semantic_cache.py): the text of a
dictionary {"timestamp", "response"}, whose response is the JSON of the completion. `prompt` is the
texts of all messages, joined without their roles.

An exact entry holds no question, and its key is a hash of keyword arguments in the order in which
they came: nobody can say what it answers. It is refused.
"""

from __future__ import annotations

import ast
from typing import Any

import orjson

from semcache.errors import RequestError
from semcache.transfer.foreign import Foreign
from semcache.transfer.lines import checked_completion

_MAX_LITERAL = 4_000_000
_EXACT = (
    "It holds no question: LiteLLM's exact cache keeps a hash in its place. A log of requests and "
    "responses can be stored with 'semcache warm'."
)


def foreign_of(number: int, line: bytes, system: str | None, now: float) -> Foreign:
    """One question with its answer. Raises RequestError with the reason.

    `system`: what every prompt begins with. `now` is for answers that say no time.
    """
    prompt, response = _fields(line)
    if system is not None:
        if not prompt.startswith(system):
            raise RequestError("Its prompt does not begin with the system prompt.")
        prompt = prompt.removeprefix(system).lstrip("\n")
    value = _value(response)
    if isinstance(value, dict) and "timestamp" in value:
        now = _number(value["timestamp"], now)
        value = _value(value.get("response"))
    return Foreign(number, prompt, dict(checked_completion(value)), now)


def _fields(line: bytes) -> tuple[str, Any]:
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise RequestError("It is not JSON.") from None
    if isinstance(said, list) and len(said) == 2:
        prompt, response = said
    elif isinstance(said, dict):
        held = said.get("payload", said.get("value", said))
        if not isinstance(held, dict) or ("prompt" not in held and "text" not in held):
            raise RequestError(_EXACT)
        prompt, response = held.get("prompt", held.get("text")), held.get("response")
    else:
        raise RequestError(_EXACT)
    if not isinstance(prompt, str):
        raise RequestError("Its prompt is no text.")
    return prompt, response


def _value(said: Any) -> Any:
    """JSON, or the text of Python's own literals, which run nothing."""
    if not isinstance(said, str):
        return said
    try:
        return orjson.loads(said)
    except orjson.JSONDecodeError:
        pass
    if len(said) > _MAX_LITERAL:
        raise RequestError("Its response is too long.")
    try:
        return ast.literal_eval(said)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise RequestError("Its response cannot be read.") from None


def _number(said: Any, default: float) -> float:
    fine = isinstance(said, int | float) and not isinstance(said, bool) and 0 < said < 1e12
    return float(said) if fine else default
