"""python -m benchmarks.latency: one lookup in process, beside GPTCache and mneme-cache.

All sides hold the same entries under the same vectors and are asked the same questions in turns of
a few. Every answer is compared with the right one. Where an encoder takes part its time is spent
and its vector thrown away: ours is the packaged encoder, the others get the same network in fp32
under onnxruntime, which is faster than every encoder of GPTCache's own.

The others judge by the distance alone, and so do we in the first row of semantic hits. In all
other rows our defaults are on: guards that read both texts, and rules for what changes.

A put of ours is durable when it returns. GPTCache's reaches its index file with every twentieth;
mneme's survives a killed process, not a power cut.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.latency.sides import GPTCache, Mneme, Ours, Side
from benchmarks.latency.timing import Lap, percentiles_ms, take_turns
from benchmarks.latency.world import Encoder, Lookup, World, make_world
from semcache.embedding import SentenceEncoder

TMPFS = Path("/dev/shm")
TOGETHER = 8
Encoders = dict[str, Encoder]
Summary = dict[str, Any]
Tasks = dict[str, dict[str, Summary]]


class Bench:
    """One size: the sides, filled, and what each task asks of them."""

    def __init__(self, args: argparse.Namespace, size: int, folder: Path) -> None:
        self._queries: int = min(args.queries, size // 2)
        self._seconds: float = args.seconds
        self._world: World = make_world(size, self._queries * 2)
        self._lookups = {name: Lookup(self._world.table) for name in args.sides}
        most = 2 * size + 8 * self._queries
        make: dict[str, Callable[[Lookup], Side]] = {
            "semcache": lambda lookup: Ours(folder / "semcache", lookup),
            "gptcache": lambda lookup: GPTCache(folder / "gptcache", lookup, most),
            "mneme": lambda lookup: Mneme(folder / "mneme", lookup, most),
        }
        self._sides: list[Side] = [make[name](self._lookups[name]) for name in args.sides]
        self.fill_s: dict[str, float] = {}

    def fill(self) -> None:
        """Put every entry into every side."""
        for side in self._sides:
            begun = time.perf_counter()
            side.fill(self._world)
            self.fill_s[side.name] = round(time.perf_counter() - begun, 1)
        gc.collect()
        gc.freeze()

    async def run(self, encoders: Encoders) -> Tasks:
        """Every task, in the order of the table. Puts come last: they change the size."""
        tasks: Tasks = {}
        entries, n = self._world.entries, self._queries
        stored = [one.stored for one in entries]
        asked = [one.asked for one in entries]
        answers = [one.answer for one in entries]
        tasks["exact hit, first time"] = await self._gets(stored[:n], answers[:n])
        tasks["exact hit"] = await self._gets(stored[:n], answers[:n])
        tasks["exact hit, bytes to bytes"] = await self._bytes(n)
        half = n // 2
        self._judge(guards=False)
        tasks["semantic hit, no encoder"] = await self._gets(asked[:half], answers[:half])
        self._judge(guards=True)
        tasks["the same, with guards"] = await self._gets(asked[half:n], answers[half:n])
        for name, lookup in self._lookups.items():
            lookup.encoder = encoders.get(name)
        if encoders:
            tasks["semantic hit, encoder"] = await self._gets(asked[-n:], answers[-n:])
        for lookup in self._lookups.values():
            lookup.encoder = None
        nothing = [None] * n
        tasks["miss, no encoder"] = await self._gets(self._world.unknown[:n], nothing)
        tasks["put, one at a time"] = await self._puts(n)
        tasks[f"put, {TOGETHER} at once"] = await self._puts_together(n)
        return tasks

    async def close(self) -> None:
        """Close all sides."""
        for side in self._sides:
            await side.close()
        gc.unfreeze()

    def _judge(self, *, guards: bool) -> None:
        for side in self._sides:
            if isinstance(side, Ours):
                side.judge(guards=guards)

    async def _gets(self, texts: Sequence[str], expected: Sequence[Any]) -> dict[str, Summary]:
        laps = {side.name: Lap(side.get, texts, expected) for side in self._sides}
        ours = next((side for side in self._sides if isinstance(side, Ours)), None)
        if ours is not None:  # a caller has its request in hand
            laps[ours.name] = Lap(ours.get_parsed, [*map(ours.request, texts)], expected)
        await take_turns([*laps.values()], self._seconds)
        return {name: lap.summary() for name, lap in laps.items()}

    async def _bytes(self, count: int) -> dict[str, Summary]:
        ours = next((side for side in self._sides if isinstance(side, Ours)), None)
        if ours is None:
            return {}
        bodies = [ours.wire(one.stored) for one in self._world.entries[:count]]
        answers = [one.answer.encode() for one in self._world.entries[:count]]
        lap = Lap(ours.get_bytes, bodies, [_Containing(answer) for answer in answers])
        await take_turns([lap], self._seconds)
        return {ours.name: lap.summary()}

    async def _puts(self, count: int) -> dict[str, Summary]:
        some = [(one.stored, one.answer) for one in self._world.fresh[:count]]
        nothing = [None] * count
        laps = {
            side.name: Lap(lambda pair, side=side: side.put(*pair), some, nothing)  # type: ignore[misc]
            for side in self._sides
        }
        await take_turns([*laps.values()], self._seconds)
        return {name: lap.summary() for name, lap in laps.items()}

    async def _puts_together(self, count: int) -> dict[str, Summary]:
        some = [(one.stored, one.answer) for one in self._world.fresh[count : 2 * count]]
        found: dict[str, Summary] = {}
        for side in self._sides:
            if side.shares:
                found[side.name] = await together(side, some)
        return found


class _Containing:
    """Equal to bytes that contain the given ones."""

    def __init__(self, part: bytes) -> None:
        self._part = part

    def __eq__(self, other: object) -> bool:
        return isinstance(other, bytes) and self._part in other

    __hash__ = None  # type: ignore[assignment]


async def together(side: Side, pairs: Sequence[tuple[str, str]]) -> Summary:
    """Puts by eight callers; milliseconds of each, and how many a second in all."""
    left = iter(pairs)
    seconds: list[float] = []

    async def caller() -> None:
        for pair in left:
            started = time.perf_counter()
            await side.put_beside(*pair)
            seconds.append(time.perf_counter() - started)

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(TOGETHER)))
    rate = len(seconds) / (time.perf_counter() - begun)
    return {**percentiles_ms(seconds), "calls": len(seconds), "per_s": round(rate, 1)}


def open_encoders(sides: Sequence[str], folder: Path) -> Encoders:
    """Each side's own: int8 for us, the same network in fp32 for the others."""
    encoders: Encoders = {}
    for name in sides:
        if name == "semcache":
            encoders[name] = SentenceEncoder.open()
        else:
            encoders[name] = SentenceEncoder.open(quantize=False, cache_dir=folder)
    return encoders


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All sizes."""
    sizes: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=args.dir, prefix="semcache-latency-") as folder:
        encoders = {} if args.no_encoder else open_encoders(args.sides, Path(folder) / "models")
        progress = tqdm(args.sizes, desc="sizes", disable=None)
        for size in progress:
            progress.set_postfix_str(f"filling {size:,}")
            bench = Bench(args, size, Path(folder) / str(size))
            try:
                bench.fill()
                progress.set_postfix_str(f"asking {size:,}")
                sizes[str(size)] = {"tasks": await bench.run(encoders), "fill_s": bench.fill_s}
            finally:
                await bench.close()
    return {
        "dir": str(args.dir),
        "cores": os.cpu_count(),
        "load_1m": round(os.getloadavg()[0], 2),
        "sizes": sizes,
    }


def show(result: dict[str, Any]) -> None:
    """The table for people: p50 / p99 in ms, and how many times ours each other p50 is."""
    for size, found in result["sizes"].items():
        names = list(found["fill_s"])
        heads = "".join(f"{name + ' p50':>16}{'p99':>9}{'right':>7}{'':>8}" for name in names)
        print(f"\n{int(size):,} entries, ms\n{'':27}{heads}")
        for task, sides in found["tasks"].items():
            print(f"{task:27}{''.join(_cell(sides, name) for name in names)}")
    print(
        f"\nin {result['dir']}; load {result['load_1m']} on {result['cores']} cores "
        "(× is the p50 over semcache's)\n"
    )


def _cell(sides: dict[str, Summary], name: str) -> str:
    one, ours = sides.get(name), sides.get("semcache")
    if one is None:
        return f"{'-':>16}{'':>24}"
    last = f"{one['right']:7.1%}" if "right" in one else f"{one['per_s']:5.0f}/s"
    ratio = f" ×{one['p50'] / ours['p50']:.1f}" if ours and name != "semcache" else ""
    return f"{one['p50']:16.4f}{one['p99']:9.3f}{last}{ratio:8}"


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--queries", type=int, default=1_000, help="calls of a task, at most")
    parser.add_argument("--seconds", type=float, default=8.0, help="of a side at a task, at most")
    parser.add_argument(
        "--sides", nargs="+", default=["semcache", "gptcache", "mneme"],
        choices=["semcache", "gptcache", "mneme"],
    )  # fmt: skip
    parser.add_argument("--no-encoder", action="store_true", help="leave the encoders out")
    parser.add_argument(
        "--dir",
        type=Path,
        default=TMPFS if TMPFS.is_dir() else Path(tempfile.gettempdir()),
        help="where the stores lie: in memory by default, where there is such a folder",
    )
    parser.add_argument("--out", type=Path, help="folder for the result (JSON)")
    args = parser.parse_args(argv)
    result = asyncio.run(measure(args))
    show(result)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "latency.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
