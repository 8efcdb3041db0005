"""What the contract compares a store with: a dict and numpy, and threads that check themselves."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np

from semcache.interfaces import Entry, Store, Vector
from semcache.keys import Scope
from tests.store.samples import EMBEDDER, answer, entry, scope, unit


@dataclass
class Model:
    """The store as a dict."""

    rows: dict[str, tuple[Entry, Vector | None]] = field(default_factory=dict)

    def nearest(self, where: object, query: Vector, k: int) -> list[tuple[str, float]]:
        """Brute force over every vector of the scope, in float64."""
        found = [
            (key, float(np.dot(vector.astype(np.float64), query.astype(np.float64))))
            for key, (kept, vector) in self.rows.items()
            if vector is not None and kept.scope == where and kept.embedder == EMBEDDER
        ]
        return sorted(found, key=lambda pair: -pair[1])[:k]

    def change(self, store: Store, rng: np.random.Generator, scopes: list[Scope]) -> None:
        """Do one random thing to the store and to the dict: put, replace, remove, clear."""
        key = f"k{rng.integers(80)}"
        what = rng.random()
        if what < 0.8:
            where = scopes[rng.integers(6)]
            vector = unit(rng, 1)[0] if rng.random() < 0.9 else None
            embedder = None if vector is None else EMBEDDER
            given = entry(key, where, embedder=embedder, completion=answer(str(rng.random())))
            self.rows[key] = store.put(given, vector), vector
        elif what < 0.98:
            assert store.remove([key]) == int(self.rows.pop(key, None) is not None)
        else:
            tenant = "xy"[rng.integers(2)]
            gone = [k for k, (kept, _) in self.rows.items() if kept.scope.tenant == tenant]
            assert store.clear(tenant) == len(gone)
            for each in gone:
                del self.rows[each]


@dataclass
class Crowd:
    """Threads on one store. Keys, answers and vectors carry one number, so that whatever is
    found must agree with itself."""

    store: Store
    vectors: Vector
    failures: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def work(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        try:
            while not self.stop.is_set():
                self._act(int(rng.integers(len(self.vectors))), rng.random())
        except Exception as error:
            self.failures.append(repr(error))

    def _act(self, number: int, what: float) -> None:
        key = f"k{number}"
        if what < 0.25:
            self.store.put(entry(key), self.vectors[number])
        elif what < 0.35:
            self.store.remove([key])
        elif what < 0.6:
            self._agree(self.store.get(key), number)
        else:
            for candidate in self.store.search(scope(), self.vectors[number], 3):
                true = int(candidate.entry.key[1:])
                self._agree(candidate.entry, true)
                cosine = float(self.vectors[number] @ self.vectors[true])
                if abs(candidate.similarity - cosine) > 1e-5:
                    self.failures.append(f"{candidate.similarity} is not {cosine}")

    def _agree(self, found: Entry | None, number: int) -> None:
        if found and (found.key, found.completion.text) != (f"k{number}", f"answer of k{number}"):
            self.failures.append(f"{found.key}: {found.completion.text}, not {number}")
