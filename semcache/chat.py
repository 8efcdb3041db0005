"""A request in OpenAI's wire form, checked once and frozen.

Rules of this file:
1. `from_wire` accepts what OpenAI's servers accept, keeps unknown fields, and refuses what no
   server could mean: wrong types, absurd numbers, no messages. A refusal names the field.
2. Nothing is defaulted, reordered or dropped: `to_wire` gives back what came in, except that not
   streaming is said by silence, and a list of one prompt, or of one bare text, as that text.
3. Mappings inside a request are never changed after parsing.

The field rules follow OpenAI's API reference for `/v1/chat/completions`, `/v1/completions` and
`/v1/responses`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from semcache.caller import Caller
from semcache.errors import RequestError
from semcache.field_rules import RULES, is_int, is_objects
from semcache.responses.asked import input_of, read_input

Kind = Literal["chat", "completion", "response", "embedding"]
Message = Mapping[str, Any]

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
MAX_MESSAGES = 4096
MAX_MODEL_NAME = 256
TEXT_PARTS = frozenset({"text", "input_text"})

_OWN_FIELDS = frozenset({"model", "messages", "stream", "stream_options"})


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a model, from one tenant: the `caller`'s, where there is one.

    `messages` is empty only for a legacy completion whose prompt is not a single text (a batch of
    prompts, or token ids): that one is kept in `options["prompt"]` and is never fuzzy; and for a
    response whose prompt is stored at the server. Those of a response are the items of its input.
    A request for embeddings has none: its `options["input"]` is one item or a list of them.
    `options` holds every other field of the body but `model`, `stream` and `stream_options`.
    `headers` are the caller's that the operator lets through to an upstream: part of what is asked.
    """

    kind: Kind
    tenant: str
    model: str
    messages: tuple[Message, ...]
    options: Mapping[str, Any]
    stream: bool = False
    stream_options: Mapping[str, Any] | None = None
    caller: Caller | None = field(default=None, compare=False, repr=False)
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def route(self) -> str:
        """The last part of the path that such a request comes to: `chat`, `completions`, …"""
        return self.kind if self.kind == "chat" else f"{self.kind}s"

    @classmethod
    def from_wire(
        cls, body: object, *, tenant: str, kind: Kind = "chat", caller: Caller | None = None
    ) -> ChatRequest:
        """Parse a decoded JSON body. Raises RequestError, naming the field."""
        if not isinstance(body, dict):
            raise RequestError("The request body must be a JSON object.")
        model = body.get("model")
        if not isinstance(model, str) or not 0 < len(model) <= MAX_MODEL_NAME:
            raise RequestError("You must provide a model parameter: a short text.", param="model")
        for name, value in body.items():
            rule = RULES.get(name)
            if rule is not None and value is not None and not rule.holds(value):
                raise RequestError(f"Invalid value for '{name}': expected {rule.says}.", param=name)
        options = {k: v for k, v in body.items() if k not in _OWN_FIELDS}
        if kind == "chat":
            messages = _messages(body.get("messages"))
        elif kind == "response":
            messages = read_input(body)
            options.pop("input", None)
        elif kind == "embedding":
            messages = ()
        else:
            messages = _prompt(body.get("prompt"))
            if messages:
                del options["prompt"]
        return cls(
            kind=kind,
            tenant=tenant,
            model=model,
            messages=messages,
            options=options,
            stream=kind != "embedding" and bool(body.get("stream")),
            stream_options=body.get("stream_options"),
            caller=caller,
        )

    def to_wire(self) -> dict[str, Any]:
        """The body to send to an OpenAI-compatible server."""
        body: dict[str, Any] = {"model": self.model}
        if self.kind == "chat":
            body["messages"] = list(self.messages)
        elif self.kind == "response" and self.messages:
            body["input"] = input_of(self.messages)
        elif self.messages:
            body["prompt"] = self.messages[0]["content"]
        body.update(self.options)
        if self.stream:
            body["stream"] = True
        if self.stream_options is not None:
            body["stream_options"] = dict(self.stream_options)
        return body

    @property
    def include_usage(self) -> bool:
        """Whether a streaming caller asked for the final usage chunk."""
        return bool((self.stream_options or {}).get("include_usage"))


def text_request(text: str, *, tenant: str, model: str) -> ChatRequest:
    """The plainest request: one user message, no options."""
    return ChatRequest(
        kind="chat",
        tenant=tenant,
        model=model,
        messages=({"role": "user", "content": text},),
        options={},
    )


def read_question_body(
    body: object, *, tenant: str, model: str, responses: bool = False
) -> ChatRequest:
    """A chat or completion request, or `{"question": text}` with any other field of one.

    `model` is asked where the body names none. `responses`: with `input` it is one for a response.
    Raises RequestError.
    """
    if not isinstance(body, dict):
        raise RequestError("The request body must be a JSON object.")
    fields = {"model": model, **body}
    if "question" in fields:
        text = fields.pop("question")
        if not isinstance(text, str) or not text.strip():
            raise RequestError("'question' must be a text that is not empty.", param="question")
        if "messages" in fields or "prompt" in fields:
            message = "Give 'question', or 'messages', or 'prompt': one of them."
            raise RequestError(message, param="question")
        fields["messages"] = [{"role": "user", "content": text}]
    kind: Kind = "chat"
    if "messages" not in fields:
        kind = "completion" if "prompt" in fields else kind
        kind = "response" if responses and "input" in fields else kind
    return ChatRequest.from_wire(fields, tenant=tenant, kind=kind)


def message_text(message: Message) -> str:
    """The text of a message: its content, or its text parts joined by newlines."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content if part.get("type") in TEXT_PARTS)
    return "\n".join(text for text in texts if isinstance(text, str))


def _messages(value: object) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise RequestError("'messages' must be a list with at least one message.", param="messages")
    if len(value) > MAX_MESSAGES:
        raise RequestError(f"'messages' may hold at most {MAX_MESSAGES}.", param="messages")
    for at, message in enumerate(value):
        problem = _message_problem(message)
        if problem:
            raise RequestError(f"Invalid messages[{at}]: {problem}.", param=f"messages[{at}]")
    return tuple(value)


def _message_problem(message: object) -> str | None:
    if not isinstance(message, dict):
        return "expected an object"
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        return f"'role' must be one of {', '.join(sorted(ROLES))}"
    if not is_objects(message.get("tool_calls") or []):
        return "'tool_calls' must be a list of objects"
    if not isinstance(message.get("function_call") or {}, dict):
        return "'function_call' must be an object"
    return _content_problem(role, message.get("content"))


def _content_problem(role: str, content: object) -> str | None:
    if isinstance(content, str):
        return None
    if content is None:
        nullable = role in {"assistant", "function"}
        return None if nullable else f"a {role} message needs 'content'"
    if not isinstance(content, list):
        return "'content' must be a text or a list of parts"
    if not content:
        return "'content' has no parts"
    return next(filter(None, map(_part_problem, content)), None)


def _part_problem(part: object) -> str | None:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        return "every content part must be an object with a 'type'"
    if part["type"] == "text" and not isinstance(part.get("text"), str):
        return "a text part needs 'text'"
    if part["type"] == "image_url" and not _is_image_url(part.get("image_url")):
        return "an image_url part needs {'image_url': {'url': text}}"
    return None


def _is_image_url(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("url"), str)


def _prompt(value: object) -> tuple[Message, ...]:
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        value = value[0]
    if isinstance(value, str):
        return ({"role": "user", "content": value},)
    if isinstance(value, list) and value and _is_prompt_batch(value):
        return ()
    raise RequestError("'prompt' must be a text, texts, or token ids.", param="prompt")


def _is_prompt_batch(value: list[Any]) -> bool:
    return (
        all(isinstance(item, str) for item in value)
        or all(is_int(item) for item in value)
        or all(
            isinstance(item, list) and bool(item) and all(is_int(token) for token in item)
            for item in value
        )
    )
