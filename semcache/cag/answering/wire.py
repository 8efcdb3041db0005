"""An answer's events as the chunks that OpenAI's servers stream."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from semcache.cag.answering.events import Begun, Done, Ended, Event, Said, TokenScore
from semcache.chat import Kind
from semcache.completion import Chunk
from semcache.grounds import Grounds

_LEAST = -9999.0
"""What stands for a probability of zero, as JSON has no infinity."""


@dataclass(slots=True)
class WireForm:
    """One answer's identity on the wire, and what its usage will say.

    `citations` are told once, in the first chunk, and so is `grounds`. `ending` is appended to each
    choice's text.
    """

    kind: Kind
    id: str
    created: int
    model: str
    fingerprint: str
    choices: int
    citations: list[dict[str, str]] = field(default_factory=list)
    ending: str = ""
    grounds: Grounds | None = None
    _begun: Begun = field(default=Begun(0, 0))
    _length: dict[int, int] = field(default_factory=dict)

    def chunks(self, event: Event) -> Iterator[Chunk]:
        """The chunks for one event; usage comes last, in a chunk without choices."""
        match event:
            case Begun():
                self._begun = event
                if self.kind == "chat":
                    for index in range(self.choices):
                        yield self._chunk(index, {"role": "assistant", "content": ""})
            case Said():
                yield self._chunk(event.choice, event.text, event.scores)
            case Ended():
                if self.ending:
                    yield self._chunk(event.choice, self.ending)
                yield self._chunk(event.choice, None, reason=event.reason)
            case Done():
                yield Chunk({**self._head(), "choices": [], "usage": self._usage(event)})

    def _head(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "chat.completion.chunk" if self.kind == "chat" else "text_completion",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
        }

    def _chunk(
        self,
        index: int,
        said: str | dict[str, Any] | None,
        scores: tuple[TokenScore, ...] = (),
        reason: str | None = None,
    ) -> Chunk:
        choice: dict[str, Any] = {"index": index}
        if self.kind == "chat":
            content = {"content": said} if isinstance(said, str) else said or {}
            choice["delta"] = content
            choice["logprobs"] = {"content": [_score(s) for s in scores]} if scores else None
        else:
            choice["text"] = said or ""
            choice["logprobs"] = self._text_scores(index, scores) if scores else None
        choice["finish_reason"] = reason
        cited, self.citations = self.citations, []
        grounds, self.grounds = self.grounds, None
        told = {"citations": cited} if cited else {}
        return Chunk({**self._head(), **told, "choices": [choice]}, grounds)

    def _text_scores(self, index: int, scores: tuple[TokenScore, ...]) -> dict[str, Any]:
        offsets = []
        for score in scores:
            offsets.append(self._length.get(index, 0))
            self._length[index] = offsets[-1] + len(score.text)
        return {
            "tokens": [score.text for score in scores],
            "token_logprobs": [_finite(score.logprob) for score in scores],
            "top_logprobs": [{text: _finite(p) for text, p in score.top} for score in scores],
            "text_offset": offsets,
        }

    def _usage(self, done: Done) -> dict[str, Any]:
        return {
            "prompt_tokens": self._begun.prompt,
            "completion_tokens": done.generated,
            "total_tokens": self._begun.prompt + done.generated,
            "prompt_tokens_details": {"cached_tokens": self._begun.reused},
        }


def _score(score: TokenScore) -> dict[str, Any]:
    top = [_token(text, logprob) for text, logprob in score.top]
    return {**_token(score.text, score.logprob), "top_logprobs": top}


def _token(text: str, logprob: float) -> dict[str, Any]:
    # A token that holds part of a character has bytes that its text cannot tell.
    known = None if "\ufffd" in text else list(text.encode())
    return {"token": text, "logprob": _finite(logprob), "bytes": known}


def _finite(logprob: float) -> float:
    return logprob if math.isfinite(logprob) else _LEAST
