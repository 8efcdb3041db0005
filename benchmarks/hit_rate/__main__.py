"""python -m benchmarks.hit_rate: what share of questions is served, and how much of it wrongly.

Every stored question goes into one cache with an answer of its own; then every other question is
asked of it. The whole path is used: keys, encoder, store, policy. A second, pure pass judges the
same neighbours at other thresholds, for the curves.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.hit_rate.outcome import Found, Row, by_category, is_right, tally
from benchmarks.hit_rate.plot import plot_curves
from benchmarks.hit_rate.questions import OWN_DATA, Case, read_cases
from semcache import policy
from semcache.assembly import build
from semcache.cache import SemCache
from semcache.chat import text_request
from semcache.completion import text_completion_of
from semcache.config import Config
from semcache.directives import NONE, ONLY_IF_CACHED
from semcache.gptcache.threshold import cosine_threshold
from semcache.guards import DEFAULT_GUARDS
from semcache.interfaces import Asked, Candidate, Hit, Miss
from semcache.keys import request_key
from semcache.layers import Layers

SHOWN = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99)
CURVE = tuple(round(0.5 + 0.01 * step, 2) for step in range(51))


async def store_all(cache: SemCache, cases: Sequence[Case]) -> int:
    """Put every stored question once, each with an answer that names it."""
    questions = sorted({case.stored for case in cases if case.stored is not None})
    progress = tqdm(total=len(questions), desc="storing", disable=None, unit="q")
    gate = asyncio.Semaphore(32)

    async def put(question: str) -> None:
        async with gate:
            answer = text_completion_of(
                f"The answer to: {question}", id="chatcmpl-0", created=0, model="bench"
            )
            await cache.put(text_request(question, tenant="bench", model="bench"), answer)
            progress.update()

    await asyncio.gather(*(put(question) for question in questions))
    progress.close()
    return len(questions)


async def ask_all(cache: SemCache, cases: Sequence[Case]) -> tuple[list[Hit | Miss], list[float]]:
    """Ask every case through the front door, one at a time; decisions and latencies in ms."""
    decisions: list[Hit | Miss] = []
    latencies: list[float] = []
    for case in tqdm(cases, desc="asking", disable=None, unit="q"):
        request = text_request(case.asked, tenant="bench", model="bench")
        started = time.perf_counter()
        reply = await cache.ask(request, ONLY_IF_CACHED)
        latencies.append((time.perf_counter() - started) * 1e3)
        reply.close()
        if not isinstance(reply.decision, Hit | Miss):
            raise TypeError(f"an unexpected decision: {reply.decision}")
        decisions.append(reply.decision)
    return decisions, latencies


def look_around(cache: SemCache, cases: Sequence[Case], k: int) -> list[Found]:
    """The nearest stored questions of every case, for the pure pass."""
    layers = cache.layers
    if layers.embedder is None:
        raise RuntimeError("this benchmark needs an encoder")
    found: list[Found] = []
    for case in tqdm(cases, desc="neighbours", disable=None, unit="q"):
        key = request_key(text_request(case.asked, tenant="bench", model="bench"))
        exact = layers.store.get(key.exact)
        candidates: list[Candidate] = [] if exact is None else [Candidate(exact, 1.0)]
        encoded = layers.embedder.encode([case.asked])[0]
        vector = encoded.vector
        if vector is None:
            vector = np.zeros(layers.embedder.dim, dtype=np.float32)
        elif policy.matchable(encoded, layers.settings) is None:
            candidates += layers.store.search(key.scope, vector, k)
        found.append(Found(case, Asked(case.asked, vector, encoded.sketch), candidates))
    return found


def judge_at(layers: Layers, cosine: float, found: Found) -> Hit | Miss:
    """The policy's decision at another threshold."""
    candidates = found.candidates
    if candidates and candidates[0].entry.question == found.case.asked:
        return policy.judge_exact(candidates[0].entry, 0.0, NONE)
    at = replace(layers.settings, threshold=cosine)
    return policy.judge_semantic(found.asked, candidates, 0.0, NONE, at, layers.verifier)


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run both passes and gather the figures."""
    cases = read_cases(args.data)
    config = Config.from_mapping(
        {
            "storage_config": {"data_dir": args.folder},
            "config": {"similarity_threshold": args.threshold},
            "policy": {"guards": args.guards, "volatile": "off", "personal": "off"},
            "trust": {"verifier": args.verifier},
            "engines": [],
        }
    )
    cache = build(config).cache
    try:
        stored = await store_all(cache, cases)
        decisions, latencies = await ask_all(cache, cases)
        found = await asyncio.to_thread(look_around, cache, cases, cache.layers.settings.candidates)
    finally:
        await cache.aclose()
    layers = cache.layers
    rows = {t: _row(layers, found, t) for t in sorted({*SHOWN, *CURVE, args.threshold})}
    served = [(c, d) for c, d in zip(cases, decisions, strict=True) if isinstance(d, Hit)]
    right = sum(is_right(case, hit) for case, hit in served)
    if right != rows[args.threshold].right:
        raise RuntimeError("the two passes disagree: the curve does not describe the cache")
    judge = partial(judge_at, layers, cosine_threshold(args.threshold))
    return {
        "data": str(args.data) if args.data != OWN_DATA else "own",
        "guards": list(args.guards),
        "verifier": layers.verifier is not None,
        "threshold": args.threshold,
        "questions": {"stored": stored, **_kinds(cases)},
        "at_threshold": rows[args.threshold].as_json(),
        "latency_ms": _percentiles(latencies),
        "traps": by_category(found, judge),
        "rows": [rows[t] for t in SHOWN],
        "curve": [rows[t] for t in CURVE],
    }


def _row(layers: Layers, found: Sequence[Found], threshold: float) -> Row:
    cosine = cosine_threshold(threshold)
    return tally(found, partial(judge_at, layers, cosine), threshold, cosine)


def _kinds(cases: Sequence[Case]) -> dict[str, int]:
    kinds = ("paraphrase", "trap", "unseen")
    return {kind: sum(case.kind == kind for case in cases) for kind in kinds}


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    return {f"p{p}": round(float(np.percentile(values, p)), 3) for p in (50, 95, 99)}


def show(result: dict[str, Any]) -> None:
    """The table for people, then the JSON for programs."""
    asked = result["questions"]
    print(
        f"\n{asked['stored']} questions stored; asked: {asked['paraphrase']} paraphrases, "
        f"{asked['trap']} traps, {asked['unseen']} unseen; "
        f"guards: {', '.join(result['guards']) or 'none'}; "
        f"verifier: {'on' if result['verifier'] else 'off'}\n"
    )
    print("  t  cosine  right  wrong: para  trap  unseen  missed  hit rate  false hits  precision")
    for row in result["rows"]:
        print(
            f"{row.gptcache_threshold:.2f}  {row.cosine:5.2f}  {row.right:5d}  "
            f"{row.wrong_on_paraphrases:11d}  {row.wrong_on_traps:4d}  {row.wrong_on_unseen:6d}  "
            f"{row.missed:6d}  {row.hit_rate:8.1%}  {row.false_hit_rate:10.1%}  "
            f"{row.precision:9.1%}"
        )
    if result["traps"]:
        shown = (f"{name} {n['wrong']}/{n['asked']}" for name, n in result["traps"].items())
        print(f"\ntraps served at t = {result['threshold']}: {', '.join(shown)}")
    print(f"latency of a question, ms: {result['latency_ms']}\n")


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hit_rate", description=__doc__)
    parser.add_argument("--data", type=Path, default=OWN_DATA, help="a file or folder of cases")
    parser.add_argument("--threshold", type=float, default=0.8, help="on GPTCache's scale")
    parser.add_argument(
        "--guards",
        nargs="*",
        default=list(DEFAULT_GUARDS),
        help="empty: none; with --no-verifier GPTCache's distance alone",
    )
    parser.add_argument(
        "--verifier",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether the packaged one judges too, as it does by default",
    )
    parser.add_argument("--out", type=Path, help="folder for the plot (PNG) and the result (JSON)")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as args.folder:
        result = asyncio.run(measure(args))
    show(result)
    for name in ("rows", "curve"):
        result[name] = [row.as_json() if isinstance(row, Row) else row for row in result[name]]
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        curve = [Row(**row) for row in result["curve"]]
        plot_curves(curve, args.out / "hit_rate.png", f"Hit rate by threshold ({result['data']})")
        (args.out / "hit_rate.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
