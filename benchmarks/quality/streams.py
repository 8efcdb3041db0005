"""All policies on the same stream, in several orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.quality.certified import Certified, Per, ThresholdOf
from benchmarks.quality.certified import certified_threshold as pooled
from benchmarks.quality.fixed import Exact, Static
from benchmarks.quality.intents import Request, answer_numbers
from benchmarks.quality.judged import Bound, Told, all_forms, play_judged
from benchmarks.quality.product import library_threshold
from benchmarks.quality.rates import best_below
from benchmarks.quality.stream import Ints, Policy, Requests, play
from benchmarks.quality.vcache import VCache
from semcache.embedding import SentenceEncoder
from semcache.gptcache.threshold import cosine_threshold
from semcache.interfaces import Encoded, Vector

GPTCACHE = (0.8, 0.9, 0.95)
SWEPT = tuple(round(0.6 + 0.025 * step, 3) for step in range(16))
VCACHE_DELTAS = (0.01, 0.02, 0.05)
PER_REQUEST = (0.01, 0.02, 0.05)
PER_HIT = (0.02, 0.05)
LIMITS = (0.005, 0.01, 0.02)
POINTS = 17
ORDERS = ("shuffled", "chronological", "in blocks")

Make = Callable[[np.random.Generator], Policy]
Summary = dict[str, float]


@dataclass(frozen=True, slots=True)
class Settings:
    """`audits`: share of our hits that the engine answers too."""

    seeds: int
    audits: float
    orders: Sequence[str] = ORDERS
    only_product: bool = False


def product(audits: float) -> dict[str, Bound]:
    """The product's own path, by the name in the table; veto: as it comes."""
    return {
        "product 2% a request": Bound(0.02, "request", audits),
        "product 2% r. learned": Bound(0.02, "request", audits, "learned"),
        "product 5% r. learned": Bound(0.05, "request", audits, "learned"),
        "product 2% h. learned": Bound(0.02, "hit", audits, "learned"),
        "product 2% r. reworded": Bound(0.02, "request", audits, "learned", 3),
    }


def certified(delta: float, per: Per, audits: float, threshold_of: ThresholdOf) -> Make:
    """A maker of ours."""
    return lambda rng: Certified(delta, per, rng, audits, threshold_of=threshold_of)


def policies(audits: float) -> dict[str, Make]:
    """By the name in the table; each call makes one with an empty memory.

    "ours" certifies with the library, "pooled" with the shorter approximation of `certified`.
    """
    table: dict[str, Make] = {"exact only": lambda _: Exact()}
    for at in GPTCACHE:
        table[f"GPTCache {at}"] = lambda _, at=at: Static(cosine_threshold(at))  # type: ignore[misc]
    for delta in VCACHE_DELTAS:
        table[f"vCache {delta:.0%}"] = lambda rng, d=delta: VCache(d, rng)  # type: ignore[misc]
    bounds: dict[Per, tuple[float, ...]] = {"request": PER_REQUEST, "hit": PER_HIT}
    for per, deltas in bounds.items():
        for delta in deltas:
            table[f"ours {delta:.0%} a {per}"] = certified(delta, per, audits, library_threshold)
            table[f"pooled {delta:.0%} a {per}"] = certified(delta, per, audits, pooled)
    return table


def as_requests(rows: Sequence[Request], vectors: dict[str, Vector]) -> Requests:
    """The stream in the order of its file."""
    texts = {text: at for at, text in enumerate(dict.fromkeys(text for text, _ in rows))}
    return Requests(
        np.stack([vectors[text] for text, _ in rows]),
        np.array(answer_numbers(intent for _, intent in rows), dtype=np.int64),
        np.array([texts[text] for text, _ in rows], dtype=np.int64),
    )


def as_told(rows: Sequence[Request], encoded: dict[str, Encoded], encoder: SentenceEncoder) -> Told:
    """The same stream for the product's path."""
    answers = np.array(answer_numbers(intent for _, intent in rows), dtype=np.int64)
    forms = all_forms(answers)
    said: dict[str, Vector] = {}
    for begin in range(0, len(forms), 64):
        part = forms[begin : begin + 64]
        for text, one in zip(part, encoder.encode(part), strict=True):
            if one.vector is not None:
                said[text] = one.vector
    return Told([text for text, _ in rows], encoded, answers, encoder.fingerprint, said)


def measure(
    rows: Sequence[Request], vectors: dict[str, Vector], told: Told, settings: Settings
) -> dict[str, Any]:
    """Means over seeds, and the best static threshold in hindsight."""
    requests = as_requests(rows, vectors)
    result: dict[str, Any] = {"requests": len(rows), "seeds": settings.seeds}
    for order in settings.orders:
        result[order] = _in_order(requests, told, order, settings)
    return result


def _in_order(requests: Requests, told: Told, order: str, settings: Settings) -> dict[str, Any]:
    seeds = range(1 if order == "in blocks" else settings.seeds)
    makers = {} if settings.only_product else policies(settings.audits)
    bounds = product(settings.audits)
    certificates: dict[str, list[str]] = {}
    swept: dict[str, Make] = {f"static {c}": lambda _, c=c: Static(c) for c in SWEPT}  # type: ignore[misc]
    runs: dict[str, list[Summary]] = {name: [] for name in (*makers, *bounds, *swept)}
    curves: dict[str, list[Summary]] = {}
    progress = tqdm(total=len(seeds) * len(runs), desc=order, disable=None, unit="run")
    for seed in seeds:
        rows_at = arrange(requests.answers, order, np.random.default_rng(seed))
        ordered = requests.ordered(rows_at)
        for name, make in {**makers, **swept}.items():
            trace = play(make(np.random.default_rng(seed)), ordered)
            runs[name].append(trace.summary())
            if seed == 0 and name in makers:
                curves[name] = trace.over_time(POINTS)
            progress.update()
        mine = _ordered(told, rows_at)
        for name, bound in bounds.items():
            trace, said = play_judged(mine, bound, seed)
            runs[name].append(trace.summary())
            if seed == 0:
                curves[name], certificates[name] = trace.over_time(POINTS), said
            progress.update()
    progress.close()
    rows = {name: averaged(found) for name, found in runs.items()}
    return {
        "policies": {name: rows[name] for name in (*makers, *bounds)},
        "static": {name: rows[name] for name in swept},
        "static_in_hindsight": in_hindsight([rows[name] for name in swept]),
        "over_time": curves,
        "certificates": certificates,
    }


def _ordered(told: Told, rows: Ints) -> Told:
    texts = [told.texts[at] for at in rows.tolist()]
    return replace(told, texts=texts, answers=told.answers[rows])


def arrange(answers: Ints, order: str, rng: np.random.Generator) -> Ints:
    """The order in which requests come, as rows.

    "shuffled": independent of time. "chronological": each answer is first needed at a time of its
    own in the first seven tenths and then evenly until the end, so new ones turn up all along.
    "in blocks": as the file has it, which for sorted files is one answer after the other.
    """
    if order == "in blocks":
        return np.arange(len(answers))
    if order == "shuffled":
        return rng.permutation(len(answers))
    _, group = np.unique(answers, return_inverse=True)
    begin = rng.uniform(0, 0.7, group.max() + 1)[group]
    return np.argsort(begin + (1 - begin) * rng.uniform(size=len(answers)), kind="stable")


def averaged(found: Sequence[Summary]) -> Summary:
    """Means, and the worst seed's wrong rates."""
    row = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    row["fewest_hits"] = min(one["hits"] for one in found)
    for name in ("wrong_per_request", "wrong_per_hit"):
        row[f"worst_{name}"] = max(one[name] for one in found)
    return {name: round(value, 5) for name, value in row.items()}


def in_hindsight(rows: Sequence[Summary]) -> dict[str, Any]:
    """Most hits of any one threshold whose wrong rate stays within each limit."""
    best: dict[str, Any] = {}
    for per in ("wrong_per_request", "wrong_per_hit"):
        for limit in LIMITS:
            found = best_below([(row["hits"], row[per]) for row in rows], limit)
            best[f"{per} <= {limit:.1%}"] = None if found is None else found[0]
    return best
