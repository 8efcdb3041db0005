"""python -m benchmarks.cag.first_token: what the first token takes, by the length of the prompt.

A question of 50 tokens at the end of a prompt: the whole prompt read anew (full), after a prefix
that was read before, and after blocks of 128 tokens that were read before and are moved to their
places. The bare question is what none of them can beat. The time does not depend on what the
documents say, so keys and values of prefix and blocks are drawn at random.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from benchmarks.cag.flops import LLAMA_8B, Shape
from semcache.cag.blocks.block_probe import proved_rotation
from semcache.cag.context.segments import Context, Segment
from semcache.cag.context.sharing import SplitSharing
from semcache.cag.network.model import LanguageModel
from semcache.cag.opening.loading import Loaded, load
from semcache.cag.settings import CagSettings, default_cache_dir

LENGTHS = (50, 128, 512, 1024, 2048, 4096, 8192)
QUESTION = 50
BLOCK = 128
_CHUNK = 512


class FirstToken:
    """Times one model; for the thread that loaded it."""

    def __init__(self, loaded: Loaded, runs: int) -> None:
        if not isinstance(loaded.sharing, SplitSharing):
            raise ValueError("this model shares prefixes by forked caches: nothing to compare")
        self.model: LanguageModel = loaded.model
        self.sharing = loaded.sharing
        self.rotation = proved_rotation(loaded.model, loaded.sharing)
        self.config = loaded.model.network.config.get_text_config()
        self.shape = Shape.of(self.config)
        self._runs = runs
        rng = random.Random(5)
        longest = self.model.window
        self._ids = [rng.randrange(self.shape.vocabulary) for _ in range(longest)]

    def row(self, length: int) -> dict[str, Any]:
        """All ways at one length; seconds are medians."""
        before = length - QUESTION
        full = self._median(lambda: self._full(length), 1 if length > 1024 else 3)
        flops = self.shape.first_token(length, 0)
        found: dict[str, Any] = {
            "tokens": length,
            "full_s": full,
            "full_gflop": flops / 1e9,
            "kv_bytes": self.shape.kv_bytes(before, self.model.dtype.itemsize),
        }
        if before <= 0:
            return found
        ways = {"prefix": [Segment(self._layers(before))], "blocks": self._blocks(before)}
        for name, segments in ways.items():
            if name == "blocks" and self.rotation is None:
                continue
            taken = self._median(lambda s=segments: self._after(s), self._runs)  # type: ignore[misc]
            found[f"{name}_s"] = taken
            found[f"{name}_ratio"] = taken / full
        cached = self.shape.first_token(QUESTION, before)
        return {**found, "cached_gflop": cached / 1e9, "flop_ratio": cached / flops}

    def _full(self, length: int) -> None:
        cache = self.sharing.after(None, 0, length)
        for at in range(0, length, _CHUNK):
            self.model.read(self._ids[at : min(at + _CHUNK, length)], self.sharing.arguments(cache))

    def _after(self, segments: Sequence[Segment]) -> None:
        context = Context(segments, self.rotation)
        cache = self.sharing.after(context, context.length)
        self.model.read(self._ids[:QUESTION], self.sharing.arguments(cache))

    def _blocks(self, tokens: int) -> list[Segment]:
        return [
            Segment(self._layers(min(BLOCK, tokens - at)), at) for at in range(0, tokens, BLOCK)
        ]

    def _layers(self, tokens: int) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
        size = (1, self.shape.kv_heads, tokens, self.shape.head_dim)
        where: dict[str, Any] = {"dtype": self.model.dtype, "device": self.model.device}
        return tuple(
            (torch.randn(size, **where), torch.randn(size, **where))
            for _ in range(self.shape.layers)
        )

    def _median(self, work: Callable[[], None], runs: int) -> float:
        times = []
        for _ in range(runs):
            self._settle()
            started = time.perf_counter()
            work()
            self._settle()
            times.append(time.perf_counter() - started)
        return statistics.median(times)

    def _settle(self) -> None:
        if self.model.device.type == "cuda":
            torch.cuda.synchronize(self.model.device)


def measure(lengths: Sequence[int], settings: CagSettings, runs: int) -> dict[str, Any]:
    """A row for each length that the model's window holds, and the arithmetic of a larger model."""
    loaded = load(settings, default_cache_dir(), time.time(), lambda line: None)
    with torch.inference_mode():
        timer = FirstToken(loaded, runs)
        timer.row(128)
        fitting = [length for length in lengths if QUESTION <= length <= loaded.model.window]
        rows = [timer.row(length) for length in tqdm(fitting, desc="lengths", disable=None)]
    return {"rows": rows, "at_32k_of_8b": arithmetic(LLAMA_8B, 32_768)}


def arithmetic(shape: Shape, tokens: int) -> dict[str, float]:
    """Operations for a larger model: counted, not timed."""
    full = shape.first_token(tokens, 0)
    cached = shape.first_token(QUESTION, tokens - QUESTION)
    return {"full_gflop": full / 1e9, "cached_gflop": cached / 1e9, "flop_ratio": cached / full}


def show(result: dict[str, Any]) -> None:
    """The table for people."""
    print(
        "\n  prompt     first token, s              of full, %      GFLOP          of full\n"
        "  tokens     full  prefix  blocks   prefix  blocks     full  cached        %"
    )
    for row in result["rows"]:
        line = f"{row['tokens']:8d} {row['full_s']:8.3f}"
        if "prefix_s" in row:
            blocks = row.get("blocks_s", float("nan"))
            line += (
                f"{row['prefix_s']:8.3f}{blocks:8.3f}{100 * row['prefix_ratio']:9.2f}"
                f"{100 * row.get('blocks_ratio', float('nan')):8.2f}{row['full_gflop']:9.1f}"
                f"{row['cached_gflop']:8.1f}{100 * row['flop_ratio']:9.2f}"
            )
        print(line)
    larger = result["at_32k_of_8b"]
    print(f"\n32,768 tokens, shape of Llama-3.1-8B, counted: {100 * larger['flop_ratio']:.3f} %\n")


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cag.first_token")
    parser.add_argument("--lengths", type=int, nargs="*", default=LENGTHS)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--model", help="another than the default")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="a JSON file")
    args = parser.parse_args(argv)
    given = {} if args.model is None else {"model": args.model}
    result = measure(args.lengths, CagSettings(device=args.device, **given), args.runs)
    result["threads"] = torch.get_num_threads()
    show(result)
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
