"""What one forward pass of several requests costs, and how far its logits are from a lone one's.

A part of `benchmarks.cag.concurrency`. The prefix is made of tokens drawn at random: its length
counts here, not what it says.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor

from semcache.cag.context.prefix import Prefix
from semcache.cag.opening.loading import Loaded, load
from semcache.cag.settings import CagSettings, default_cache_dir
from semcache.cag.turning.packing import Span
from semcache.cag.turning.together import Together

REQUESTS = 8
_STEPS = 6
_CHUNK = 512


def measure(length: int, weights: str) -> dict[str, Any]:
    """One row: eight requests on a prefix of `length` tokens; `weights` as 'cag.weights'."""
    with torch.inference_mode():
        loaded = _loaded(weights)
        prefix = _prefix(loaded, length)
        others = [Prefix(prefix.ids, tuple([*prefix.layers])) for _ in range(REQUESTS)]
        alone_s = _pass_s(loaded, [prefix])
        together_s = _pass_s(loaded, [prefix] * REQUESTS)
        apart_s = _pass_s(loaded, others)
        return {
            "prefix_tokens": length,
            "requests": REQUESTS,
            "alone_ms": alone_s * 1e3,
            "together_ms": together_s * 1e3,
            "apart_ms": apart_s * 1e3,
            **_differences(loaded, prefix),
        }


@cache
def _loaded(weights: str) -> Loaded:
    return load(
        CagSettings(weights=cast(Any, weights)), default_cache_dir(), time.time(), lambda line: None
    )


def _prefix(loaded: Loaded, length: int) -> Prefix:
    model, sharing = loaded.model, loaded.sharing
    ids = _tokens(random.Random(length), length)
    cache = sharing.begin(None, 0, capacity=length)
    for at in range(0, length, _CHUNK):
        model.read(ids[at : at + _CHUNK], sharing.arguments(cache))
    return sharing.freeze(ids, cache)


def _tokens(rng: random.Random, count: int) -> list[int]:
    return [rng.randrange(100, 40_000) for _ in range(count)]


def _begun(loaded: Loaded, prefixes: Iterable[Prefix]) -> list[Any]:
    """Requests that have read a question each, of different lengths."""
    rng = random.Random(3)
    caches = []
    for number, prefix in enumerate(prefixes):
        own = loaded.sharing.begin(prefix, len(prefix.ids))
        question = _tokens(rng, 20 + 3 * number)
        loaded.model.read(question, loaded.sharing.arguments(own))
        caches.append(own)
    return caches


def _pass_s(loaded: Loaded, prefixes: list[Prefix]) -> float:
    """Seconds of one decode step of requests on these prefixes."""
    together = Together(loaded.model, loaded.sharing, packs=True)
    caches = _begun(loaded, prefixes)
    return _median_s(lambda: together.read([Span(one, [77], 1, answers=True) for one in caches]))


def _median_s(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(_STEPS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _differences(loaded: Loaded, prefix: Prefix) -> dict[str, Any]:
    """Logits of shared passes against those of lone ones, over the same tokens."""
    rng = random.Random(5)
    steps = [[_tokens(rng, 1) for _ in range(REQUESTS)] for _ in range(_STEPS)]
    rows: list[tuple[Tensor, Tensor]] = []
    alone, shared = (_begun(loaded, [prefix] * REQUESTS) for _ in range(2))
    together = Together(loaded.model, loaded.sharing, packs=True)
    for tokens in steps:
        found = together.read(
            [Span(*one, 1, answers=True) for one in zip(shared, tokens, strict=True)]
        )
        for lone_cache, own, logits in zip(alone, tokens, found, strict=True):
            lone = loaded.model.read_last(own, 1, loaded.sharing.arguments(lone_cache))[0]
            rows.append((lone, logits[0]))
    apart = [float((lone - found).abs().max()) for lone, found in rows]
    margins = [float(-lone.topk(2).values.diff()) for lone, _ in rows]
    return {
        "rows": len(rows),
        "rows_that_differ": sum(one > 0 for one in apart),
        "logits_differ_most": max(apart),
        "logits_differ_median": statistics.median(apart),
        "logits_scale": max(float(lone.abs().max()) for lone, _ in rows),
        "same_choice": sum(int(lone.argmax() == found.argmax()) for lone, found in rows),
        "least_margin": min(margins),
    }


def show(rows: Iterable[dict[str, Any]]) -> None:
    """The table for people."""
    print(
        "\n prefix  one pass, ms                        logits of shared passes\n"
        " tokens  1 request  8 together  8 apart   differ most  of     same choice"
    )
    for row in rows:
        print(
            f"{row['prefix_tokens']:7d}  {row['alone_ms']:9.1f}  {row['together_ms']:10.1f}  "
            f"{row['apart_ms']:7.1f}   {row['logits_differ_most']:11.1e}  "
            f"{row['logits_scale']:5.1f}  {row['same_choice']:4d} of {row['rows']}"
        )
    print()
