"""A Store in memory, by the book: a dictionary of entries and cosines by brute force.

Completions pass through JSON, as they do in a durable store.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson

from semcache.completion import Completion
from semcache.errors import StoreError
from semcache.interfaces import Candidate, CheckReport, Entry, State, StoreStats, Vector
from semcache.keys import Scope
from semcache.selection import Holding, Selection
from semcache.sketch import Sketch


class MemoryStore:
    """Everything that interfaces.Store asks for, but durability and backup."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._vectors: dict[str, Vector] = {}
        self._sketches: dict[str, Sketch | None] = {}
        self._aliases: dict[str, list[tuple[str, Vector, Sketch | None]]] = {}
        self._ids = itertools.count(1)
        self._lock = threading.RLock()
        self.flushed = 0
        self.closed = 0

    def get(self, key: str) -> Entry | None:
        with self._lock:
            return self._entries.get(key)

    def by_id(self, entry_id: int) -> Entry | None:
        with self._lock:
            return self._by_id(entry_id)

    def scopes(self, tenant: str, most: int) -> list[Scope]:
        newest = sorted(self.scan(), key=lambda entry: -entry.id)
        own = [entry.scope for entry in newest if entry.scope.tenant == tenant]
        return list(dict.fromkeys(own))[:most]

    def search(self, scope: Scope, vector: Vector, k: int) -> list[Candidate]:
        with self._lock:
            found = [
                max(self._questions(key, vector), key=lambda candidate: candidate.similarity)
                for key, entry in self._entries.items()
                if entry.scope == scope and key in self._vectors and not entry.state
            ]
        return sorted(found, key=lambda candidate: -candidate.similarity)[:k]

    def _questions(self, key: str, vector: Vector) -> Iterator[Candidate]:
        entry, own = self._entries[key], float(np.dot(self._vectors[key], vector))
        yield Candidate(entry, own, self._sketches[key])
        for question, other, sketch in self._aliases[key]:
            yield Candidate(entry, float(np.dot(other, vector)), sketch, question)

    def put(
        self, entry: Entry, vector: Vector | None = None, sketch: Sketch | None = None
    ) -> Entry:
        wire = orjson.loads(orjson.dumps(entry.completion.wire))
        with self._lock:
            stored = replace(entry, completion=Completion(wire), id=next(self._ids))
            self._entries[entry.key] = stored
            self._vectors.pop(entry.key, None)
            self._sketches[entry.key] = sketch
            self._aliases[entry.key] = []
            if vector is not None:
                self._vectors[entry.key] = vector.copy()
        return stored

    def _by_id(self, entry_id: int) -> Entry | None:
        return next((e for e in self._entries.values() if e.id == entry_id), None)

    def add_alias(
        self, entry_id: int, question: str, vector: Vector, sketch: Sketch | None = None
    ) -> bool:
        with self._lock:
            entry = self._by_id(entry_id)
            if entry is None:
                return False
            if question in {entry.question, *(alias[0] for alias in self._aliases[entry.key])}:
                return False
            self._aliases[entry.key].append((question, vector, sketch))
        return True

    def quarantine(self, entry_id: int) -> Entry | None:
        return self._set_state(entry_id, "quarantined")

    def release(self, entry_id: int) -> Entry | None:
        return self._set_state(entry_id, "")

    def _set_state(self, entry_id: int, state: State) -> Entry | None:
        with self._lock:
            entry = self._by_id(entry_id)
            if entry is not None:
                entry = self._entries[entry.key] = replace(entry, state=state)
        return entry

    def remove(self, keys: Sequence[str]) -> int:
        with self._lock:
            removed = [self._entries.pop(key) for key in keys if key in self._entries]
            for entry in removed:
                self._vectors.pop(entry.key, None)
        return len(removed)

    def clear(self, tenant: str | None = None) -> int:
        with self._lock:
            return self.remove(
                [k for k, e in self._entries.items() if tenant in (None, e.scope.tenant)]
            )

    def expire_knowledge(self, answerer: str, current: str, now: float) -> int:
        with self._lock:
            stale = [
                entry
                for entry in self._entries.values()
                if entry.scope.source.answerer == answerer
                and entry.scope.source.knowledge != current
            ]
            for entry in stale:
                self._entries[entry.key] = replace(entry, expires_at=now)
        return len(stale)

    def set_sources(self, entry_id: int, sources: Sequence[str]) -> None:
        with self._lock:
            entry = self._by_id(entry_id)
            if entry is not None:
                self._entries[entry.key] = replace(entry, sources=tuple(sources))

    def touch(self, ids: Mapping[int, int], now: float) -> None:
        with self._lock:
            for key, entry in self._entries.items():
                if entry.id in ids:
                    hits = entry.hits + ids[entry.id]
                    self._entries[key] = replace(entry, hits=hits, used_at=now)

    def scan(self, batch: int = 1000) -> Iterator[Entry]:
        with self._lock:
            entries = sorted(self._entries.values(), key=lambda entry: entry.id)
        return iter(entries)

    def select(self, wanted: Selection, before: int | None, most: int) -> list[Entry]:
        last = float("inf") if before is None else before
        meant = [entry for entry in self.scan() if entry.id < last and wanted.holds(entry)]
        return meant[::-1][:most]

    def holdings(self, most: int) -> list[Holding]:
        counted = Counter((entry.scope.tenant, entry.scope.model) for entry in self.scan())
        return [Holding(*whose, count, 0) for whose, count in counted.most_common(most)]

    def version(self) -> int:
        return 0

    def stats(self) -> StoreStats:
        with self._lock:
            hits = sum(entry.hits for entry in self._entries.values())
            return StoreStats(len(self._entries), len(self._vectors), 0, 0, hits)

    def check(self, fix: bool = False) -> CheckReport:
        return CheckReport(len(self._entries), len(self._vectors), (), 0)

    def flush(self) -> None:
        self.flushed += 1

    def backup(self, path: Path) -> None:
        raise StoreError("A store in memory has nothing to copy.")

    def close(self) -> None:
        self.closed += 1
