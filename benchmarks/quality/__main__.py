"""python -m benchmarks.quality: what is served of near-duplicates, and how much of it wrongly.

Pairs: how scores tell paraphrases from traps. Streams: what policies make of requests that come
one after the other to an empty cache, on the same embeddings and candidates.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.hit_rate.questions import OWN_DATA, Case, read_cases
from benchmarks.quality import pairs, streams
from benchmarks.quality.intents import own_requests, read_requests
from benchmarks.quality.plot import plot_pairs, plot_streams
from semcache.embedding import SentenceEncoder
from semcache.errors import ConfigError
from semcache.interfaces import Encoded, Vector, Verifier
from semcache.verify.verifier import PairVerifier

OWN = "own"


def open_verifier() -> Verifier | None:
    """The packaged verifier; None, and a line that says why, where its weights are not there."""
    try:
        return PairVerifier.open()
    except ConfigError as error:
        print(f"without the verifier: {error}")
        return None


def encode_all(
    encoder: SentenceEncoder, texts: Iterable[str], known: dict[str, Encoded]
) -> dict[str, Encoded]:
    """Add what is not yet in `known`: each text is encoded once."""
    new = sorted({text for text in texts if text not in known}, key=len)
    for begin in tqdm(range(0, len(new), 32), desc="encoding", disable=None, leave=False):
        part = new[begin : begin + 32]
        known.update(zip(part, encoder.encode(part), strict=True))
    return known


def stream_vectors(texts: Sequence[str], known: dict[str, Encoded], dim: int) -> dict[str, Vector]:
    """A zero vector for what exceeds the window: it is near to nothing."""
    zero = np.zeros(dim, dtype=np.float32)
    found = {text: known[text].vector for text in texts}
    return {text: zero if vector is None else vector for text, vector in found.items()}


def pair_cases(path: Path) -> list[Case]:
    """The cases that have a stored question."""
    return [case for case in read_cases(path) if case.stored is not None]


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """The whole run."""
    encoder = SentenceEncoder.open(sketches=True)
    known: dict[str, Encoded] = {}
    result: dict[str, Any] = {"fingerprint": encoder.fingerprint, "pairs": {}, "streams": {}}
    verifier = open_verifier() if args.only in (None, "pairs") else None
    for path in args.data if args.only in (None, "pairs") else ():
        cases = pair_cases(path)
        encode_all(encoder, [t for case in cases for t in (case.asked, case.stored or "")], known)
        judged = pairs.judge_all(cases, known, verifier)
        result["pairs"][name_of(path)] = pairs.table(cases, judged)
    if args.only != "pairs":
        rows = own_requests() if args.stream is None else read_requests(args.stream)
        texts = [text for text, _ in rows]
        vectors = stream_vectors(texts, encode_all(encoder, texts, known), encoder.dim)
        settings = streams.Settings(args.seeds, args.audits, args.orders, args.only == "product")
        told = streams.as_told(rows, known, encoder)
        result["streams"][name_of(args.stream)] = streams.measure(rows, vectors, told, settings)
    encoder.close()
    return result


def name_of(path: Path | None) -> str:
    """A data set's name in tables and files."""
    return OWN if path is None or path == OWN_DATA else path.name.split(".")[0]


def show_pairs(name: str, result: dict[str, Any]) -> None:
    """The table for people."""
    print(f"\n{name}: {result['paraphrases']} paraphrases, {result['traps']} traps")
    print(f"{'score':26}{'AUC':>7}{'@1%':>8}{'@5%':>8}{'@11%':>8}   paraphrases at traps served")
    scores = {name: row for name, row in result.items() if isinstance(row, dict)}
    for score, row in scores.items():
        shares = "".join(f"{share:8.1%}" for share in row["hits_at_traps"].values())
        print(f"{score:26}{row['auc'] if row['auc'] is not None else '-':>7}{shares}")
    print(f"{'as it comes':26}{'hits':>8}{'traps':>8}   traps by class")
    for row in scores.values():
        for point, one in row["fixed"].items():
            classes = ", ".join(f"{c} {s:.0%}" for c, s in one["traps_by_class"].items())
            print(f"{point:26}{one['hits']:8.1%}{one['traps']:8.1%}   {classes}")


def show_stream(name: str, result: dict[str, Any]) -> None:
    """The table for people."""
    for order in (order for order in streams.ORDERS if order in result):
        one = result[order]
        print(
            f"\n{name}, {order}: {result['requests']} requests, empty cache, "
            f"{1 if order == 'in blocks' else result['seeds']} seed(s)\n"
            f"{'policy':24}{'hits':>8}{'wrong/request':>15}{'wrong/hit':>11}{'audits':>8}"
            f"{'worst seed: wrong/request':>27}{'wrong/hit':>11}"
        )
        for policy, row in one["policies"].items():
            print(
                f"{policy:24}{row['hits']:8.1%}{row['wrong_per_request']:15.2%}"
                f"{row['wrong_per_hit']:11.2%}{row['audits']:8.1%}"
                f"{row['worst_wrong_per_request']:27.2%}{row['worst_wrong_per_hit']:11.2%}"
            )
        best = one["static_in_hindsight"]
        print(
            "best static threshold in hindsight: "
            + ", ".join(f"{k}: {'-' if v is None else f'{v:.1%}'}" for k, v in best.items())
        )


def write(result: dict[str, Any], folder: Path) -> None:
    """JSON and plots."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "quality.json").write_text(json.dumps(result, indent=1) + "\n")
    for name, found in result["pairs"].items():
        plot_pairs(found, folder / f"quality_pairs_{name}.png", f"Pairs: {name}")
    for name, found in result["streams"].items():
        for order in (order for order in streams.ORDERS if order in found):
            path = folder / f"quality_stream_{name}_{order.replace(' ', '_')}.png"
            plot_streams(found[order], path, f"Stream: {name}, {order}")


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--only", choices=("pairs", "streams", "product"), help="one part")
    parser.add_argument(
        "--data", type=Path, nargs="+", default=[OWN_DATA], help="files or folders of pairs"
    )
    parser.add_argument("--stream", type=Path, help="JSON lines of text and intent, or CLINC150")
    parser.add_argument("--seeds", type=int, default=5, help="shuffled orders")
    parser.add_argument("--audits", type=float, default=0.2, help="share of our hits checked")
    parser.add_argument(
        "--orders",
        nargs="+",
        choices=streams.ORDERS,
        default=list(streams.ORDERS),
        help="of requests",
    )
    parser.add_argument("--out", type=Path, help="folder for the plots (PNG) and result (JSON)")
    args = parser.parse_args(argv)
    if not 0 < args.audits <= 1 or args.seeds < 1:
        parser.error("--audits lies in 0..1, above 0; --seeds is at least 1")
    result = measure(args)
    for name, found in result["pairs"].items():
        show_pairs(name, found)
    for name, found in result["streams"].items():
        show_stream(name, found)
    if args.out is not None:
        write(result, args.out)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
