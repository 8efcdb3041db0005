"""What makes two requests the same.

Rules of this file:
1. Every digest is BLAKE2b-256 over a canonical, length-prefixed encoding: no two different inputs
   have the same encoding, and the order of object members never matters.
2. Whatever can change an answer is in the key. What cannot is named once, in `_NOT_IN_KEY`.
   An unknown field can.
3. The tenant, the model asked for, who answers (model and knowledge), the context and the
   parameters make the Scope. Only the last user text may ever differ between a question and an
   answer that is served for it, and then only inside an equal Scope.

A Scope is RFC 9111's `Vary` (section 4.1), for prompts.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

import orjson

from semcache.chat import TEXT_PARTS, ChatRequest, Message, message_text
from semcache.errors import RequestError

_NOT_IN_KEY = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
    }
)
_IDENTITY = ("safety_identifier", "user")
_NUMERIC = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_BARE_TEXTS = tuple({"type": kind} for kind in sorted(TEXT_PARTS))
_SORTED = orjson.OPT_SORT_KEYS


@dataclass(frozen=True, slots=True)
class Source:
    """Who would answer: the answerer's own name, its model's identity, its knowledge's digest.

    `knowledge` is empty where each question is given passages of its own. `base` is the state of
    the documents in any case, and no part of the key: see `grounds`.
    """

    answerer: str = ""
    model: str = ""
    knowledge: str = ""
    base: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """All that must be equal for two questions to share an answer."""

    tenant: str
    model: str
    source: Source
    context: str
    params: str

    def digest(self) -> str:
        """64 hex digits; the partition of the vector index."""
        return _scope_digest(self)


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A request's place in the cache.

    `exact` (64 hex digits) is equal only for equal requests. `question` is the last user text, or
    None where the request may be matched exactly only (it does not end with a user's text).
    """

    exact: str
    scope: Scope
    question: str | None


Extract: TypeAlias = Callable[[str], tuple[str, str]]
"""From the last user text to (the question to match, the part of it that must be equal)."""


def whole(text: str) -> tuple[str, str]:
    """The default Extract: all of the text is the question."""
    return text, ""


def request_key(
    request: ChatRequest,
    source: Source = Source(),
    extract: Extract = whole,
    *,
    per_user: bool = False,
    namespace: str = "",
) -> RequestKey:
    """Derive exact key, scope and fuzzy question from a request and who would answer it.

    `per_user`: the user that the request names is a parameter that can change the answer.
    `namespace`: a part of the tenant's cache of its own, a parameter as well.
    Raises RequestError for what JSON cannot carry: no key could stand for it.
    """
    earlier, last = request.messages[:-1], request.messages[-1:]
    text = question(request)
    fixed = last if text is None else _without_text(last[0])
    asked, frame = (None, "") if text is None else extract(text)
    params = _params_digest(request, fixed, frame, identity(request) if per_user else ())
    scope = Scope(
        tenant=request.tenant,
        model=request.model,
        source=source,
        context=_digest(b"context", *map(_message_bytes, earlier)) if earlier else _NO_CONTEXT,
        params=_digest(b"namespace", _utf8(namespace), params.encode()) if namespace else params,
    )
    content = () if text is None else _parts(last[0])
    return RequestKey(exact=exact_of(scope, text, content), scope=scope, question=asked)


def exact_of(scope: Scope, text: str | None, content: Sequence[Mapping[str, Any]] = ()) -> str:
    """The exact key of the last user text inside a scope; `content`: its parts, if it has some."""
    parts = [scope.digest().encode(), b"" if text is None else b"t" + _utf8(text)]
    return _digest(b"exact", *parts, *map(_part_bytes, content))


def exact_key(request: ChatRequest, source: Source = Source()) -> str:
    """The exact key alone: 64 hex digits."""
    return request_key(request, source).exact


def identity(request: ChatRequest) -> tuple[str, ...]:
    """The user that a request names, by `safety_identifier` and `user`; () for nobody."""
    named = [request.options.get(name) or "" for name in _IDENTITY]
    return tuple(map(str, named)) if any(named) else ()


def question(request: ChatRequest) -> str | None:
    """The only text that may be matched in other words, or None.

    A request whose last message is not the user's (a tool loop, a prefilled answer), or whose last
    message has no text, is exact only.
    """
    if not request.messages or request.messages[-1].get("role") != "user":
        return None
    text = message_text(request.messages[-1])
    return text if text.strip() else None


def tenant_of(secret: bytes, api_key: str | None) -> str:
    """The tenant of an authenticated key: HMAC-BLAKE2b under the installation's secret.

    Without a key, the one anonymous tenant. A key cannot be found from its tenant.
    """
    if not api_key:
        return "anonymous"
    return hmac.new(secret, api_key.encode(), "blake2b").hexdigest()[:32]


# ------------------------------------------------------------------------------------- encoding


def _digest(label: bytes, *parts: bytes) -> str:
    digest = blake2b(label, digest_size=32)
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()


def _json(value: object) -> bytes:
    try:
        return orjson.dumps(value, option=_SORTED)
    except TypeError as error:
        raise RequestError(f"The request cannot be written as JSON: {error}.") from error


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise RequestError("The request holds a text that is not Unicode.") from error


_NO_CONTEXT = _digest(b"context")


@lru_cache(maxsize=4096)
def _scope_digest(scope: Scope) -> str:
    source = scope.source
    fields = (
        scope.tenant,
        scope.model,
        source.answerer,
        source.model,
        source.knowledge,
        scope.context,
        scope.params,
    )
    return _digest(b"scope", *map(_utf8, fields))


def _params_digest(
    request: ChatRequest, fixed: Sequence[Message], frame: str, user: Sequence[str]
) -> str:
    if not (request.options or fixed or frame or user or request.headers):
        return _plain_params_digest(request.kind)
    options = {
        name: value
        for name, value in request.options.items()
        if value is not None and name not in _NOT_IN_KEY
    }
    for name in _NUMERIC:
        if name in options:
            options[name] = float(options[name])
    if request.kind == "response" and request.options.get("store") is False:
        options["store"] = False  # what is kept at the server can be named by a later request
    parts = [request.kind.encode(), _json(options), _utf8(frame)]
    parts.extend(map(_message_bytes, fixed))
    if request.headers:
        parts = [_digest(b"with headers", _json(request.headers), *parts).encode()]
    if user:
        return _digest(b"params of a user", _json(user), *parts)
    return _digest(b"params", *parts)


@lru_cache(maxsize=8)
def _plain_params_digest(kind: str) -> str:
    """The digest of a request without options: the commonest, and the same every time."""
    return _digest(b"params", kind.encode(), b"{}", b"")


def _parts(message: Message) -> list[Any]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _without_text(message: Message) -> tuple[Message, ...]:
    """The last user message less its text: what the scope must hold fixed of it.

    Where a text stands among the images is part of what is asked, and so is all that a text part
    holds beside its text; a message of nothing but text is as fuzzy in parts as in one piece.
    """
    parts = _parts(message)
    kept = [_less_text(part) if part.get("type") in TEXT_PARTS else part for part in parts]
    if all(part in _BARE_TEXTS for part in kept):
        kept = []
    rest = {name: value for name, value in message.items() if name != "content"}
    if not kept and rest == {"role": "user"}:
        return ()
    return ({**rest, "content": kept},)


def _less_text(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name != "text"}


def _message_bytes(message: Message) -> bytes:
    content = message.get("content")
    if not isinstance(content, list):
        return b"m" + _json(message)
    rest = {name: value for name, value in message.items() if name != "content"}
    parts = b"".join(b"%d:%b" % (len(p), p) for p in map(_part_bytes, content))
    return b"p%d:%b%b" % (len(parts), parts, _json(rest))


def _part_bytes(part: Mapping[str, Any]) -> bytes:
    """One content part; an image given inline stands for its bytes, not for their spelling."""
    image = part.get("image_url")
    if part.get("type") == "image_url" and isinstance(image, dict):
        content = _inline_bytes(image.get("url", ""))
        if content is not None:
            named = {**part, "image_url": {**image, "url": _digest(b"image", *content)}}
            return b"i" + _json(named)
    return b"j" + _json(part)


def _inline_bytes(url: str) -> tuple[bytes, bytes] | None:
    """(media type, content) of a `data:` URL (RFC 2397); None where it is none or broken."""
    if url[:5].lower() != "data:" or "," not in url:
        return None
    head, _, data = url[5:].partition(",")
    media, semicolon, encoding = head.rpartition(";")
    try:
        content = unquote_to_bytes(data)
        if not semicolon or encoding.strip().lower() != "base64":
            return head.lower().encode(), content
        content = base64.b64decode("".join(content.decode().split()), validate=True)
        return media.lower().encode(), content
    except ValueError:
        return None
