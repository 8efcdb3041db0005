"""Reads the knowledge folder into a Reading: from the saved prefix, or through the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

from semcache.cag.choosing import Chooser
from semcache.cag.identity import digest_of
from semcache.cag.knowledge import NO_KNOWLEDGE, Knowledge, read_knowledge, stamp_of
from semcache.cag.loading import Loaded
from semcache.cag.passages import passages_of
from semcache.cag.prefix import Prefix
from semcache.cag.prefix_file import PrefixFolder, PrefixHeader
from semcache.cag.prompt import Prompts
from semcache.cag.reading import Part, PrefixReading, Reading, require_fit
from semcache.cag.scheduler import Scheduler
from semcache.cag.settings import CagSettings
from semcache.errors import EngineError
from semcache.interfaces import Embedder

Progress: TypeAlias = Callable[[str], None]

_MAX_BYTES_PER_TOKEN = 64


class KnowledgeReader:
    """Blocking; the model's part is done on the scheduler's thread, beside running requests."""

    def __init__(
        self,
        settings: CagSettings,
        loaded: Loaded,
        scheduler: Scheduler,
        data_dir: Path,
        embedder: Embedder | None = None,
    ) -> None:
        self._settings = settings
        self._loaded = loaded
        self._scheduler = scheduler
        self._embedder = embedder
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
        """Make the prompts and the prefixes of a knowledge. Raises KnowledgeTooLarge."""
        whole = self._prompts([knowledge.text])
        tokens = len(whole[0].prefix_ids)
        if tokens:
            require_fit(tokens, self._loaded.model.window, self._settings.reserve_tokens)
        passages = self._passages(knowledge, tokens)
        prompts = self._prompts(passages) if passages else whole
        chooser = None
        if passages and self._embedder is not None:
            chooser = Chooser(passages, self._embedder)
        digests = [digest_of(p.encode()) for p in passages] or [knowledge.digest]
        return Reading(
            knowledge=knowledge,
            parts=self._parts(prompts, digests, progress),
            chooser=chooser,
            chunk_tokens=self._settings.prefill_chunk,
            plain=self._loaded.chat_format.is_plain,
        )

    def _prompts(self, texts: Sequence[str]) -> list[Prompts]:
        chat_format, instruction = self._loaded.chat_format, self._settings.instruction
        return self._scheduler.call(
            lambda: [Prompts(chat_format, text, instruction) for text in texts]
        )

    def _passages(self, knowledge: Knowledge, tokens: int) -> tuple[str, ...]:
        """Nothing where all of the knowledge is one prefix."""
        settings = self._settings
        if self._embedder is None or not settings.passages or tokens <= settings.passage_tokens:
            return ()
        texts = [document.text for document in knowledge.documents]
        passages = self._scheduler.call(
            lambda: passages_of(texts, self._loaded.chat_format.count, settings.passage_tokens)
        )
        return passages if len(passages) > 1 else ()

    def _parts(
        self, prompts: Sequence[Prompts], digests: Sequence[str], progress: Progress
    ) -> tuple[Part, ...]:
        total = sum(len(one.prefix_ids) for one in prompts)
        parts: list[Part] = []
        read = saved = 0

        def tell(of_this: int, _: int) -> None:
            progress(f"knowledge: {read + of_this:,} of {total:,} tokens read")

        for one, digest in zip(prompts, digests, strict=True):
            ids = one.prefix_ids
            header = self._header(ids, digest)
            prefix = self._restored(ids, header) if ids else None
            if prefix is not None:
                saved += len(ids)
            elif ids:
                prefix = self._read_anew(ids, header, tell, keep=len(prompts))
            read += len(ids)
            parts.append(Part(one, prefix))
        if saved:
            progress(f"knowledge: {saved:,} of {total:,} tokens, from the saved prefix")
        return tuple(parts)

    def _restored(self, ids: tuple[int, ...], header: PrefixHeader) -> Prefix | None:
        model, sharing = self._loaded.model, self._loaded.sharing
        saved = self._saved.load(header)
        if saved is None:
            return None
        there = [(key.to(model.device), value.to(model.device)) for key, value in saved]
        return sharing.restore(ids, there)

    def _read_anew(
        self,
        ids: tuple[int, ...],
        header: PrefixHeader,
        tell: Callable[[int, int], None],
        keep: int,
    ) -> Prefix:
        model, sharing = self._loaded.model, self._loaded.sharing
        job = PrefixReading(model, sharing, ids, self._settings.prefill_chunk, tell)
        self._scheduler.run(job)
        if job.prefix is None:
            raise EngineError("The knowledge could not be read: the engine is shutting down.")
        if job.prefix.layers:
            self._saved.save(header, job.prefix, keep)
        return job.prefix

    def _header(self, ids: tuple[int, ...], knowledge: str) -> PrefixHeader:
        model = self._loaded.model
        dtype = str(model.dtype).removeprefix("torch.")
        return PrefixHeader(
            **asdict(model.identity),
            knowledge=knowledge,
            token_ids=digest_of(*(b"%d" % token for token in ids)),
            tokens=len(ids),
            dtype=dtype,
            stored_dtype="float16" if self._settings.prefix_dtype == "float16" else dtype,
            sharing=self._loaded.sharing.name,
        )
