"""python -m benchmarks.cag.decode: how fast answers are written, and whether they are the same.

One answer at a time after a prefix of 600 tokens, with each kind of `cag.weights`, and with
llama.cpp on the same file where its package is installed. Then the answers to many questions: a
token agrees if it is the one that float32 chooses after the same tokens. Every row of the table is
a process of its own, as a process has one pool of threads.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.cag.documents import document
from benchmarks.cag.question_set import Asked, Document, make
from semcache.cag.context.probe import choose_sharing
from semcache.cag.context.sharing import Sharing
from semcache.cag.lean.network import MOST_ROWS
from semcache.cag.network.conversion import packaged_gguf
from semcache.cag.network.model import LanguageModel, load_model, locate
from semcache.cag.opening.quickening import quickened
from semcache.cag.settings import CagSettings, default_cache_dir
from semcache.onnx_graph import own_process

KINDS = ("plain", "exact", "int8")
OPPONENT = "llama.cpp"
QUESTION = "What did the inspection of the first report find, and how long did the repair take?"
INSTRUCTION = CagSettings().instruction


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    own_process()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cag.decode", description=__doc__)
    parser.add_argument("--threads", type=int, nargs="*", default=(2, 1))
    parser.add_argument("--prefix", type=int, default=600, help="tokens before the question")
    parser.add_argument("--tokens", type=int, default=64, help="of each answer that is timed")
    parser.add_argument("--runs", type=int, default=5, help="answers that are timed")
    parser.add_argument("--questions", type=int, default=120, help="whose answers are compared")
    parser.add_argument("--out", type=Path, help="folder for decode.json")
    parser.add_argument("--one", choices=(*KINDS, OPPONENT), help=argparse.SUPPRESS)
    parser.add_argument("--agreement", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.agreement:
        print(json.dumps(agreement(args.questions)))
    elif args.one:
        print(json.dumps(_one(args)))
    else:
        _all(args)


def _all(args: argparse.Namespace) -> None:
    names = [*KINDS, *([OPPONENT] if find_spec("xllamacpp") else [])]
    jobs = [(name, threads) for threads in args.threads for name in names]
    rows = [
        _child("--one", name, "--threads", threads, *_sizes(args))
        for name, threads in tqdm(jobs, desc="speed", disable=None)
    ]
    same = _child("--agreement", "--questions", args.questions) if args.questions else []
    show(rows, same)
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "prefix_tokens": args.prefix,
        "speed": rows,
        "agreement": same,
    }
    print(json.dumps(result))
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "decode.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _sizes(args: argparse.Namespace) -> list[Any]:
    return ["--prefix", args.prefix, "--tokens", args.tokens, "--runs", args.runs]


def _child(*arguments: Any) -> Any:
    command = [sys.executable, "-m", "benchmarks.cag.decode", *map(str, arguments)]
    environ = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environ)
    return json.loads(done.stdout.splitlines()[-1])


def _one(args: argparse.Namespace) -> dict[str, Any]:
    threads = args.threads[0]
    timed = _llama if args.one == OPPONENT else _ours
    rates, facts = timed(args, threads)
    return {
        "kind": args.one,
        "threads": threads,
        "tokens_per_s": statistics.median(rates),
        "tokens_per_s_best": max(rates),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        **facts,
    }


# ------------------------------------------------------------------------------------------- ours


def opened(
    kinds: Sequence[str], threads: int
) -> tuple[LanguageModel, Sharing, dict[str, tuple[LanguageModel, float]]]:
    """The plain model, how requests share, and each kind with the seconds that it takes to open."""
    torch.set_num_threads(threads)
    settings = CagSettings(device="cpu")
    plain = load_model(locate(settings, default_cache_dir(), _told), settings)
    sharing = choose_sharing(plain)
    models = {}
    for kind in kinds:
        started = time.perf_counter()
        model, found = quickened(plain, sharing, kind, default_cache_dir(), _told)
        if found != kind:
            raise SystemExit(f"the default model cannot be decoded with {kind} weights")
        models[kind] = model, time.perf_counter() - started
    return plain, sharing, models


def _ours(args: argparse.Namespace, threads: int) -> tuple[list[float], dict[str, Any]]:
    plain, sharing, models = opened([args.one], threads)
    model, load_s = models[args.one]
    ids, question = prompt(plain.tokenizer, args.prefix)
    rates, first = [], []
    with torch.inference_mode():
        cache = sharing.begin(None, 0, capacity=len(ids))
        plain.read(ids, sharing.arguments(cache))
        prefix = sharing.freeze(ids, cache)
        for _ in range(args.runs):
            cache = sharing.begin(prefix, len(ids))
            started = time.perf_counter()
            logits = model.read(question, sharing.arguments(cache))
            first.append(time.perf_counter() - started)
            started = time.perf_counter()
            for _ in range(args.tokens):
                token = int(logits.argmax())
                logits = model.read_last([token], 1, sharing.arguments(cache))[0]
            rates.append(args.tokens / (time.perf_counter() - started))
    return rates, {"load_s": load_s, "question_s": statistics.median(first)}


def prompt(tokenizer: Any, tokens: int) -> tuple[list[int], list[int]]:
    """So many tokens of documents, and a question after them."""
    system = {"role": "system", "content": f"{INSTRUCTION}\n\n{document(tokens + 200)}"}
    text = tokenizer.apply_chat_template([system], tokenize=False)
    asked = f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
    before, after = (tokenizer(part, add_special_tokens=False).input_ids for part in (text, asked))
    return before[:tokens], after


# -------------------------------------------------------------------------------------- llama.cpp


def _llama(args: argparse.Namespace, threads: int) -> tuple[list[float], dict[str, Any]]:
    """Its own figures for decoding: what it says of a request's second part."""
    import xllamacpp
    from transformers import AutoTokenizer

    folder = locate(CagSettings(), default_cache_dir(), _told)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    ids, question = prompt(tokenizer, args.prefix)
    how = xllamacpp.CommonParams()
    how.model.path = str(packaged_gguf())
    how.n_ctx, how.n_parallel = 2048, 1
    how.cpuparams.n_threads = how.cpuparams_batch.n_threads = threads
    started = time.perf_counter()
    server = xllamacpp.Server(how)
    load_s = time.perf_counter() - started
    body = {
        "prompt": ids + question,
        "n_predict": args.tokens,
        "temperature": 0,
        "cache_prompt": True,
        "ignore_eos": True,
    }
    rates = [
        float(server.handle_completions(body)["timings"]["predicted_per_second"])
        for _ in range(args.runs)
    ]
    return rates, {"load_s": load_s, "version": xllamacpp.__version__}


# -------------------------------------------------------------------------------------- agreement


def agreement(questions: int) -> list[dict[str, Any]]:
    """Float32's answers to questions over short documents, token by token, in the other kinds."""
    plain, sharing, models = opened(KINDS[1:], torch.get_num_threads())
    made = make()
    documents = {one.name: one for one in made.documents}
    found: dict[str, list[tuple[list[bool], float]]] = {kind: [] for kind in models}
    for asked in tqdm(made.sample(questions), desc="agreement", disable=None):
        ids = _asked(plain.tokenizer, documents[asked.document], asked)
        cache, answer, expected = _answer(plain, sharing, ids)
        for kind, (model, _) in models.items():
            found[kind].append(_same(model, sharing, sharing.copy(cache), answer, expected))
    return [_row(kind, each) for kind, each in found.items()]


def _row(kind: str, each: Sequence[tuple[list[bool], float]]) -> dict[str, Any]:
    tokens = sum(len(same) for same, _ in each)
    return {
        "kind": kind,
        "questions": len(each),
        "tokens": tokens,
        "tokens_agree": sum(sum(same) for same, _ in each) / tokens,
        "answers_agree": sum(all(same) for same, _ in each) / len(each),
        "largest_logit_difference": max(worst for _, worst in each),
    }


def _asked(tokenizer: Any, source: Document, asked: Asked) -> list[int]:
    turns = [
        {"role": "system", "content": f"{INSTRUCTION}\n\n{source.text}"},
        {"role": "user", "content": asked.question},
    ]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    found: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    return found


@torch.inference_mode()
def _answer(
    plain: LanguageModel, sharing: Sharing, ids: list[int], most: int = 32
) -> tuple[Any, list[int], list[Tensor]]:
    """The cache before the answer, its tokens, and the logits after each of them."""
    cache = sharing.begin(None, 0)
    logits = plain.read(ids, sharing.arguments(cache))
    before = sharing.copy(cache)
    answer: list[int] = []
    expected: list[Tensor] = []
    while len(answer) < most and int(logits.argmax()) not in plain.stop_tokens:
        answer.append(int(logits.argmax()))
        logits = plain.read(answer[-1:], sharing.arguments(cache))
        expected.append(logits)
    return before, answer, expected


@torch.inference_mode()
def _same(
    model: LanguageModel, sharing: Sharing, cache: Any, answer: list[int], expected: list[Tensor]
) -> tuple[list[bool], float]:
    """For each token after the first: does `model` choose it too? And the largest difference."""
    same: list[bool] = []
    worst = 0.0
    for at in range(0, len(answer), MOST_ROWS):
        rows = answer[at : at + MOST_ROWS]
        found = model.read_last(rows, len(rows), sharing.arguments(cache))
        own = torch.stack(expected[at : at + MOST_ROWS])
        same += (found.argmax(-1) == own.argmax(-1)).tolist()
        worst = max(worst, float((found - own).abs().max()))
    return same, worst


def show(rows: Sequence[dict[str, Any]], same: Sequence[dict[str, Any]]) -> None:
    """The tables for people."""
    print("\nweights    threads  tokens/s   best  question s  load s  peak MB")
    for row in rows:
        question = f"{row['question_s']:.3f}" if "question_s" in row else ""
        print(
            f"{row['kind']:10s} {row['threads']:7d}  {row['tokens_per_s']:8.1f} "
            f"{row['tokens_per_s_best']:6.1f}  {question:>10s} "
            f"{row['load_s']:7.2f}  {row['peak_rss_mb']:7.0f}"
        )
    print("\nweights    questions  tokens  tokens agree  answers agree  largest difference")
    for row in same:
        print(
            f"{row['kind']:10s} {row['questions']:9d}  {row['tokens']:6d}  "
            f"{row['tokens_agree']:12.4f}  {row['answers_agree']:13.4f}  "
            f"{row['largest_logit_difference']:.4f}"
        )


def _told(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
