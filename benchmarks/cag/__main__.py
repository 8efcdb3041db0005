"""python -m benchmarks.cag: what reading documents ahead is worth, and what blocks cost.

Parts: `engine`, the first token with and without the prefix, decoding, save and reload;
`first_token`, seconds and operations by prompt length; `quality`, right answers from blocks;
`concurrency` and `decode`. Each is a command of its own too (`python -m benchmarks.cag.<part>`).

Why it matters: a request spends its time reading, not writing. Without a prefix every question
reads the documents again; with it, only the question is read. Both sides run the same engine and
the same prompt tokens: the knowledge as the engine's own, or in the request's system message.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from benchmarks.cag import first_token, quality
from benchmarks.cag.documents import document
from benchmarks.cag.opening import engine_over
from benchmarks.cag.plot import plot_first_token, plot_quality
from semcache.cag.engine import CagEngine
from semcache.cag.settings import CagSettings
from semcache.chat import ChatRequest
from semcache.onnx_graph import own_process

QUESTION = "What did the inspection of the first report find, and how long did the repair take?"
LENGTHS = (128, 621, 2000, 4000, 6000)
ELSEWHERE = ("concurrency", "decode")
PARTS = ("engine", "first_token", "quality", *ELSEWHERE)


def asked(system: str | None, max_tokens: int) -> ChatRequest:
    """The question, with the documents in the request where the engine has not read them."""
    messages = [{"role": "user", "content": QUESTION}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    body = {"model": "semcache", "messages": messages, "max_tokens": max_tokens}
    return ChatRequest.from_wire(body, tenant="bench")


async def timed(engine: CagEngine, request: ChatRequest) -> dict[str, Any]:
    """One answer: seconds to its first token, tokens a second after it, its usage and its text."""
    started = time.perf_counter()
    first = last = 0.0
    usage: dict[str, Any] = {}
    text = ""
    async for chunk in engine.answer(request):
        for choice in chunk.wire["choices"]:
            said = choice["delta"].get("content") or ""
            if said:
                last = time.perf_counter()
                first = first or last
                text += said
        usage = chunk.wire.get("usage") or usage
    tokens = usage["completion_tokens"]
    rate = (tokens - 1) / (last - first) if tokens > 1 and last > first else 0.0
    return {"ttft_s": first - started, "tokens_per_s": rate, "usage": usage, "text": text}


def measure_length(tokens: int, plain: CagEngine, runs: int, max_tokens: int) -> dict[str, Any]:
    """One row: prefill once and save, reload, then questions with and without the prefix."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        knowledge = folder / "knowledge"
        knowledge.mkdir()
        text = document(tokens)
        (knowledge / "reports.txt").write_text(text, encoding="utf-8")
        settings = CagSettings(knowledge=knowledge, reserve_tokens=256, mode="whole")
        with engine_over(settings, folder) as engine:
            shutil.rmtree(folder / "prefixes")
            built_s, reloaded_s = reading_times(engine)
            asyncio.run(timed(engine, asked(None, 2)))
            cached = [asyncio.run(timed(engine, asked(None, max_tokens))) for _ in range(runs)]
    system = f"{CagSettings().instruction}\n\n{text}"
    full = [asyncio.run(timed(plain, asked(system, max_tokens))) for _ in range(3)]
    ttft, full_ttft = _median(cached, "ttft_s"), _median(full, "ttft_s")
    return {
        "knowledge_tokens": cached[0]["usage"]["prompt_tokens_details"]["cached_tokens"],
        "prompt_tokens": cached[0]["usage"]["prompt_tokens"],
        "ttft_with_prefix_s": ttft,
        "ttft_full_prefill_s": full_ttft,
        "ttft_ratio": ttft / full_ttft,
        "decode_tokens_per_s": _median(cached, "tokens_per_s"),
        "decode_tokens_per_s_full": _median(full, "tokens_per_s"),
        "prefill_and_save_s": built_s,
        "reload_s": reloaded_s,
        "reload_times_faster": built_s / reloaded_s,
        "same_answer": cached[0]["text"] == full[0]["text"],
    }


def reading_times(engine: CagEngine) -> tuple[float, float]:
    """Seconds to read the knowledge and save the prefix, and then to take the saved one."""
    reader = engine._ready().reader
    times = []
    for _ in range(4):
        started = time.perf_counter()
        reader.read(lambda line: None)
        times.append(time.perf_counter() - started)
    return times[0], statistics.median(times[1:])


def _median(runs: Sequence[dict[str, Any]], name: str) -> float:
    return float(statistics.median(run[name] for run in runs))


def show(rows: Sequence[dict[str, Any]]) -> None:
    """The table for people."""
    print(
        "\nknowledge  first token, s        ratio  decode    prefill   reload   times   same\n"
        "   tokens  prefix   full prefill         tokens/s  + save s       s    faster  answer"
    )
    for row in rows:
        print(
            f"{row['knowledge_tokens']:9d}  {row['ttft_with_prefix_s']:6.3f}  "
            f"{row['ttft_full_prefill_s']:12.3f}  {row['ttft_ratio']:6.3f}  "
            f"{row['decode_tokens_per_s']:8.1f}  {row['prefill_and_save_s']:8.2f}  "
            f"{row['reload_s']:7.4f}  {row['reload_times_faster']:6.0f}  "
            f"{'yes' if row['same_answer'] else 'no'}"
        )
    print()


def engine_rows(lengths: Sequence[int], runs: int, max_tokens: int) -> list[dict[str, Any]]:
    """The table of the part `engine`."""
    with (
        tempfile.TemporaryDirectory() as folder,
        engine_over(CagSettings(reserve_tokens=256), Path(folder)) as plain,
    ):
        return [
            measure_length(length, plain, runs, max_tokens)
            for length in tqdm(lengths, desc="lengths", disable=None)
        ]


def quality_results(models: Sequence[str], questions: int) -> list[dict[str, Any]]:
    """Of the default model, and of each that is named beside it."""
    found = []
    for model in (None, *models):
        found.append(quality.result_of(model, questions))
        print(found[-1]["model"])
        quality.show(found[-1]["scores"])
    return found


def write(result: dict[str, Any], folder: Path) -> None:
    """cag.json, and a picture of each part that has one. Parts measured before are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "cag.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**before, **result}, indent=1) + "\n", encoding="utf-8")
    if "first_token" in result:
        plot_first_token(result["first_token"], folder / "cag_first_token.png")
    if "quality" in result:
        plot_quality(result["quality"], folder / "cag_quality.png")


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """The parts that were asked for."""
    result: dict[str, Any] = {
        "model": CagSettings().model,
        "machine": {"cpu": platform.machine(), "threads": torch.get_num_threads()},
    }
    if "engine" in args.parts:
        result["rows"] = engine_rows(args.lengths, args.runs, args.max_tokens)
        show(result["rows"])
    if "first_token" in args.parts:
        curve = first_token.measure(first_token.LENGTHS, CagSettings(), args.runs)
        first_token.show(curve)
        result["first_token"] = curve
    if "quality" in args.parts:
        result["quality"] = quality_results(args.fine_tuned, args.questions)
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    own_process()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cag", description=__doc__)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS[:3])
    parser.add_argument("--lengths", type=int, nargs="*", default=LENGTHS, help="tokens to read")
    parser.add_argument("--runs", type=int, default=5, help="questions for each length")
    parser.add_argument("--max-tokens", type=int, default=24)
    parser.add_argument("--questions", type=int, default=240, help="of the part quality")
    parser.add_argument("--fine-tuned", nargs="*", default=(), help="folders of further models")
    parser.add_argument("--out", type=Path, help="folder for cag.json and pictures")
    args = parser.parse_args(argv)
    result = measured(args)
    if args.out is not None:
        write(result, args.out)
    print(json.dumps(result))
    for part in ELSEWHERE:
        if part in args.parts:
            import_module(f"benchmarks.cag.{part}").main([])


if __name__ == "__main__":
    main()
