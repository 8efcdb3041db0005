"""Many entries into a store: encoded anew where need be, judged, and committed in groups.

Nothing depends on how far an earlier run came: what is there already, as new or newer, is left
alone. So what was killed is simply run again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from semcache import freshness, policy
from semcache.errors import EmbeddingError, RequestError, StoreError, StoreLocked
from semcache.interfaces import Embedder, Encoded, Store
from semcache.policy import Keep, PolicySettings, Skip
from semcache.volatile import Timeliness
from semcache.whole import Alias, Archive, Whole

BATCH = 128
BATCH_BYTES = 16_000_000
_TOLD_AT_MOST = 100


@dataclass(slots=True)
class Report:
    """What became of the entries. `bad`: the first that were not taken, by number and reason.

    `there`: what was there as new or newer. `notes`: what was left out on purpose.
    """

    read: int = 0
    stored: int = 0
    there: int = 0
    by_meaning: int = 0
    encoded: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[int, str]] = field(default_factory=list)

    @property
    def skipped(self) -> int:
        """How many were not taken."""
        return sum(self.refused.values())

    def as_json(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "read": self.read,
            "stored": self.stored,
            "already_there": self.there,
            "found_by_meaning_only": self.by_meaning,
            "encoded": self.encoded,
            "skipped": self.skipped,
            "reasons": dict(self.refused),
            "notes": dict(self.notes),
            "bad_lines": [{"line": number, "reason": reason} for number, reason in self.bad],
        }


@dataclass(slots=True)
class _Waiting:
    number: int
    whole: Whole
    timeliness: Timeliness | None


@dataclass(slots=True)
class Bulk:
    """Entries on their way in. Blocking; not thread-safe.

    `complain` hears of every entry that is not taken. With `strict` the first one raises
    RequestError, after all before it are stored. `written` hears of the keys that were written.
    """

    store: Store
    archive: Archive
    embedder: Embedder | None
    settings: PolicySettings
    strict: bool = False
    complain: Callable[[int, str], None] = lambda number, reason: None
    written: Callable[[Sequence[str]], None] = lambda keys: None
    report: Report = field(default_factory=Report)
    _waiting: list[_Waiting] = field(default_factory=list)
    _bytes: int = 0

    def add(
        self, number: int, whole: Whole, timeliness: Timeliness | None = None, size: int = 0
    ) -> None:
        """Take an entry in, of about `size` bytes. Raises StoreError.

        `timeliness`: what is known of how soon its answer changes, where that is to be judged here.
        """
        there = self.store.get(whole.entry.key)
        if there is not None and there.created_at >= whole.entry.created_at:
            self.report.there += 1
            return
        self._waiting.append(_Waiting(number, whole, timeliness))
        self._bytes += size
        if len(self._waiting) >= BATCH or self._bytes >= BATCH_BYTES:
            self.finish()

    def refuse(self, number: int, reason: str) -> None:
        """Name what is not taken. Raises RequestError where the first such one ends it all."""
        if self.strict:
            self.finish()
            raise RequestError(f"Line {number}: {reason}")
        self.report.refused[reason] += 1
        if len(self.report.bad) < _TOLD_AT_MOST:
            self.report.bad.append((number, reason))
        self.complain(number, reason)

    def finish(self) -> Report:
        """Store what waits. Raises StoreError."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        encoded = self._encoded([one.whole for one in waiting])
        ready = []
        for one, whole in zip(waiting, encoded, strict=True):
            judged = self._judged(whole, one.timeliness)
            if isinstance(judged, Skip):
                self.refuse(one.number, f"Its answer may not be stored: {judged.reason}.")
            else:
                ready.append((one.number, judged))
        if ready:
            self._store(ready)
        return self.report

    def _judged(self, whole: Whole, known: Timeliness | None) -> Whole | Skip:
        """With the time that its question gives it."""
        if known is None:
            return whole
        entry, encoder = whole.entry, None if self.embedder is None else self.embedder.fingerprint
        found = freshness.by_vector(known, entry.question, whole.vector, encoder, self.settings)
        kept = freshness.keep(Keep(entry.expires_at), found, entry.created_at, self.settings)
        if isinstance(kept, Skip):
            return kept
        return replace(whole, entry=replace(entry, expires_at=kept.expires_at))

    def _store(self, ready: Sequence[tuple[int, Whole]]) -> None:
        wholes = [whole for _, whole in ready]
        try:
            ids = self.archive.put(wholes)
        except StoreLocked:
            raise
        except StoreError as error:
            if len(ready) == 1:
                self.refuse(ready[0][0], error.message)
                return
            for one in ready:  # all but the one at fault
                self._store([one])
            return
        self.report.stored += sum(map(bool, ids))
        self.report.there += ids.count(0)
        self.written([whole.entry.key for whole in wholes])

    # ------------------------------------------------------------------------------- the encoder

    def _encoded(self, wholes: Sequence[Whole]) -> list[Whole]:
        """Each with a vector of the encoder in force, where its question has one."""
        embedder = self.embedder
        if embedder is None:
            return [_exact_only(whole) for whole in wholes]
        texts = sorted({text for whole in wholes for text in _texts(whole, embedder)})
        made = dict(zip(texts, self._encode(embedder, texts), strict=True))
        self.report.encoded += len(made)
        return [self._with_vectors(whole, embedder, made) for whole in wholes]

    def _encode(self, embedder: Embedder, texts: Sequence[str]) -> list[Encoded | None]:
        """None for what the encoder fails at; one bad question must not fail the others."""
        try:
            return [*embedder.encode(texts)] if texts else []
        except EmbeddingError:
            if len(texts) < 2:
                return [None] * len(texts)
            return [self._encode(embedder, [text])[0] for text in texts]

    def _with_vectors(
        self, whole: Whole, embedder: Embedder, made: dict[str, Encoded | None]
    ) -> Whole:
        aliases = []
        for alias in whole.aliases:
            if _has(alias.embedder, alias.vector, embedder):
                aliases.append(alias)
            elif (found := self._fitting(made.get(alias.question))) is not None:
                named = embedder.fingerprint
                aliases.append(Alias(alias.question, named, found.vector, found.sketch))
        whole = replace(whole, aliases=tuple(aliases))
        if _has(whole.entry.embedder, whole.vector, embedder):
            return whole
        encoded = self._fitting(made.get(whole.entry.question or ""))
        if encoded is None:
            return _exact_only(whole)
        entry = replace(whole.entry, embedder=embedder.fingerprint)
        return replace(whole, entry=entry, vector=encoded.vector, sketch=encoded.sketch)

    def _fitting(self, encoded: Encoded | None) -> Encoded | None:
        fits = encoded is not None and policy.matchable(encoded, self.settings) is None
        return encoded if fits else None


def _texts(whole: Whole, embedder: Embedder) -> list[str]:
    """What has no vector of this encoder."""
    entry = whole.entry
    texts = [one.question for one in whole.aliases if not _has(one.embedder, one.vector, embedder)]
    if entry.question is not None and not _has(entry.embedder, whole.vector, embedder):
        texts.append(entry.question)
    return texts


def _has(made_by: str | None, vector: Any, embedder: Embedder) -> bool:
    ours = made_by == embedder.fingerprint and vector is not None
    return ours and bool(vector.size == embedder.dim)


def _exact_only(whole: Whole) -> Whole:
    entry = replace(whole.entry, embedder=None)
    return replace(whole, entry=entry, vector=None, sketch=None, aliases=())
