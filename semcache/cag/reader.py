"""Reads the knowledge into a Reading: from saved prefixes, through the model, or by passages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeAlias

from semcache.cag.choosing import Chooser
from semcache.cag.identity import digest_of
from semcache.cag.knowledge import (
    NO_KNOWLEDGE,
    Document,
    Knowledge,
    read_knowledge,
    stamp_of,
)
from semcache.cag.loading import Loaded
from semcache.cag.passages import passages_of
from semcache.cag.prefix import Prefix
from semcache.cag.prefix_file import PrefixFolder, PrefixHeader
from semcache.cag.prompt import Prompts
from semcache.cag.reading import Part, PrefixesReading, PrefixReading, Reading, require_fit
from semcache.cag.retrieving import RetrievedReading, Terms
from semcache.cag.scheduler import Scheduler
from semcache.cag.settings import CagSettings
from semcache.cag.shelving import Shelving, Stocking
from semcache.citations import Citation
from semcache.errors import ConfigError, EngineError, KnowledgeTooLarge
from semcache.interfaces import Embedder
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
        embedder: Embedder | None = None,
        library: Library | None = None,
        may_decline: bool = False,
    ) -> None:
        """`library` stands for the documents; without one they are the files of the folder."""
        self._settings = settings
        self._loaded = loaded
        self._scheduler = scheduler
        self._embedder = embedder
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
        folder = self._settings.knowledge
        if folder is None:
            return self._prefixes(NO_KNOWLEDGE, progress)
        if self._settings.mode in {"tree", "blocks"}:
            raise ConfigError(f"'cag.mode' {self._settings.mode} needs a retriever of passages.")
        return self._prefixes(read_knowledge(folder, max_bytes=self._most_bytes()), progress)

    def reread(self, reading: Reading, progress: Progress) -> Reading:
        """What has changed since, read anew; the same digest where nothing has."""
        if self._library is not None:
            collection = self._library.update(progress)  # another answerer may have been first
            if collection.digest != reading.digest:
                return self._collected(collection, progress)
            if isinstance(reading, RetrievedReading):
                return replace(reading, retriever=collection)
            return reading
        folder = self._settings.knowledge
        if folder is None or not isinstance(reading, PrefixesReading):
            return reading
        if stamp_of(folder) == reading.knowledge.stamp:
            return reading
        knowledge = read_knowledge(folder, max_bytes=self._most_bytes())
        if knowledge.digest == reading.digest:
            return replace(reading, knowledge=knowledge)
        return self._prefixes(knowledge, progress)

    def stock(self, reading: Reading, progress: Progress) -> int:
        """Read all passages that are not stored yet, for blocks; how many tokens were read."""
        if not isinstance(reading, RetrievedReading) or reading.shelf.layout != "blocks":
            return 0
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
        """All documents in prefixes where they are to be, and fit; otherwise what is found."""
        mode = self._settings.mode
        if mode in {"auto", "whole"}:
            try:
                return self._prefixes(self._all_of(collection), progress)
            except KnowledgeTooLarge:
                if mode == "whole" or not self._shelving.possible:
                    raise
        return RetrievedReading(collection, self._shelving.shelf(), self._terms)

    def _all_of(self, collection: Collection) -> Knowledge:
        most = self._most_bytes()
        if collection.size_bytes > most:
            raise KnowledgeTooLarge(
                f"The knowledge has {collection.size_bytes:,} bytes, far more than the {most:,} "
                "that the model's window could hold. Set 'cag.mode' to auto or tree."
            )
        documents = tuple(Document(one.name, one.text) for one in collection.documents())
        return Knowledge(documents, collection.digest, ())

    def _most_bytes(self) -> int:
        return self._loaded.model.window * _MAX_BYTES_PER_TOKEN

    def _room(self) -> int:
        return max(1, self._loaded.model.window - self._settings.reserve_tokens)

    def _prefixes(self, knowledge: Knowledge, progress: Progress) -> PrefixesReading:
        """Make the prompts and the prefixes of a knowledge. Raises KnowledgeTooLarge."""
        whole = self._prompts([knowledge.text])
        tokens = len(whole[0].prefix_ids)
        if tokens:
            require_fit(tokens, self._loaded.model.window, self._settings.reserve_tokens)
        cited = self._passages(knowledge, tokens)
        passages = [one.text for one in cited]
        prompts = self._prompts(passages) if passages else whole
        chooser = None
        if passages and self._embedder is not None:
            chooser = Chooser(passages, self._embedder)
        digests = [digest_of(p.encode()) for p in passages] or [knowledge.digest]
        parts = self._parts(prompts, digests, progress)
        if cited:
            parts = tuple(
                replace(part, citations=(one,)) for part, one in zip(parts, cited, strict=True)
            )
        return PrefixesReading(
            knowledge=knowledge,
            parts=parts,
            chooser=chooser,
            sharing=self._loaded.sharing,
            plain=self._loaded.chat_format.is_plain,
        )

    def _prompts(self, texts: Sequence[str]) -> list[Prompts]:
        chat_format, instruction = self._loaded.chat_format, self._settings.instruction
        return self._scheduler.call(
            lambda: [Prompts(chat_format, text, instruction) for text in texts]
        )

    def _passages(self, knowledge: Knowledge, tokens: int) -> tuple[Citation, ...]:
        """Nothing where all of the knowledge is one prefix."""
        settings, count = self._settings, self._loaded.chat_format.count
        unwanted = not settings.passages or settings.mode == "whole"
        if self._embedder is None or unwanted or tokens <= settings.passage_tokens:
            return ()
        passages = self._scheduler.call(
            lambda: tuple(
                Citation(document.name, "", digest_of(text.encode()), text)
                for document in knowledge.documents
                for text in passages_of([document.text], count, settings.passage_tokens)
            )
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
