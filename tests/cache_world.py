"""Everything around a SemCache for its tests: real store, real encoder, a scripted answerer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from semcache.cache import SemCache
from semcache.chat import ChatRequest
from semcache.completion import Completion
from semcache.embedding import SentenceEncoder
from semcache.policy import PolicySettings
from semcache.reply import Reply
from semcache.store import LocalStore
from tests.scripted import ScriptedAnswerer

HEIGHT = "How tall is the Eiffel Tower?"
HEIGHT_TOO = "What is the height of the Eiffel Tower?"
BREAD = "How do I bake a sourdough bread?"


class World:
    """Everything around a SemCache, with a clock that stands still."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1_000_000.0
        self.answerer = ScriptedAnswerer()

    @asynccontextmanager
    async def cache(self, **settings: Any) -> AsyncIterator[SemCache]:
        encoder = SentenceEncoder.open()
        store = LocalStore(
            self.folder, dim=encoder.dim, embedder=encoder.fingerprint, clock=lambda: self.now
        )
        made = SemCache(
            store=store,
            embedder=encoder,
            answerers=[self.answerer],
            settings=PolicySettings(**settings),
            clock=lambda: self.now,
        )
        try:
            yield made
        finally:
            await made.aclose()


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 30))


def ask(text: str = HEIGHT, tenant: str = "t", model: str = "m", **options: Any) -> ChatRequest:
    body = {"model": model, "messages": [{"role": "user", "content": text}], **options}
    return ChatRequest.from_wire(body, tenant=tenant)


async def answered(reply: Reply) -> Completion:
    completion = await reply.completion()
    await reply.stored()
    reply.close()
    return completion
