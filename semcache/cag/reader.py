"""Reads the knowledge folder into a Reading: from the saved prefix, or through the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

from semcache.cag.identity import digest_of
from semcache.cag.knowledge import NO_KNOWLEDGE, Knowledge, read_knowledge, stamp_of
from semcache.cag.loading import Loaded
from semcache.cag.prefix import Prefix
from semcache.cag.prefix_file import PrefixFolder, PrefixHeader
from semcache.cag.prompt import Prompts
from semcache.cag.reading import PrefixReading, Reading, require_fit
from semcache.cag.scheduler import Scheduler
from semcache.cag.settings import CagSettings
from semcache.errors import EngineError

Progress: TypeAlias = Callable[[str], None]

_MAX_BYTES_PER_TOKEN = 64


class KnowledgeReader:
    """Blocking; the model's part is done on the scheduler's thread, beside running requests."""

    def __init__(
        self, settings: CagSettings, loaded: Loaded, scheduler: Scheduler, data_dir: Path
    ) -> None:
        self._settings = settings
        self._loaded = loaded
        self._scheduler = scheduler
        self._saved = PrefixFolder(data_dir / "prefixes", settings.prefixes_kept)

    def folder_differs(self, knowledge: Knowledge) -> bool:
        """Whether files were touched since; cheap. Raises ConfigError."""
        folder = self._settings.knowledge
        return folder is not None and stamp_of(folder) != knowledge.stamp

    def documents(self) -> Knowledge:
        """The folder as it is now. Raises ConfigError, KnowledgeTooLarge."""
        folder = self._settings.knowledge
        if folder is None:
            return NO_KNOWLEDGE
        return read_knowledge(folder, max_bytes=self._loaded.model.window * _MAX_BYTES_PER_TOKEN)

    def read(self, knowledge: Knowledge, progress: Progress) -> Reading:
        """Make the prompts and the prefix of a knowledge. Raises KnowledgeTooLarge."""
        chat_format, instruction = self._loaded.chat_format, self._settings.instruction
        prompts = self._scheduler.call(lambda: Prompts(chat_format, knowledge.text, instruction))
        ids = prompts.prefix_ids
        if ids:
            require_fit(len(ids), self._loaded.model.window, self._settings.reserve_tokens)
        return Reading(
            knowledge=knowledge,
            prompts=prompts,
            prefix=self._prefix(ids, knowledge, progress) if ids else None,
            chunk_tokens=self._settings.prefill_chunk,
            plain=chat_format.is_plain,
        )

    def _prefix(self, ids: tuple[int, ...], knowledge: Knowledge, progress: Progress) -> Prefix:
        model, sharing = self._loaded.model, self._loaded.sharing
        header = self._header(ids, knowledge)
        saved = self._saved.load(header)
        if saved is not None:
            progress(f"knowledge: {len(ids):,} tokens, from the saved prefix")
            there = [(key.to(model.device), value.to(model.device)) for key, value in saved]
            return sharing.restore(ids, there)

        def tell(read: int, tokens: int) -> None:
            progress(f"knowledge: {read:,} of {tokens:,} tokens read")

        job = PrefixReading(model, sharing, ids, self._settings.prefill_chunk, tell)
        self._scheduler.run(job)
        if job.prefix is None:
            raise EngineError("The knowledge could not be read: the engine is shutting down.")
        if job.prefix.layers:
            self._saved.save(header, job.prefix)
        return job.prefix

    def _header(self, ids: tuple[int, ...], knowledge: Knowledge) -> PrefixHeader:
        model = self._loaded.model
        dtype = str(model.dtype).removeprefix("torch.")
        return PrefixHeader(
            **asdict(model.identity),
            knowledge=knowledge.digest,
            token_ids=digest_of(*(b"%d" % token for token in ids)),
            tokens=len(ids),
            dtype=dtype,
            stored_dtype="float16" if self._settings.prefix_dtype == "float16" else dtype,
            sharing=self._loaded.sharing.name,
        )
