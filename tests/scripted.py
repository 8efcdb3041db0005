"""A double of the outside world: an answerer that says what the test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from semcache.chat import ChatRequest, message_text
from semcache.completion import Chunk, Completion, replay, text_completion_of
from semcache.keys import Source


def echo(request: ChatRequest) -> Completion:
    """An answer that names the question and the model, so that a mix-up shows."""
    text = f"{request.model} answers: {message_text(request.messages[-1])}"
    usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    return text_completion_of(
        text, id="chatcmpl-source", created=1_700_000_000, model=request.model, usage=usage
    )


class ScriptedAnswerer:
    """Answers by `script`; counts its calls; can be held, and can fail midway."""

    def __init__(
        self,
        script: Callable[[ChatRequest], Completion] = echo,
        *,
        name: str = "scripted",
        models: Sequence[str] = ("m",),
        knowledge: str = "",
        error: Exception | None = None,
        fail_after: int = 0,
    ) -> None:
        self.name = name
        self.calls: list[ChatRequest] = []
        self.cancelled = 0
        self.knowledge = knowledge
        self.error = error
        self.fail_after = fail_after
        self.gate: asyncio.Event | None = None
        self._script = script
        self._models = tuple(models)

    def accepts(self, request: ChatRequest) -> bool:
        return request.model in self._models

    def source(self, request: ChatRequest) -> Source:
        return Source(self.name, request.model, self.knowledge)

    async def answer(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        self.calls.append(request)
        try:
            for at, chunk in enumerate(replay(self._script(request))):
                if self.error is not None and at >= self.fail_after:
                    raise self.error
                yield chunk
                if at == 0 and self.gate is not None:
                    await self.gate.wait()
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise

    def models(self) -> Sequence[str]:
        return self._models

    async def aclose(self) -> None:
        return None
