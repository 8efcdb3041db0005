"""The local engine: answers from documents that its model has already read.

Cache-augmented generation (arXiv 2412.15605) with a prefix that is read once, kept on disk, and
shared by all requests. Implements `interfaces.Answerer` and `interfaces.FromDocuments`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from semcache.cag.answering.decoding import Answering
from semcache.cag.answering.events import Done, Event
from semcache.cag.answering.options import Options, read_options
from semcache.cag.answering.wire import WireForm
from semcache.cag.knowledge.reader import KnowledgeReader
from semcache.cag.knowledge.reading import Reading
from semcache.cag.network.identity import digest_of
from semcache.cag.opening.loading import Loaded, load
from semcache.cag.prompting.conversation import Conversation, conversation_of
from semcache.cag.prompting.spelling_out import spelt_out
from semcache.cag.settings import CagSettings, default_cache_dir
from semcache.cag.turning.scheduler import Scheduler
from semcache.cag.turning.turns import Turns, turns_of
from semcache.chat import ChatRequest
from semcache.citations import Citation, asks_for_sources, sources_text, wants_documents
from semcache.completion import Chunk
from semcache.errors import AnswerError, EngineError, RequestError
from semcache.grounds import Grounds
from semcache.keys import Source
from semcache.retrieval import Library

log = logging.getLogger("semcache.cag")

Progress: TypeAlias = Callable[[str], None]
_Events: TypeAlias = "asyncio.Queue[Event | BaseException]"


@dataclass(frozen=True, slots=True)
class _Ready:
    """All that `load` makes. `reading` is swapped when the knowledge changes.

    `bare` is for requests that want none of it.
    """

    loaded: Loaded
    scheduler: Scheduler
    turns: Turns
    reader: KnowledgeReader
    reading: Reading
    bare: Reading

    def for_request(self, request: ChatRequest) -> Reading:
        """What it is to be answered from."""
        return self.reading if wants_documents(request) else self.bare


class CagEngine:
    """A model, its knowledge, and the thread that both live on.

    `data_dir` keeps the prefixes, `cache_dir` the converted models (by default
    `settings.default_cache_dir`). `library`, which stays the caller's, has the documents and their
    passages; without one there is no knowledge. `may_decline`: others may be asked.
    `load` before use; `close` or `aclose` at the end.
    """

    name = "cag"

    def __init__(
        self,
        settings: CagSettings,
        *,
        data_dir: Path,
        cache_dir: Path | None = None,
        library: Library | None = None,
        may_decline: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._data_dir = data_dir
        self._cache_dir = default_cache_dir() if cache_dir is None else cache_dir
        self._library = library
        self._may_decline = may_decline
        self._clock = clock
        self._names = frozenset(settings.served_names)
        self._changing = threading.Lock()
        self._state: _Ready | None = None

    def load(self, progress: Progress | None = None) -> None:
        """Load the model and read the knowledge, from the saved prefix where there is one.

        Blocking. `progress` gets a line for each slow step, on any thread. Raises ConfigError
        and, as one of its kind, KnowledgeTooLarge.
        """
        tell = progress or _silent
        with self._changing:
            if self._state is not None:
                return
            settings = self._settings
            scheduler = Scheduler(max_active=settings.max_active, max_queued=settings.max_queued)
            try:
                loaded = scheduler.call(
                    lambda: load(settings, self._cache_dir, self._clock(), tell)
                )
                turns = scheduler.call(lambda: turns_of(loaded, settings))
                reader = KnowledgeReader(
                    settings,
                    loaded,
                    scheduler,
                    self._data_dir,
                    self._library,
                    self._may_decline,
                )
                reading, bare = reader.read(tell), reader.bare()
            except BaseException:
                scheduler.close()
                raise
            self._state = _Ready(loaded, scheduler, turns, reader, reading, bare)

    def reload_knowledge(self) -> bool:
        """Read the documents anew if they have changed; whether the knowledge is another one now.

        Blocking. The new prefix is built beside the running one; requests keep the one that they
        began with. Raises ConfigError, and the old knowledge stays in force.
        """
        with self._changing:
            state = self._ready()
            reading = state.reader.reread(state.reading, log.info)
            if self._state is not None:
                self._state = replace(state, reading=reading)
            return reading.digest != state.reading.digest

    def store_blocks(self, progress: Progress | None = None) -> int:
        """Read every passage that is not stored yet; how many tokens were read.

        Blocking, beside running requests. Nothing to do but in the blocks mode. Raises EngineError.
        """
        state = self._ready()
        return state.reader.stock(state.reading, progress or _silent)

    @property
    def knowledge_digest(self) -> str:
        """64 hex digits; empty without knowledge. Raises EngineError before `load`."""
        return self._ready().reading.digest

    @property
    def keyed_knowledge(self) -> str:
        """What of the knowledge is part of every key: its digest where all of it is given."""
        return self._ready().reading.keyed

    def accepts(self, request: ChatRequest) -> bool:
        """Whether the request asks for one of the served names."""
        return request.model in self._names

    def source(self, request: ChatRequest) -> Source:
        """The model with all that shapes its answers, and the knowledge."""
        state = self._ready()
        reading = state.for_request(request)
        return Source(self.name, _model_of(state, reading), reading.keyed, reading.digest)

    def grounds(self, request: ChatRequest) -> Grounds:
        """Implements `interfaces.FromDocuments`."""
        return self._ready().for_request(request).grounds(self._conversation(request))

    def models(self) -> Sequence[str]:
        """The served names, the model's own first."""
        return self._settings.served_names

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Stream the answer; usage comes in a last chunk. Closing early frees the engine's turn.

        Raises RequestError (ContextLengthExceeded), EngineBusy and EngineError, all before the
        first chunk, but for a failure in the midst of decoding.
        """
        state = self._ready()
        options = read_options(request, self._settings)
        events: _Events = asyncio.Queue()
        conversation = self._conversation(request)
        in_text = asks_for_sources(request, self._settings.sources_in_text)
        reading = state.for_request(request)
        ground = await asyncio.to_thread(reading.ground, conversation)
        tell = _teller(asyncio.get_running_loop(), events)
        job = Answering(state.turns, ground, options, tell)
        wire = self._wire_form(request, options, state)
        self._cite(wire, ground.citations, in_text)
        wire.grounds = ground.grounds if ground.grounds.base else None
        try:
            state.scheduler.submit(job, state.turns)
            while True:
                event = await events.get()
                if isinstance(event, BaseException):
                    raise _as_ours(event)
                for chunk in wire.chunks(event):
                    yield chunk
                if isinstance(event, Done):
                    return
        finally:
            job.cancelled = True
            ground.close()

    async def aclose(self) -> None:
        """End the thread; running requests get EngineError."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """`aclose`, blocking; a second time does nothing."""
        state, self._state = self._state, None
        if state is not None:
            state.scheduler.close()
            state.reader.close()

    def _conversation(self, request: ChatRequest) -> Conversation:
        conversation = conversation_of(request)
        return spelt_out(conversation) if self._settings.spell_out else conversation

    def _cite(self, wire: WireForm, given: Sequence[Citation], in_text: bool) -> None:
        told = self._settings.citations
        if told != "none":
            wire.citations = [one.to_wire(told == "texts") for one in given]
        if in_text:
            wire.ending = sources_text(given)

    def _wire_form(self, request: ChatRequest, options: Options, state: _Ready) -> WireForm:
        prefix = "chatcmpl" if request.kind == "chat" else "cmpl"
        reading = state.for_request(request)
        parts = (_model_of(state, reading), reading.digest)
        return WireForm(
            kind=request.kind,
            id=f"{prefix}-{secrets.token_hex(14)}",
            created=int(self._clock()),
            model=request.model,
            fingerprint=f"fp_{digest_of(*(part.encode() for part in parts))[:12]}",
            choices=options.choices,
        )

    def _ready(self) -> _Ready:
        if self._state is None:
            raise EngineError("The local engine is not loaded: call load() first.")
        return self._state


def _model_of(state: _Ready, reading: Reading) -> str:
    """The model with all that shapes its answers."""
    if not reading.way:
        return state.loaded.fingerprint
    return digest_of(state.loaded.fingerprint.encode(), reading.way.encode())


def _teller(
    loop: asyncio.AbstractEventLoop, events: _Events
) -> Callable[[Event | BaseException], bool]:
    """From the model's thread to the loop that waits; whether it still does."""

    def tell(event: Event | BaseException) -> bool:
        try:
            loop.call_soon_threadsafe(events.put_nowait, event)
        except RuntimeError:  # the loop is closed
            return False
        return True

    return tell


def _as_ours(error: BaseException) -> AnswerError | RequestError:
    if isinstance(error, AnswerError | RequestError):
        return error
    return EngineError(f"The local engine failed on this request ({type(error).__name__}).")


def _silent(line: str) -> None:
    return None
