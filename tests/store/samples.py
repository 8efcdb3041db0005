"""Entries, scopes and vectors for the store's tests, from seeds."""

from __future__ import annotations

from typing import Any

import numpy as np

from semcache.completion import Completion, text_completion_of
from semcache.interfaces import Entry, Vector
from semcache.keys import Scope, Source

DIM = 24
EMBEDDER = "encoder-a"
START = 1_700_000_000.0


class Clock:
    """Time that moves when it is told to."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def scope(name: str = "s", tenant: str = "t", knowledge: str = "k1") -> Scope:
    return Scope(tenant, "m", Source("engine", "model-1", knowledge), name, "p")


def answer(text: str) -> Completion:
    return text_completion_of(text, id="chatcmpl-1", created=1, model="m")


def entry(key: str, where: Scope | None = None, **changes: Any) -> Entry:
    values: dict[str, Any] = {
        "key": key,
        "scope": where or scope(),
        "question": f"question of {key}",
        "completion": answer(f"answer of {key}"),
        "created_at": START,
        "embedder": EMBEDDER,
        **changes,
    }
    return Entry(**values)


UNSTORABLE = {
    "key": entry("\ud800"),
    "question": entry("k", question="\udfff"),
    "time": entry("k", created_at=float("nan")),
    "number": entry("k", completion=Completion({"n": 2**70})),
    "object": entry("k", completion=Completion({"o": object()})),
}


def unit(rng: np.random.Generator, count: int, dim: int = DIM) -> Vector:
    """Rows of unit length, shape (count, dim)."""
    rows = rng.standard_normal((count, dim)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def clustered(rng: np.random.Generator, count: int, dim: int) -> Vector:
    """Unit rows in clusters around a common direction, as sentence vectors are."""
    centres = 0.8 * unit(rng, 100, dim) + 0.3 * unit(rng, 1, dim)
    return normal(centres[rng.integers(0, 100, count)] + 0.6 * unit(rng, count, dim))


def normal(rows: Vector) -> Vector:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)
