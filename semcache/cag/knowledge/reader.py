"""Reads the knowledge into a Reading: as one prefix, saved or through the model, or by passages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeAlias

from semcache.cag.blocks.shelving import Shelving, Stocking
from semcache.cag.context.prefix import Prefix
from semcache.cag.context.prefix_file import PrefixFolder, PrefixHeader
from semcache.cag.knowledge.reading import PrefixReading, Reading, WholeReading, require_fit
from semcache.cag.knowledge.retrieving import RetrievedReading, Terms
from semcache.cag.network.identity import digest_of
from semcache.cag.opening.loading import Loaded
from semcache.cag.prompting.prompt import Prompts
from semcache.cag.settings import CagSettings
from semcache.cag.turning.scheduler import Scheduler
from semcache.errors import ConfigError, EngineError, KnowledgeTooLarge
from semcache.retrieval import Collection, Library

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
        library: Library | None = None,
        may_decline: bool = False,
    ) -> None:
        """Without a `library` there is no knowledge."""
        self._settings = settings
        self._loaded = loaded
        self._scheduler = scheduler
        self._library = library
        self._terms = Terms(
            tokens=min(settings.context_tokens, self._room()),
            share=settings.relevance_share,
            floor=settings.relevance_floor if may_decline else None,
        )
        self._saved = PrefixFolder(data_dir / "prefixes", settings.prefixes_kept)
        self._shelving = Shelving(settings, loaded, scheduler, data_dir)

    def read(self, progress: Progress) -> Reading:
        """The documents as they are now. Raises ConfigError, KnowledgeTooLarge, StoreError."""
        if self._library is not None:
            return self._collected(self._library.update(progress), progress)
        if self._settings.mode in {"tree", "blocks"}:
            raise ConfigError(f"'cag.mode' {self._settings.mode} needs documents: name a folder.")
        return self.bare()

    def bare(self) -> Reading:
        """Nothing: for requests that want no documents."""
        return self._whole(self._prompts(""), "", lambda line: None)

    def reread(self, reading: Reading, progress: Progress) -> Reading:
        """What has changed since, read anew; the same digest where nothing has."""
        if self._library is None:
            return reading
        collection = self._library.update(progress)  # another answerer may have been first
        if collection.digest != reading.digest:
            return self._collected(collection, progress)
        if isinstance(reading, RetrievedReading):
            return replace(reading, retriever=collection)
        return reading

    def stock(self, reading: Reading, progress: Progress) -> int:
        """Read all passages that are not stored yet, for blocks; how many tokens were read."""
        if not isinstance(reading, RetrievedReading) or reading.shelf.layout != "blocks":
            return 0
        return self._stocked(reading, progress)

    def _stocked(self, reading: RetrievedReading, progress: Progress) -> int:
        shelf, total = reading.shelf, len(reading.retriever)
        tenth = max(1, total // 10)

        def tell(there: int) -> None:
            if there % tenth == 0 or there == total:
                progress(f"knowledge: {there:,} of {total:,} passages read")

        job = self._scheduler.call(lambda: Stocking(shelf, reading.retriever.passages(), tell))
        self._scheduler.run(job)
        return job.read

    def close(self) -> None:
        """Write what was read and is not on disk yet."""
        self._shelving.close()

    def _collected(self, collection: Collection, progress: Progress) -> Reading:
        """All documents as one prefix where they are to be, and fit; otherwise what is found."""
        settings = self._settings
        if settings.mode in {"tree", "blocks"}:
            return self._retrieved(collection)
        try:
            prompts = self._fitting(collection)
        except KnowledgeTooLarge:
            if settings.mode == "whole" or not self._shelving.possible:
                raise
            return self._retrieved(collection)
        apart = settings.passages and settings.mode == "auto" and self._shelving.possible
        large = len(prompts.prefix_ids) > settings.passage_tokens and len(collection) > 1
        if apart and large and collection.by_meaning:
            terms = replace(self._terms, tokens=0)  # small models mix up what stands side by side
            reading = RetrievedReading(collection, self._shelving.shelf(), terms)
            self._stocked(reading, progress)  # few enough to be read before anybody asks
            return reading
        return self._whole(prompts, collection.digest, progress)

    def _retrieved(self, collection: Collection) -> RetrievedReading:
        return RetrievedReading(collection, self._shelving.shelf(), self._terms)

    def _fitting(self, collection: Collection) -> Prompts:
        """The prompts of all documents. Raises KnowledgeTooLarge."""
        most = self._loaded.model.window * _MAX_BYTES_PER_TOKEN
        if collection.size_bytes > most:
            raise KnowledgeTooLarge(
                f"The knowledge has {collection.size_bytes:,} bytes, far more than the {most:,} "
                "that the model's window could hold. Set 'cag.mode' to auto or tree."
            )
        prompts = self._prompts("\n\n".join(one.text for one in collection.documents()))
        tokens = len(prompts.prefix_ids)
        if tokens:
            require_fit(tokens, self._loaded.model.window, self._settings.reserve_tokens)
        return prompts

    def _room(self) -> int:
        return max(1, self._loaded.model.window - self._settings.reserve_tokens)

    def _prompts(self, knowledge: str) -> Prompts:
        chat_format, instruction = self._loaded.chat_format, self._settings.instruction
        return self._scheduler.call(lambda: Prompts(chat_format, knowledge, instruction))

    def _whole(self, prompts: Prompts, digest: str, progress: Progress) -> WholeReading:
        """With the prefix of these prompts, saved or read now."""
        ids = prompts.prefix_ids
        prefix = None
        if ids:
            header = self._header(ids, digest)
            prefix = self._restored(ids, header)
            if prefix is not None:
                progress(f"knowledge: {len(ids):,} tokens, from the saved prefix")
            else:
                prefix = self._read_anew(ids, header, progress)
        return WholeReading(
            digest=digest,
            prompts=prompts,
            prefix=prefix,
            sharing=self._loaded.sharing,
            plain=self._loaded.chat_format.is_plain,
        )

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
        progress: Progress,
    ) -> Prefix:
        model, sharing = self._loaded.model, self._loaded.sharing

        def tell(read: int, total: int) -> None:
            progress(f"knowledge: {read:,} of {total:,} tokens read")

        job = PrefixReading(model, sharing, ids, self._settings.prefill_chunk, tell)
        self._scheduler.run(job)
        if job.prefix is None:
            raise EngineError("The knowledge could not be read: the engine is shutting down.")
        if job.prefix.layers:
            self._saved.save(header, job.prefix)
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
