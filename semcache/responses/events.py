"""A whole response cut into the events that a server would have streamed, in their order.

    created, in_progress
    for each item of the output: output_item.added, what it says in pieces, output_item.done
    completed (or incomplete, or failed)

`sequence_number` counts from 0. The last event holds the response as it is, so nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from semcache.responses.form import ENDS

Wire = Mapping[str, Any]
Event = dict[str, Any]

_PIECE = re.compile(r"\s*\S{1,16}|\s+")
_LAST = {status: kind for kind, status in ENDS.items()}
_BEGUN = {"status": "in_progress", "completed_at": None, "error": None, "usage": None}


def replay(response: Wire) -> Iterator[Event]:
    """The events of a response in the form that `form.is_response` holds for."""
    numbers = count()
    for event in _events(response):
        yield {**event, "sequence_number": next(numbers)}


def _events(response: Wire) -> Iterator[Event]:
    yield from begun(response)
    for at, item in enumerate(response["output"]):
        yield from _item(item, {"output_index": at})
    last = _LAST.get(str(response.get("status")), "response.completed")
    yield {"type": last, "response": response}


def begun(response: Wire) -> Iterator[Event]:
    """The first two events: the response with nothing said yet."""
    empty = {name: value for name, value in _BEGUN.items() if name in response}
    fresh = {**response, **empty, "output": []}
    if "incomplete_details" in response:
        fresh["incomplete_details"] = None
    yield {"type": "response.created", "response": fresh}
    yield {"type": "response.in_progress", "response": fresh}


def _item(item: Wire, place: Event) -> Iterator[Event]:
    spoken = {"item_id": item.get("id", ""), **place}
    yield {"type": "response.output_item.added", **place, "item": _head(item)}
    match item["type"]:
        case "message":
            for at, part in enumerate(item["content"]):
                yield from _part(part, {**spoken, "content_index": at})
        case "function_call":
            said, kind = item["arguments"], "response.function_call_arguments"
            named = {"name": item["name"]} if "name" in item else {}
            yield from _pieces(kind, said, spoken)
            yield {"type": f"{kind}.done", **spoken, "arguments": said, **named}
        case "custom_tool_call":
            said, kind = item["input"], "response.custom_tool_call_input"
            yield from _pieces(kind, said, spoken)
            yield {"type": f"{kind}.done", **spoken, "input": said}
        case "reasoning":
            yield from _reasoning(item, spoken)
    yield {"type": "response.output_item.done", **place, "item": item}


def _head(item: Wire) -> Event:
    """An item before it has said anything."""
    head = dict(item)
    if "status" in head:
        head["status"] = "in_progress"
    match item["type"]:
        case "message":
            head["content"] = []
        case "function_call":
            head["arguments"] = ""
        case "custom_tool_call":
            head["input"] = ""
        case "reasoning":
            head["summary"] = []
            if "content" in item:
                head["content"] = []
    return head


def _part(part: Wire, place: Event) -> Iterator[Event]:
    if part["type"] not in {"output_text", "refusal"}:
        yield {"type": "response.content_part.added", **place, "part": part}
        yield {"type": "response.content_part.done", **place, "part": part}
        return
    is_text = part["type"] == "output_text"
    name = "text" if is_text else "refusal"
    empty = {n: [] if isinstance(v, list) else v for n, v in part.items()}
    yield {"type": "response.content_part.added", **place, "part": {**empty, name: ""}}
    if is_text:
        yield from _text(part, place)
    else:
        yield from _pieces("response.refusal", part[name], place)
        yield {"type": "response.refusal.done", **place, "refusal": part[name]}
    yield {"type": "response.content_part.done", **place, "part": part}


def _text(part: Wire, place: Event) -> Iterator[Event]:
    kind = "response.output_text"
    for piece, logprobs in _with_logprobs(part):
        yield {"type": f"{kind}.delta", **place, "delta": piece, "logprobs": logprobs}
    for at, note in enumerate(part.get("annotations") or ()):
        numbered = {**place, "annotation_index": at, "annotation": note}
        yield {"type": f"{kind}.annotation.added", **numbered}
    whole = {"text": part["text"], "logprobs": part.get("logprobs") or []}
    yield {"type": f"{kind}.done", **place, **whole}


def _with_logprobs(part: Wire) -> Iterator[tuple[str, list[Any]]]:
    """Cut at tokens where log probabilities spell the text, at words otherwise."""
    tokens = part.get("logprobs") or []
    spelt = [str(token.get("token", "")) for token in tokens if isinstance(token, dict)]
    if tokens and len(spelt) == len(tokens) and "".join(spelt) == part["text"]:
        for piece, token in zip(spelt, tokens, strict=True):
            yield piece, [token]
        return
    for piece in _PIECE.findall(part["text"]):
        yield piece, []


def _reasoning(item: Wire, place: Event) -> Iterator[Event]:
    kind = "response.reasoning_summary"
    for at, part in enumerate(item.get("summary") or ()):
        here = {**place, "summary_index": at}
        yield {"type": f"{kind}_part.added", **here, "part": {**part, "text": ""}}
        yield from _pieces(f"{kind}_text", part["text"], here)
        yield {"type": f"{kind}_text.done", **here, "text": part["text"]}
        yield {"type": f"{kind}_part.done", **here, "part": part}
    for at, part in enumerate(item.get("content") or ()):
        here = {**place, "content_index": at}
        yield {"type": "response.content_part.added", **here, "part": {**part, "text": ""}}
        yield from _pieces("response.reasoning_text", part["text"], here)
        yield {"type": "response.reasoning_text.done", **here, "text": part["text"]}
        yield {"type": "response.content_part.done", **here, "part": part}


def _pieces(kind: str, text: str, place: Event) -> Iterator[Event]:
    for piece in _PIECE.findall(text):
        yield {"type": f"{kind}.delta", **place, "delta": piece}
