"""python -m benchmarks.encoder: what int8 costs in fidelity and saves in time.

Every semantic lookup waits for the encoder, so its time is most of a semantic hit's. Fidelity is
the cosine of each question's int8 vector with its fp32 vector and, closer to what a cache does, how
both rank: whether the nearest stored question is the right one, and the AUC of paraphrases against
the other stored questions. The AUC against traps says how hard the traps are (below .5: nearer than
the paraphrases, which no encoder alone can mend); only its difference is the quantisation's.

One-question times take turns between the two graphs, so that a busy machine slows both; rates do
not, so read them only where `load_1m` is well below the number of cores.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.hit_rate.questions import OWN_DATA, Case, read_cases
from semcache.embedding import DEFAULT_MODEL, SentenceEncoder

TOKENS = 14
BATCH = 8
Encoders = dict[str, SentenceEncoder]
Vectors = dict[str, NDArray[np.float32]]


def open_both(model: str, cache: Path) -> tuple[Encoders, dict[str, Any]]:
    """Both graphs, and the seconds it took to make each, and to open it once it is made."""
    encoders: Encoders = {}
    times: dict[str, Any] = {"build_s": {}, "start_s": {}}
    for name in ("fp32", "int8"):
        for step in ("build_s", "start_s"):
            begun = time.perf_counter()
            encoders[name] = SentenceEncoder.open(model, cache_dir=cache, quantize=name == "int8")
            times[step][name] = round(time.perf_counter() - begun, 3)
    return encoders, times


def auc(positive: NDArray[np.float32], negative: NDArray[np.float32]) -> float:
    """Probability that a positive is above a negative; ties count half (Mann-Whitney)."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    not_above = np.searchsorted(ordered, positive, side="right")
    return float((below + not_above).mean() / 2 / len(negative))


def embed(encoder: SentenceEncoder, texts: Sequence[str], name: str) -> NDArray[np.float32]:
    """Vectors (texts, dim), zero where a text exceeds the window."""
    rows = np.zeros((len(texts), encoder.dim), dtype=np.float32)
    for begin in tqdm(range(0, len(texts), 64), desc=f"embed, {name}", disable=None, leave=False):
        for at, one in enumerate(encoder.encode(texts[begin : begin + 64]), start=begin):
            if one.vector is not None:
                rows[at] = one.vector
    return rows


def fidelity(encoders: Encoders, cases: Sequence[Case]) -> dict[str, Any]:
    """Cosine of int8 to fp32 over all questions, and how each of the two ranks."""
    pairs = [(case.stored, case) for case in cases if case.stored is not None]
    texts = sorted({text for stored, case in pairs for text in (stored, case.asked)})
    vectors: Vectors = {name: embed(one, texts, name) for name, one in encoders.items()}
    to_fp32 = (vectors["int8"] * vectors["fp32"]).sum(axis=1)
    at = {text: row for row, text in enumerate(texts)}
    right = np.array([(at[s], at[case.asked]) for s, case in pairs if case.kind == "paraphrase"])
    traps = np.array([(at[s], at[case.asked]) for s, case in pairs if case.kind == "trap"])
    return {
        "questions": len(texts),
        "paraphrases": len(right),
        "traps": len(traps),
        "cosine_to_fp32": {
            "min": round(float(to_fp32.min()), 5),
            "p1": round(float(np.percentile(to_fp32, 1)), 5),
            "mean": round(float(to_fp32.mean()), 5),
            "worst": [texts[row] for row in np.argsort(to_fp32)[:3]],
        },
        **ranking(vectors, right, traps),
    }


def ranking(
    vectors: Vectors, right: NDArray[np.int64], traps: NDArray[np.int64]
) -> dict[str, dict[str, float]]:
    """How each set of vectors ranks; `right` and `traps` are rows of (stored, asked)."""
    result: dict[str, dict[str, float]] = {"auc_others": {}, "auc_traps": {}, "nearest_right": {}}
    stored, own = np.unique(right[:, 0], return_inverse=True)
    for name, rows in vectors.items():
        cosines = rows[right[:, 1]] @ rows[stored].T
        mine = np.zeros(cosines.shape, dtype=bool)
        mine[np.arange(len(own)), own] = True
        trapped = (rows[traps[:, 0]] * rows[traps[:, 1]]).sum(axis=1)
        result["auc_others"][name] = round(auc(cosines[mine], cosines[~mine]), 5)
        result["auc_traps"][name] = round(auc(cosines[mine], trapped), 5)
        result["nearest_right"][name] = round(float((cosines.argmax(axis=1) == own).mean()), 4)
    return result


def of_length(encoder: SentenceEncoder, texts: Sequence[str]) -> list[str]:
    """Different questions of exactly TOKENS tokens."""
    read = encoder.encode(texts)
    return [text for text, one in zip(texts, read, strict=True) if one.tokens == TOKENS]


def question_ms(encoders: Encoders, texts: Sequence[str], rounds: int) -> dict[str, Any]:
    """Percentiles of one question on one thread, tokenizer included."""
    spent: dict[str, list[float]] = {name: [] for name in encoders}
    for at in tqdm(range(rounds), desc="one question", disable=None, leave=False):
        for name, encoder in encoders.items():
            begun = time.perf_counter()
            encoder.encode([texts[at % len(texts)]])
            spent[name].append((time.perf_counter() - begun) * 1000)
    return {
        name: {f"p{p}": round(float(np.percentile(ms, p)), 2) for p in (10, 50, 95)}
        for name, ms in spent.items()
    }


def throughput(encoder: SentenceEncoder, texts: Sequence[str], total: int) -> dict[str, float]:
    """Embeddings a second by threads and by texts in a call."""
    result = {}
    for threads in (1, 2):
        for size in (1, BATCH):
            calls = [
                [texts[(c * size + i) % len(texts)] for i in range(size)]
                for c in range(total // size)
            ]
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(encoder.encode, calls[:threads]))
                begun = time.perf_counter()
                list(pool.map(encoder.encode, calls))
                rate = len(calls) * size / (time.perf_counter() - begun)
            result[f"{threads} thread{'s' * (threads > 1)}, {size} a call"] = round(rate, 1)
    return result


def batch_drift(encoder: SentenceEncoder, texts: Sequence[str]) -> float:
    """The largest difference in any component between a text's vector in a batch and alone."""
    together = embed(encoder, texts, "together")
    alone = np.stack(
        [embed_one(encoder, text) for text in tqdm(texts, desc="alone", disable=None, leave=False)]
    )
    return float(np.abs(together - alone).max())


def embed_one(encoder: SentenceEncoder, text: str) -> NDArray[np.float32]:
    """The vector (dim,) of a text that fits the window."""
    vector = encoder.encode([text])[0].vector
    if vector is None:
        raise ValueError("the text exceeds the encoder's window")
    return vector


def measure(model: str, data: Path, rounds: int) -> dict[str, Any]:
    """The whole run."""
    cases = read_cases(data)
    questions = sorted({case.asked for case in cases})
    with tempfile.TemporaryDirectory() as cache:
        encoders, times = open_both(model, Path(cache))
        texts = of_length(encoders["int8"], questions)
        result = {
            "model": model,
            "cores": os.cpu_count(),
            "load_1m": round(os.getloadavg()[0], 2),
            "fingerprint": encoders["int8"].fingerprint,
            "tokens": TOKENS,
            **times,
            **fidelity(encoders, cases),
            "batch_drift_max": batch_drift(encoders["int8"], questions[:200]),
            "question_ms": question_ms(encoders, texts, rounds),
            "embeddings_per_s": {
                name: throughput(one, texts, rounds * 2) for name, one in encoders.items()
            },
        }
        for encoder in encoders.values():
            encoder.close()
    return result


def show(result: dict[str, Any]) -> None:
    """The table for people."""
    near, ms = result["cosine_to_fp32"], result["question_ms"]
    print(
        f"\n{result['model']}: {result['questions']} questions in {result['paraphrases']} "
        f"paraphrases and {result['traps']} traps\n\n{'':28}{'fp32':>10}{'int8':>10}"
    )
    rows = [
        ("made once, s", result["build_s"]),
        ("start, s", result["start_s"]),
        *((f"{TOKENS} tokens, {p}, ms", {n: ms[n][p] for n in ms}) for p in ("p10", "p50", "p95")),
        ("AUC, other questions", result["auc_others"]),
        ("AUC, traps", result["auc_traps"]),
        ("nearest is right", result["nearest_right"]),
    ]
    rates = result["embeddings_per_s"]
    rows += [(f"{how}, /s", {n: rates[n][how] for n in rates}) for how in rates["int8"]]
    for name, both in rows:
        print(f"{name:28}{both['fp32']:>10}{both['int8']:>10}")
    print(
        f"\ncosine of int8 to fp32: min {near['min']}, p1 {near['p1']}, mean {near['mean']}; "
        f"a batch moves a vector by at most {result['batch_drift_max']:.1e}\n"
        f"load {result['load_1m']} on {result['cores']} cores\n"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoder", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="as in embedding_config.model")
    parser.add_argument("--data", type=Path, default=OWN_DATA, help="a file or folder of pairs")
    parser.add_argument("--rounds", type=int, default=200, help="questions timed for each graph")
    args = parser.parse_args(argv)
    result = measure(args.model, args.data, args.rounds)
    show(result)
    print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    main()
