"""Another answerer, given the documents with each question: they are put into its prompt.

Where all documents fit `whole_tokens`, they are the first words of every prompt, always the same,
so that a server that keeps the KV of prefixes reads them once (vLLM's automatic prefix caching,
llama.cpp's prompt cache). Otherwise the passages that were found for a question are put in front of
it, the best one last, after an instruction that never changes; a question that none is relevant for
goes through as it came. Either way the caller's own words follow unchanged, and answers carry what
they were given as `citations`.

Only what is asked as a chat is grounded: a legacy completion goes through as it came, and so does
a chat that says `"knowledge": false`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, cast

from semcache.chat import ChatRequest, Message, message_text
from semcache.citations import Citation, wants_documents
from semcache.completion import Chunk
from semcache.grounds import Grounds
from semcache.interfaces import Relayed
from semcache.keys import Source
from semcache.retrieval import Collection, Found, Library, Passage, grounds_of

_MOST_BYTES_PER_TOKEN = 16


@dataclass(frozen=True, slots=True)
class GroundingSettings:
    """`instruction` stands in front of the documents.

    All of them are given where they have at most `whole_tokens` by the count at hand; otherwise
    up to `passages` passages of at most `passage_tokens` together, none below the relevance
    `floor` (`Found.score`).
    """

    instruction: str
    whole_tokens: int = 8_000
    passages: int = 8
    passage_tokens: int = 2_000
    floor: float = 0.0
    texts_in_citations: bool = False


@dataclass(frozen=True, slots=True)
class _State:
    """One state of the documents. `whole` is the text of all of them, or None where too large."""

    collection: Collection
    whole: str | None
    cited: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class _Given:
    """A request with what it was given, the citations of that, and what it is, of which state."""

    request: ChatRequest
    cited: tuple[Citation, ...]
    grounds: Grounds


class Grounded:
    """Implements `interfaces.Answerer` and `interfaces.FromDocuments`.

    `load` before use; `library` stays the caller's.
    """

    def __init__(
        self,
        answerer: Relayed,
        library: Library,
        settings: GroundingSettings,
        count: Callable[[str], int],
    ) -> None:
        self._answerer = answerer
        self._library = library
        self._settings = settings
        self._count = count
        self._changing = threading.Lock()
        self._state: _State | None = None

    def load(self, progress: Callable[[str], None]) -> None:
        """Read the documents. Blocking. Raises ConfigError and StoreError."""
        with self._changing:
            self._state = self._stated(self._library.update(progress))

    def reload_knowledge(self, progress: Callable[[str], None]) -> bool:
        """Read what has changed; whether the documents are others now. Blocking.

        Raises ConfigError and StoreError, and the old documents stay in force.
        """
        with self._changing:
            before = self._ready()
            collection = self._library.update(progress)  # others use the library as well
            if collection.digest == before.collection.digest:
                return False
            self._state = self._stated(collection)
            return True

    @property
    def knowledge_digest(self) -> str:
        """64 hex digits over the documents; empty without any."""
        return self._ready().collection.digest

    @property
    def keyed_knowledge(self) -> str:
        """What of the documents is part of every key: their digest where all of them are given."""
        state = self._ready()
        return "" if state.whole is None else state.collection.digest

    @property
    def name(self) -> str:
        """The other answerer's."""
        return self._answerer.name

    def accepts(self, request: ChatRequest) -> bool:
        """Whether the other answerer does."""
        return self._answerer.accepts(request)

    def source(self, request: ChatRequest) -> Source:
        """The other answerer's, with the documents and how they are given."""
        source = self._answerer.source(request)
        if not _is_grounded(request):
            return source
        how = blake2b(repr(self._settings).encode(), digest_size=8).hexdigest()
        return replace(
            source,
            model=f"{source.model} {how}",
            knowledge=self.keyed_knowledge,
            base=self.knowledge_digest,
        )

    def grounds(self, request: ChatRequest) -> Grounds:
        """Implements `interfaces.FromDocuments`."""
        return self._grounded(request).grounds

    def models(self) -> Sequence[str]:
        """The other answerer's."""
        return self._answerer.models()

    async def fetch_models(self, key: str | None = None) -> list[dict[str, Any]]:
        """The other answerer's."""
        return await self._answerer.fetch_models(key)

    async def knows(self, key: str, path: str) -> bool:
        """Whether the other answerer does."""
        return await self._answerer.knows(key, path)

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """The other's answer to the grounded question. Raises what it raises, and StoreError."""
        given = await asyncio.to_thread(self._grounded, request)
        async with aclosing(cast(Any, self._answerer.answer(given.request))) as chunks:
            first = True
            async for chunk in chunks:
                yield self._told(chunk, given) if first else chunk
                first = False

    async def aclose(self) -> None:
        """Close the other answerer."""
        await self._answerer.aclose()

    def _grounded(self, request: ChatRequest) -> _Given:
        state, settings = self._ready(), self._settings
        base = state.collection.digest
        if not _is_grounded(request):
            return _Given(request, (), Grounds("", ""))
        if state.whole is not None and len(state.collection):
            text = f"{settings.instruction}\n\n{state.whole}"
            names = tuple(one.document for one in state.cited)
            return _Given(_with_system(request, text), state.cited, Grounds(base, base, names))
        found = self._found(state.collection, question_of(request.messages))
        passages = [one.passage for one in found]
        grounds = grounds_of(base, passages)
        if not found:
            return _Given(request, (), grounds)
        asked = _with_passages(request, passages[::-1])
        cited = tuple(map(Citation.of, passages))
        return _Given(_with_system(asked, settings.instruction), cited, grounds)

    def _found(self, collection: Collection, question: str) -> list[Found]:
        """Best first, within the budget; the best one always, if it is relevant at all."""
        settings = self._settings
        kept: list[Found] = []
        tokens = 0
        for one in collection.search(question, settings.passages) if question else ():
            tokens += one.passage.tokens
            if one.score < settings.floor or (kept and tokens > settings.passage_tokens):
                break
            kept.append(one)
        return kept

    def _told(self, chunk: Chunk, given: _Given) -> Chunk:
        """An answer's first chunk, with its citations and what it rests on."""
        grounds = given.grounds if given.grounds.base else None
        if not given.cited:
            return replace(chunk, grounds=grounds)
        told = [one.to_wire(self._settings.texts_in_citations) for one in given.cited]
        return Chunk({**chunk.wire, "citations": told}, grounds)

    def _stated(self, collection: Collection) -> _State:
        if collection.size_bytes > self._settings.whole_tokens * _MOST_BYTES_PER_TOKEN:
            return _State(collection, None, ())
        documents = list(collection.documents())
        text = "\n\n".join(f"Document: {one.name}\n\n{one.text}" for one in documents)
        if self._count(text) > self._settings.whole_tokens:
            return _State(collection, None, ())
        cited = tuple(Citation(one.name, "", "", one.text) for one in documents)
        return _State(collection, text, cited)

    def _ready(self) -> _State:
        if self._state is None:
            raise RuntimeError("load() comes first")
        return self._state


def _is_grounded(request: ChatRequest) -> bool:
    return request.kind == "chat" and wants_documents(request)


def question_of(messages: Sequence[Message]) -> str:
    """What is looked up: the last user's words, led by those before where they are a follow-up."""
    asked = [message_text(one).strip() for one in messages if one["role"] == "user"]
    return "\n".join(filter(None, asked[-2:]))


def _with_system(request: ChatRequest, text: str) -> ChatRequest:
    """The text as the first words of the prompt, the caller's own system message after them."""
    first, rest = request.messages[0], request.messages[1:]
    if first["role"] in {"system", "developer"} and isinstance(first.get("content"), str):
        first = {**first, "content": f"{text}\n\n{first['content']}"}
    else:
        first, rest = {"role": "system", "content": text}, request.messages
    return replace(request, messages=(first, *rest))


def _with_passages(request: ChatRequest, passages: Sequence[Passage]) -> ChatRequest:
    """The passages in front of the last user message, each with where it is from."""
    told = "\n\n".join(f"[{_place(one)}]\n{one.text}" for one in passages)
    messages = list(request.messages)
    at = next((at for at in reversed(range(len(messages))) if messages[at]["role"] == "user"), None)
    if at is None:
        return request
    messages[at] = _preceded(messages[at], f"Documents:\n\n{told}\n\nQuestion: ")
    return replace(request, messages=tuple(messages))


def _place(passage: Passage) -> str:
    return f"{passage.document}: {passage.heading}" if passage.heading else passage.document


def _preceded(message: Message, text: str) -> Mapping[str, Any]:
    content = message.get("content")
    if isinstance(content, list):
        return {**message, "content": [{"type": "text", "text": text}, *content]}
    return {**message, "content": f"{text}{content or ''}"}
