"""Every error that semcache raises on purpose.

    SemcacheError                      500 internal_error
    ├── RequestError                   400 invalid_request_error    the caller can mend it
    │   ├── AuthenticationError        401 invalid_api_key
    │   ├── Forbidden                  403 forbidden
    │   ├── ModelNotFound              404 model_not_found
    │   ├── UnknownAnswer              404 unknown_answer
    │   ├── PayloadTooLarge            413 payload_too_large
    │   ├── HeadTooLarge               431 head_too_large
    │   ├── RequestTooSlow             408 request_too_slow
    │   ├── TooManyRequests            429 rate_limit_exceeded
    │   │   └── QuotaExceeded          429 insufficient_quota
    │   └── ContextLengthExceeded      400 context_length_exceeded
    ├── ConfigError                    500 invalid_config           the operator can mend it
    │   ├── KnowledgeTooLarge          500 knowledge_too_large
    │   └── UnreadableDocument         500 unreadable_document
    ├── StoreError                     500 store_error
    │   └── StoreLocked                503 store_locked
    ├── EmbeddingError                 500 embedding_error
    ├── ServerBusy                     503 server_busy
    └── AnswerError                    502 answer_error             no answer could be had
        ├── EngineError                500 engine_error
        ├── EngineBusy                 503 engine_busy
        ├── Declined                   404 not_in_knowledge         and nobody else was asked
        ├── NotCached                  504 not_cached               only-if-cached, and it is not
        ├── AnswerTimeout              504 answer_timeout
        └── UpstreamError              as the upstream said         relayed as it is
            └── UpstreamDown           503 upstream_down            nobody asks it for a while

Rules: a class knows the HTTP status and the `code` of OpenAI's error object; a message says what
to do about it and holds no prompt, answer or key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal


class SemcacheError(Exception):
    """Root of the tree. `param` names the offending request field where there is one."""

    status: int = 500
    code: str = "internal_error"
    type: str = "server_error"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    def to_wire(self) -> dict[str, Any]:
        """The body that OpenAI's servers send with an error status."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }


class RequestError(SemcacheError):
    """The request is malformed; nothing was stored and nothing was asked."""

    status = 400
    code = "invalid_request"
    type = "invalid_request_error"


class AuthenticationError(RequestError):
    """No key, or a wrong one."""

    status = 401
    code = "invalid_api_key"


class Forbidden(RequestError):
    """Nobody may do this in this way."""

    status = 403
    code = "forbidden"


class ModelNotFound(RequestError):
    """No configured answerer accepts the model that was asked for."""

    status = 404
    code = "model_not_found"


class UnknownAnswer(RequestError):
    """No answer of this tenant has the id that feedback names."""

    status = 404
    code = "unknown_answer"


class TooManyRequests(RequestError):
    """The key has asked too often; it may again after `retry_after_s` seconds."""

    status = 429
    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QuotaExceeded(TooManyRequests):
    """The key has spent what it may; it has something again after `retry_after_s` seconds."""

    code = "insufficient_quota"
    type = "insufficient_quota"


class PayloadTooLarge(RequestError):
    """The request body is larger than the configured limit."""

    status = 413
    code = "payload_too_large"


class HeadTooLarge(RequestError):
    """Request line and headers are larger than the configured limit."""

    status = 431
    code = "head_too_large"


class RequestTooSlow(RequestError):
    """The request was not whole in time."""

    status = 408
    code = "request_too_slow"


class ContextLengthExceeded(RequestError):
    """Prompt and requested answer do not fit the model's window."""

    status = 400
    code = "context_length_exceeded"


class ConfigError(SemcacheError):
    """The configuration cannot be used; raised at start, never while serving."""

    code = "invalid_config"


class KnowledgeTooLarge(ConfigError):
    """The knowledge does not fit the model's window."""

    code = "knowledge_too_large"


class UnreadableDocument(ConfigError):
    """A file of the knowledge holds no text that could be read; the message names it."""

    code = "unreadable_document"


class StoreError(SemcacheError):
    """The durable store failed. While serving, this is logged and counts as a miss."""

    code = "store_error"


class StoreLocked(StoreError):
    """Another process holds the store for longer than the busy timeout."""

    status = 503
    code = "store_locked"


class EmbeddingError(SemcacheError):
    """The encoder failed. While serving, this is logged and counts as a miss."""

    code = "embedding_error"


class ServerBusy(SemcacheError):
    """The server has as many requests as it takes; try again after `retry_after_s` seconds."""

    status = 503
    code = "server_busy"

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class AnswerError(SemcacheError):
    """An answerer could not answer."""

    status = 502
    code = "answer_error"


class EngineError(AnswerError):
    """The local engine failed on this request."""

    status = 500
    code = "engine_error"


class EngineBusy(AnswerError):
    """The local engine's queue is full; try again after `retry_after_s` seconds."""

    status = 503
    code = "engine_busy"

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Declined(AnswerError):
    """An answerer has nothing to say about this question: the next one is asked.

    `base`: the state of the documents that have nothing on it (`grounds.Grounds`).
    """

    status = 404
    code = "not_in_knowledge"

    def __init__(self, message: str, *, base: str = "") -> None:
        super().__init__(message)
        self.base = base


class NotCached(AnswerError):
    """`only-if-cached` was asked for, and the answer is not there (RFC 9111, section 5.2.1.7)."""

    status = 504
    code = "not_cached"

    def __init__(
        self, message: str = "The answer is not in the cache, and only-if-cached was asked."
    ) -> None:
        super().__init__(message)


class AnswerTimeout(AnswerError):
    """The whole answer took longer than the server allows."""

    status = 504
    code = "answer_timeout"


class UpstreamError(AnswerError):
    """The upstream answered with an error, or not at all.

    `body` and `headers` are the upstream's own and reach the client as they are; without a body
    (the connection failed) the usual error object is sent with status 502. `cause`: it was "silent"
    for too long, or a limit is "ours".
    """

    code = "upstream_error"

    def __init__(
        self,
        message: str,
        *,
        status: int = 502,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        cause: Literal["", "silent", "ours"] = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
        self.headers: Mapping[str, str] = dict(headers or {})
        self.cause = cause


class UpstreamDown(UpstreamError):
    """The upstream has failed too often to be asked now; it may be after `retry_after_s`."""

    status = 503
    code = "upstream_down"

    def __init__(
        self,
        message: str = "The upstream keeps failing and is left alone for a while.",
        *,
        retry_after_s: int = 1,
    ) -> None:
        super().__init__(message, status=503)
        self.retry_after_s = retry_after_s
