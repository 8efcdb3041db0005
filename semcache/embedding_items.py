"""`/v1/embeddings` item by item: a request for several vectors as one for each, and back. Pure.

Every item is a request and an answer of its own, so it is looked up, stored and shared like any
other: by model, dimensions, encoding format, and the one input. Only exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from semcache.chat import ChatRequest
from semcache.errors import RequestError
from semcache.field_rules import is_int

Wire = Mapping[str, Any]

MAX_ITEMS = 2048


def items_in(value: object) -> list[Any]:
    """The texts or token lists of `input`, each on its own. Raises RequestError."""
    if isinstance(value, str) or _is_tokens(value):
        value = [value]
    if not isinstance(value, list) or not value:
        raise _refusal("'input' must be a text, texts, or token ids.")
    if len(value) > MAX_ITEMS:
        raise _refusal(f"'input' may hold at most {MAX_ITEMS} items.")
    for at, item in enumerate(value):
        if not (isinstance(item, str) and item) and not _is_tokens(item):
            message = f"input[{at}] must be a text that is not empty, or token ids."
            raise RequestError(message, param=f"input[{at}]")
    return value


def split(request: ChatRequest) -> list[ChatRequest]:
    """One request for each item. Raises RequestError."""
    items = items_in(request.options.get("input"))
    return [replace(request, options={**request.options, "input": item}) for item in items]


def joined(requests: Sequence[ChatRequest]) -> ChatRequest:
    """One request for the items of several that ask for nothing else."""
    items = [one.options["input"] for one in requests]
    return replace(requests[0], options={**requests[0].options, "input": items})


def parts_of(wire: Wire, requests: Sequence[ChatRequest]) -> list[dict[str, Any]] | None:
    """The answer to `joined`, cut up: one answer for each request, in their order.

    None where it is not whole. The tokens used are shared out by the items' lengths.
    """
    by_index = {item.get("index"): item for item in wire["data"]}
    if len(wire["data"]) != len(requests) or set(by_index) != set(range(len(requests))):
        return None
    usages = _shares(wire.get("usage"), [len(one.options["input"]) for one in requests])
    head = {name: value for name, value in wire.items() if name not in {"data", "usage"}}
    return [
        {**head, "data": [{**by_index[at], "index": 0}], "usage": usage}
        for at, usage in enumerate(usages)
    ]


def together(parts: Sequence[Wire], usages: Sequence[Any]) -> dict[str, Any]:
    """The answer to the whole request, from its items' answers and what each says of tokens."""
    data = [{**part["data"][0], "index": at} for at, part in enumerate(parts)]
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    for told in usages:
        for name in usage:
            usage[name] += _count(told, name)
    head = {name: value for name, value in parts[0].items() if name not in {"data", "usage"}}
    return {**head, "data": data, "usage": usage}


def is_embeddings(wire: Wire) -> bool:
    """Whether this is a list of vectors whose form can be relied on."""
    data = wire.get("data")
    return isinstance(data, list) and bool(data) and all(map(_is_item, data))


def _is_item(item: object) -> bool:
    if not isinstance(item, dict) or not is_int(item.get("index")):
        return False
    vector = item.get("embedding")
    if isinstance(vector, str):
        return bool(vector)
    return (
        isinstance(vector, list)
        and bool(vector)
        and all(isinstance(x, int | float) for x in vector)
    )


def _is_tokens(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(is_int(x) and x >= 0 for x in value)


def _shares(usage: Any, weights: Sequence[int]) -> list[dict[str, int]]:
    """Whole numbers that add up to the usage."""
    shares: list[dict[str, int]] = [{} for _ in weights]
    for name in ("prompt_tokens", "total_tokens"):
        left, weight = _count(usage, name), sum(weights)
        for share, mine in zip(shares, weights, strict=True):
            share[name] = left * mine // weight
            left, weight = left - share[name], weight - mine
    return shares


def _count(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, Mapping) else None
    return value if isinstance(value, int) and value is not True and value > 0 else 0


def _refusal(message: str) -> RequestError:
    return RequestError(message, param="input")
