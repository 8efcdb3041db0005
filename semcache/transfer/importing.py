"""From lines to an archive: checked, encoded anew where need be, and stored in groups.

Nothing depends on how far an earlier run came: what is there already, as new or newer, is left
alone. So an import that was killed is simply run again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from semcache import policy
from semcache.errors import EmbeddingError, RequestError, StoreError, StoreLocked
from semcache.interfaces import Embedder, Encoded, Entry, Store
from semcache.policy import PolicySettings, Skip
from semcache.transfer.header import Header, header_of
from semcache.transfer.lines import whole_of
from semcache.transfer.placing import Placing
from semcache.whole import Alias, Archive, Whole

BATCH = 128
_TOLD_AT_MOST = 100


@dataclass(slots=True)
class Report:
    """What became of the lines. `bad`: the first of them, by number and reason."""

    read: int = 0
    stored: int = 0
    there: int = 0  # as new or newer
    by_meaning: int = 0
    encoded: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[int, str]] = field(default_factory=list)

    @property
    def skipped(self) -> int:
        """How many lines were not taken."""
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
            "bad_lines": [{"line": number, "reason": reason} for number, reason in self.bad],
        }


@dataclass(slots=True)
class Importing:
    """One import. `add` line by line, then `finish`. Blocking; not thread-safe.

    `complain` hears of every line that is not taken. With `strict` the first one raises
    RequestError, after all before it are stored. `put` hears of the keys that were written.
    """

    store: Store
    archive: Archive
    embedder: Embedder | None
    settings: PolicySettings
    placing: Placing
    installation: str
    strict: bool = False
    complain: Callable[[int, str], None] = lambda number, reason: None
    written: Callable[[Sequence[str]], None] = lambda keys: None
    report: Report = field(default_factory=Report)
    header: Header | None = None
    _waiting: list[tuple[int, Whole]] = field(default_factory=list)

    def add(self, number: int, line: bytes) -> None:
        """Take a line in; the first one is the header. Raises RequestError, StoreError."""
        if not line.strip():
            return
        try:
            said = _decoded(line)
            if self.header is None:
                self._begin(said)
                return
            self.report.read += 1
            self._take(number, said)
        except RequestError as error:
            if self.header is None:
                raise
            self.refuse(number, error.message)

    def refuse(self, number: int, reason: str) -> None:
        """Name a line that is not taken. Raises RequestError in a strict import."""
        if self.strict:
            self.finish()
            raise RequestError(f"Line {number}: {reason}")
        self.report.refused[reason] += 1
        if len(self.report.bad) < _TOLD_AT_MOST:
            self.report.bad.append((number, reason))
        self.complain(number, reason)

    def finish(self) -> Report:
        """Store what waits. Raises StoreError."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._store(waiting)
        self.report.by_meaning = self.placing.by_meaning
        return self.report

    def _begin(self, said: Any) -> None:
        self.header = header_of(said)
        self.placing.same = self.header.installation == self.installation

    def _take(self, number: int, said: Any) -> None:
        if not isinstance(said, dict):
            raise RequestError("It is no object.")
        whole = whole_of(said)
        entry = self._kept(self.placing.placed(whole.entry))
        there = self.store.get(entry.key)
        if there is not None and there.created_at >= entry.created_at:
            self.report.there += 1
            return
        self._waiting.append((number, replace(whole, entry=entry)))
        if len(self._waiting) >= BATCH:
            self.finish()

    def _kept(self, entry: Entry) -> Entry:
        """With the time that policy gives it, if that ends sooner than its own."""
        if "gptcache" in entry.completion.wire:  # its answers may be images, and it says itself
            return entry  # how long they live
        kept = policy.keep(entry.completion, entry.created_at, self.settings)
        if isinstance(kept, Skip):
            raise RequestError(f"Its answer may not be stored: {kept.reason}.")
        ends = [at for at in (entry.expires_at, kept.expires_at) if at is not None]
        return replace(entry, expires_at=min(ends) if ends else None)

    def _store(self, waiting: list[tuple[int, Whole]]) -> None:
        ready = self._encoded([whole for _, whole in waiting])
        try:
            ids = self.archive.put(ready)
        except StoreLocked:
            raise
        except StoreError:
            if len(waiting) == 1:
                raise
            for one in waiting:  # all but the one at fault
                self._store_alone(*one)
            return
        self.report.stored += sum(map(bool, ids))
        self.report.there += ids.count(0)
        self.written([whole.entry.key for whole in ready])

    def _store_alone(self, number: int, whole: Whole) -> None:
        try:
            self._store([(number, whole)])
        except StoreError as error:
            self.refuse(number, error.message)

    # ------------------------------------------------------------------------------- the encoder

    def _encoded(self, wholes: Sequence[Whole]) -> list[Whole]:
        """Each with a vector of the encoder in force, where its question has one."""
        embedder = self.embedder
        if embedder is None:
            return [_exact_only(whole) for whole in wholes]
        texts = [text for whole in wholes for text in self._texts(whole, embedder)]
        made = dict(zip(texts, self._encode(embedder, texts), strict=True))
        self.report.encoded += len(made)
        return [self._with_vectors(whole, embedder, made) for whole in wholes]

    def _texts(self, whole: Whole, embedder: Embedder) -> list[str]:
        questions = [] if _has(whole, embedder) else [whole.entry.question]
        questions += [one.question for one in whole.aliases if not _has_alias(one, embedder)]
        return [text for text in questions if text is not None]

    def _encode(self, embedder: Embedder, texts: Sequence[str]) -> list[Encoded | None]:
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
            if not _has_alias(alias, embedder):
                found = self._fitting(made.get(alias.question))
                if found is None:
                    continue
                vector, sketch = found.vector, found.sketch
                alias = Alias(alias.question, embedder.fingerprint, vector, sketch)
            aliases.append(alias)
        whole = replace(whole, aliases=tuple(aliases))
        if whole.entry.question is None or _has(whole, embedder):
            return whole if _has(whole, embedder) else _exact_only(whole)
        encoded = self._fitting(made.get(whole.entry.question))
        if encoded is None:
            return _exact_only(whole)
        entry = replace(whole.entry, embedder=embedder.fingerprint)
        return replace(whole, entry=entry, vector=encoded.vector, sketch=encoded.sketch)

    def _fitting(self, encoded: Encoded | None) -> Encoded | None:
        fits = encoded is not None and policy.matchable(encoded, self.settings) is None
        return encoded if fits else None


def _has(whole: Whole, embedder: Embedder) -> bool:
    ours = whole.entry.embedder == embedder.fingerprint
    return ours and whole.vector is not None and whole.vector.size == embedder.dim


def _has_alias(alias: Alias, embedder: Embedder) -> bool:
    ours = alias.embedder == embedder.fingerprint
    return ours and alias.vector is not None and alias.vector.size == embedder.dim


def _exact_only(whole: Whole) -> Whole:
    return replace(whole, entry=replace(whole.entry, embedder=None), vector=None, sketch=None)


def _decoded(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        raise RequestError("It is not JSON.") from None
