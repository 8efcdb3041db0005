"""An answer in OpenAI's wire form, and the way between a whole answer and a stream.

Rules of this file:
1. A Completion is the object that a plain request gets; a Chunk is one event of a stream. Both
   keep every field that they came with, known or not.
2. `collect(replay(c)) == c` for every completion that a server can send.
   Only an `index` inside a whole answer's tool calls goes: it belongs to streams.
3. `collect` also merges the streams of real servers: content and tool-call arguments in pieces,
   several choices interleaved, usage in a last chunk without choices.

Legacy text completions (`text` in a choice, no `message`) pass through the same two functions, and
so do responses (`responses.events`), whose streams end with the whole answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from semcache.grounds import Grounds
from semcache.merging import SPOKEN, merge_choice, whole_choice
from semcache.responses import events, form

Wire = Mapping[str, Any]

_ON_EVERY_CHUNK = ("id", "created", "model", "system_fingerprint", "service_tier")
# Padding against listeners who measure events; new in every event.
_IN_STREAMS_ONLY = frozenset({"obfuscation"})
_PIECE = re.compile(r"\s*\S{1,16}|\s+")


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event of a stream: `wire` is the `chat.completion.chunk`, or a response's event.

    One of an answer's first chunks says what the answer rests on, where that may change, and the
    first one who answers, where several were asked.
    """

    wire: Wire
    grounds: Grounds | None = field(default=None, compare=False, repr=False)
    answerer: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer: `wire` is the `chat.completion`, `text_completion` or `response` object.

    `grounds`: what it rests on, of an answer that was just made from documents.
    """

    wire: Wire
    grounds: Grounds | None = field(default=None, compare=False, repr=False)

    @property
    def choices(self) -> list[dict[str, Any]]:
        """The choices, in the order of their index."""
        choices: list[dict[str, Any]] = self.wire.get("choices") or []
        return choices

    @property
    def is_text(self) -> bool:
        """Whether this is a legacy text completion."""
        return self.wire.get("object") == "text_completion"

    @property
    def is_response(self) -> bool:
        """Whether this is an answer of the Responses interface."""
        return self.wire.get("object") == "response"

    @property
    def is_embeddings(self) -> bool:
        """Whether this is a list of vectors (`embedding_items`)."""
        return self.wire.get("object") == "list"

    @property
    def text(self) -> str:
        """The first choice's text, empty where it has none; all text of a response."""
        if self.is_response:
            return form.text_of(self.wire)
        for choice in self.choices:
            message = choice if self.is_text else choice.get("message") or {}
            return message.get("text" if self.is_text else "content") or ""
        return ""


def text_completion_of(
    text: str,
    *,
    id: str,  # noqa: A002 - the wire's own name
    created: int,
    model: str,
    finish_reason: str = "stop",
    usage: Wire | None = None,
) -> Completion:
    """A chat completion that says `text` in one choice."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
    wire: dict[str, Any] = {
        "id": id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [choice],
    }
    if usage is not None:
        wire["usage"] = usage
    return Completion(wire)


# ------------------------------------------------------------------------------- stream → whole


def collect(chunks: Iterable[Chunk]) -> Completion:
    """Merge a finished stream into the answer that a plain request would have got."""
    top: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    is_text = False
    chunks = list(chunks)
    grounds = next((chunk.grounds for chunk in chunks if chunk.grounds is not None), None)
    if chunks and chunks[-1].wire.get("type") in form.ENDS:
        return Completion(chunks[-1].wire["response"], grounds)
    if chunks and chunks[-1].wire.get("object") == "list":
        return Completion(chunks[-1].wire)
    for chunk in chunks:
        for name, value in chunk.wire.items():
            if name == "choices":
                for piece in value or ():
                    merge_choice(choices.setdefault(piece.get("index", 0), {}), piece)
            elif name == "object":
                is_text = is_text or value == "text_completion"
            elif name not in _IN_STREAMS_ONLY:
                top[name] = _told(name, top.get(name), value)
    top["object"] = "text_completion" if is_text else "chat.completion"
    top["choices"] = [whole_choice(choices[index], is_text=is_text) for index in sorted(choices)]
    return Completion(top, grounds)


def _told(name: str, old: Any, new: Any) -> Any:
    """The first value that says something; of usage the last, because it may grow as it comes."""
    if new is None:
        return old
    return new if name == "usage" or not old else old


def without_usage(chunk: Chunk) -> Chunk | None:
    """The chunk for a caller who did not ask for usage; None where it holds nothing else.

    Usage beside choices stays: a server that sends it there does so unasked.
    """
    wire = chunk.wire
    if "usage" not in wire or (wire["usage"] is not None and wire.get("choices")):
        return chunk
    if wire["usage"] is not None:
        return None
    return Chunk({name: value for name, value in wire.items() if name != "usage"})


# ------------------------------------------------------------------------------- whole → stream


def replay(completion: Completion) -> Iterator[Chunk]:
    """Cut an answer into the chunks that a provider would have streamed.

    Text is cut at words, or at tokens where log probabilities say where the tokens are. Usage
    comes in a last chunk without choices.
    """
    wire = completion.wire
    if completion.is_response or completion.is_embeddings:
        yield from map(Chunk, events.replay(wire) if completion.is_response else [wire])
        return
    every = {name: wire[name] for name in _ON_EVERY_CHUNK if name in wire}
    every["object"] = "text_completion" if completion.is_text else "chat.completion.chunk"
    apart = {"choices", "usage", *every}
    once = {name: value for name, value in wire.items() if name not in apart}
    if "usage" in wire and wire["usage"] is None:
        once["usage"] = None
    for at, choice in enumerate(completion.choices):
        index = {"index": choice.get("index", at)}
        cut = _text_pieces(choice) if completion.is_text else _message_pieces(choice)
        for piece in cut:
            yield Chunk({**every, **once, "choices": [{**index, **piece}]})
            once = {}
    if wire.get("usage") is not None:
        yield Chunk({**every, **once, "choices": [], "usage": wire["usage"]})
    elif not completion.choices:
        yield Chunk({**every, **once, "choices": []})


def _message_pieces(choice: Wire) -> Iterator[dict[str, Any]]:
    message: Wire = choice.get("message") or {}
    quiet: dict[str, Any] = {"logprobs": None} if "logprobs" in choice else {}
    first = {name: _head(name, value) for name, value in message.items()}
    yield {"delta": first, **quiet, "finish_reason": None}
    logprobs = choice.get("logprobs")
    for name in SPOKEN:
        for text, shares in _spoken(name, message.get(name), logprobs):
            yield {"delta": {name: text}, **quiet, **shares, "finish_reason": None}
    for index, call in enumerate(message.get("tool_calls") or ()):
        for delta in _call_pieces(index, call):
            yield {"delta": {"tool_calls": [delta]}, **quiet, "finish_reason": None}
    apart = {"index", "message", "logprobs"}
    last = {name: value for name, value in choice.items() if name not in apart}
    yield {"delta": {}, **quiet, **_unspoken(message, logprobs), **last}


def _head(name: str, value: Any) -> Any:
    if name in SPOKEN and isinstance(value, str):
        return ""
    return [] if name == "tool_calls" and value else value


def _spoken(name: str, text: Any, logprobs: Wire | None) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(text, str):
        return
    tokens = (logprobs or {}).get(name)
    if _tells(tokens, text):
        for token in tokens or ():
            yield token["token"], {"logprobs": {name: [token]}}
        return
    for piece in _PIECE.findall(text):
        yield piece, {}


def _tells(tokens: Any, text: str) -> bool:
    """Whether these token log probabilities spell exactly this text."""
    if not isinstance(tokens, list) or not tokens:
        return False
    spelt = [t.get("token") if isinstance(t, dict) else None for t in tokens]
    return all(isinstance(s, str) for s in spelt) and "".join(spelt) == text  # type: ignore[arg-type]


def _unspoken(message: Wire, logprobs: Wire | None) -> dict[str, Any]:
    """The log probabilities that no text chunk has carried."""
    if logprobs is None:
        return {}
    rest: dict[str, Any] = {}
    for name, tokens in logprobs.items():
        text = message.get(name)
        if not (name in SPOKEN and isinstance(text, str) and _tells(tokens, text)):
            rest[name] = tokens
    return {"logprobs": rest}


def _call_pieces(index: int, call: Wire) -> Iterator[dict[str, Any]]:
    head = {**call, "index": index}
    function = call.get("function")
    arguments = function.get("arguments") if isinstance(function, dict) else None
    if not isinstance(arguments, str):
        yield head
        return
    yield {**head, "function": {**call["function"], "arguments": ""}}
    for piece in _PIECE.findall(arguments):
        yield {"index": index, "function": {"arguments": piece}}


def _text_pieces(choice: Wire) -> Iterator[dict[str, Any]]:
    rest = {name: value for name, value in choice.items() if name not in {"index", "text"}}
    quiet: dict[str, Any] = {"logprobs": None} if "logprobs" in choice else {}
    text = choice.get("text")
    for piece in _PIECE.findall(text or ""):
        yield {"text": piece, **quiet, "finish_reason": None}
    yield {"text": "" if isinstance(text, str) else text, **rest}
