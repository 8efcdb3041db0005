"""python -m benchmarks.cag.concurrency: many requests at once on one prefix, against one at a time.

Why it matters: a forward pass of one row and one of eight take nearly the same time on a CPU, as
both read every weight once. So requests that share their passes get several times the tokens a
second. Reported besides: whether every answer is the one that the request gets alone, how far the
logits of a shared pass are from those of a lone one, what scoring a shared prefix once is worth,
and what drafting from the documents brings.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from tqdm import tqdm

from benchmarks.cag import passes
from benchmarks.cag.opening import engine_over
from benchmarks.cag.question_set import QuestionSet, make, write
from semcache.cag.engine import CagEngine
from semcache.cag.settings import CagSettings
from semcache.chat import ChatRequest
from semcache.onnx_graph import own_process


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request got; seconds from its start."""

    text: str
    tokens: int
    first_s: float
    last_s: float


async def answered(engine: CagEngine, question: str, max_tokens: int) -> Answer:
    """Ask one question."""
    body = {
        "model": "semcache",
        "messages": [{"role": "user", "content": question}],
        "max_tokens": max_tokens,
    }
    started = time.perf_counter()
    first = last = 0.0
    text = ""
    tokens = 0
    async for chunk in engine.answer(ChatRequest.from_wire(body, tenant="bench")):
        for choice in chunk.wire["choices"]:
            said = choice["delta"].get("content") or ""
            if said:
                last = time.perf_counter() - started
                first = first or last
                text += said
        usage = chunk.wire.get("usage")
        tokens = usage["completion_tokens"] if usage else tokens
    return Answer(text, tokens, first, last)


async def all_answered(
    engine: CagEngine, questions: Sequence[str], clients: int, max_tokens: int
) -> list[Answer]:
    """`clients` askers, each with its next question as soon as its last one is answered."""
    found: dict[int, Answer] = {}
    left = iter(enumerate(questions))
    bar = tqdm(total=len(questions), desc=f"{clients} at once", disable=None, leave=False)

    async def client() -> None:
        for at, question in left:
            found[at] = await answered(engine, question, max_tokens)
            bar.update()

    await asyncio.gather(*(client() for _ in range(clients)))
    bar.close()
    return [found[at] for at in range(len(questions))]


def measured(
    engine: CagEngine, questions: Sequence[str], clients: int, max_tokens: int
) -> tuple[dict[str, Any], list[Answer]]:
    """One row of the table, and the answers."""
    started = time.perf_counter()
    answers = asyncio.run(all_answered(engine, questions, clients, max_tokens))
    seconds = time.perf_counter() - started
    firsts = sorted(one.first_s for one in answers)
    row = {
        "clients": clients,
        "tokens_per_s": sum(one.tokens for one in answers) / seconds,
        "answers_per_s": len(answers) / seconds,
        "ttft_p50_s": statistics.median(firsts),
        "ttft_p95_s": firsts[int(0.95 * (len(firsts) - 1))],
        "tokens": sum(one.tokens for one in answers),
    }
    return row, answers


def measure(
    folder: Path, questions: Sequence[str], args: argparse.Namespace
) -> list[dict[str, Any]]:
    """A row for each number of clients, without and with drafts."""
    rows: list[dict[str, Any]] = []
    alone: list[Answer] = []
    for speculate in args.drafts:
        settings = in_one_prefix(folder, args.weights, speculate, max(args.clients))
        with engine_over(settings, folder / "data") as engine:
            asyncio.run(all_answered(engine, questions[:2], 1, args.max_tokens))
            for clients in args.clients:
                row, answers = measured(engine, questions, clients, args.max_tokens)
                alone = alone or answers
                row["drafts"] = speculate
                row["same_answers"] = sum(
                    a.text == b.text and a.tokens == b.tokens
                    for a, b in zip(answers, alone, strict=True)
                )
                rows.append(row)
    for row in rows:
        row["times_one"] = row["tokens_per_s"] / rows[0]["tokens_per_s"]
    return rows


def in_one_prefix(folder: Path, weights: str, speculate: bool, clients: int) -> CagSettings:
    """Of an engine with all documents in one prefix."""
    return CagSettings(
        knowledge=folder / "knowledge",
        passages=False,
        weights=cast(Any, weights),
        speculate=speculate,
        max_active=clients,
        reserve_tokens=256,
    )


def asked(made: QuestionSet, documents: int, count: int) -> list[str]:
    """`count` questions over the first documents, repeated where there are fewer."""
    names = [one.name for one in made.documents[:documents]]
    there = [one.question for name in names for one in made.of(name)]
    return [there[at % len(there)] for at in range(count)]


def show(rows: Iterable[dict[str, Any]], questions: int) -> None:
    """The table for people."""
    print(
        "\nclients  drafts  tokens/s  times one  answers/s  first token, s   same as alone\n"
        "                                                  p50     p95"
    )
    for row in rows:
        print(
            f"{row['clients']:7d}  {'yes' if row['drafts'] else 'no':>6}  "
            f"{row['tokens_per_s']:8.1f}  {row['times_one']:9.2f}  {row['answers_per_s']:9.2f}  "
            f"{row['ttft_p50_s']:6.3f}  {row['ttft_p95_s']:6.3f}  "
            f"{row['same_answers']:6d} of {questions}"
        )


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    own_process()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cag.concurrency")
    parser.add_argument("--documents", type=int, default=6, help="in the one prefix")
    parser.add_argument("--questions", type=int, default=32)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 16])
    parser.add_argument(
        "--drafts", type=bool, nargs="+", default=[False, True], help="'' for without, any for with"
    )
    parser.add_argument("--weights", default=CagSettings().weights, help="as 'cag.weights'")
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--prefixes", type=int, nargs="*", default=[512, 2048, 8000])
    parser.add_argument("--out", type=Path, help="folder for concurrency.json")
    args = parser.parse_args(argv)
    made = make(args.documents)
    questions = asked(made, args.documents, args.questions)
    result: dict[str, Any] = {
        "model": CagSettings().model,
        "machine": {"cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "weights": args.weights,
        "questions": len(questions),
    }
    with tempfile.TemporaryDirectory() as name:
        write(made, Path(name) / "knowledge")
        result["rows"] = measure(Path(name), questions, args)
    show(result["rows"], len(questions))
    result["passes"] = [passes.measure(length, args.weights) for length in args.prefixes]
    passes.show(result["passes"])
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        path = args.out / "concurrency.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
