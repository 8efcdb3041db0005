"""A process of its own that uses a store: the children of the durability and sharing tests.

put DIRECTORY SEED     put until killed; prints "ready", then each key when it is acknowledged
mix DIRECTORY SEED S   random puts, removes and searches for S seconds, in eight threads; prints
                       what disagrees
"""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from semcache.interfaces import Vector
from semcache.store import Limits, LocalStore
from tests.store.samples import EMBEDDER, answer, entry, scope, unit

SHARED_DIM = 64
THREADS = 4
MIXERS = 8


def vector_of(number: int, dim: int = SHARED_DIM) -> Vector:
    """The vector that belongs to a number, in every process."""
    row: Vector = unit(np.random.default_rng(number), 1, dim)[0]
    return row


def key_of(seed: int, number: int) -> str:
    return f"{seed}-{number}"


def opened(directory: Path, limits: Limits | None = None) -> LocalStore:
    return LocalStore(
        directory,
        dim=SHARED_DIM,
        embedder=EMBEDDER,
        limits=limits or Limits(),
        busy_timeout_s=30.0,
        flush_interval_s=0.05,
    )


def put_until_killed(directory: Path, seed: int) -> None:
    """Four threads put, replace and remove; a line is written only after the store returned."""
    store = opened(directory)
    say = threading.Lock()
    print("ready", flush=True)

    def work(thread: int) -> None:
        for number in range(thread, 10**9, THREADS):
            key = key_of(seed, number)
            put = store.put(entry(key), vector_of(number))
            store.touch({put.id: 1}, time.time())
            if number % 7 == 0:
                store.remove([key])
            with say:
                print(f"{'-' if number % 7 == 0 else '+'} {key}", flush=True)
            if number % 50 == 0:
                store.flush()

    threads = [threading.Thread(target=work, args=(each,)) for each in range(THREADS)]
    for thread in threads:
        thread.start()


def mix(directory: Path, seed: int, seconds: float) -> None:
    """Whatever is found must agree with itself: key, answer and vector carry one number."""
    vectors = [vector_of(number) for number in range(400)]
    end = time.monotonic() + seconds

    def work(thread: int) -> None:
        rng = np.random.default_rng([seed, thread])
        while time.monotonic() < end:
            _mixed(store, vectors, int(rng.integers(400)), rng.random(), seed)

    with opened(directory, Limits(max_entries=350)) as store, ThreadPoolExecutor(MIXERS) as pool:
        for done in [pool.submit(work, thread) for thread in range(MIXERS)]:
            done.result()


def _mixed(store: LocalStore, vectors: list[Vector], number: int, what: float, seed: int) -> None:
    key = f"k{number}"
    if what < 0.3:
        store.put(entry(key, completion=answer(f"{number} by {seed}")), vectors[number])
    elif what < 0.35:
        store.remove([key])
    elif what < 0.6:
        got = store.get(key)
        if got is not None and not got.completion.text.startswith(f"{number} by "):
            print(f"get {key}: {got.completion.text}")
    else:
        for found in store.search(scope(), vectors[number], 3):
            true = int(found.entry.key[1:])
            cosine = float(vectors[true] @ vectors[number])
            right = found.entry.completion.text.startswith(f"{true} by ")
            if not right or abs(cosine - found.similarity) > 1e-5:
                print(f"search {key}: {found.entry.key} {found.similarity} {cosine}")


if __name__ == "__main__":
    if sys.argv[1] == "put":
        put_until_killed(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        mix(Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
