"""python -m benchmarks.training --pairs FILE ...: train the verifier's weights.

    python -m benchmarks.training --pairs qqp_pairs.jsonl.gz pawsx_en_half.jsonl.gz \\
        kmemo_near_miss.jsonl.gz zh_afqmc_dev.jsonl.gz --cache DIR --out semcache/verify/weights

Each file is JSON lines {"a", "b", "same_answer", "category"?}. What is trained on and what is held
out share no question; the held-out parts choose thresholds and are reported. Sets with a share of 0
in `sources` are never trained on. Needs the extra `train`, and torch.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.training.encoding import encode_all
from benchmarks.training.generator import Generator
from benchmarks.training.heads import Trained, train_heads
from benchmarks.training.pairs import Pair, disjoint_parts, read_pairs
from benchmarks.training.sources import GENERATED, source_of
from semcache.embedding import DEFAULT_MODEL, SentenceEncoder

_RARE = ("reworded", "near miss")


def parts_of(
    paths: Sequence[Path], generated: int, seed: int
) -> tuple[list[tuple[Pair, float]], dict[str, list[Pair]]]:
    """Pairs to train on, each with its weight, and the held-out pairs by data set."""
    training: list[tuple[Pair, float]] = []
    held_out: dict[str, list[Pair]] = {}
    ordinary: tuple[list[Pair], list[Pair]] = ([], [])
    for path in paths:
        source, pairs = source_of(path), read_pairs(path)
        shares = (source.share, 1 - source.share)
        mine, others = disjoint_parts(pairs, shares, seed) if source.share else ([], pairs)
        training += [(pair, source.weight) for pair in mine]
        held_out[source.name] = others
        if len(pairs) >= generated:
            ordinary = (mine, others)
        _say(f"{source.name}: {len(mine)} to train, {len(others)} held out; {source.licence}")
    if generated:
        made = Generator(ordinary[0], seed, held_out=False).pairs(generated)
        training += [(pair, GENERATED.weight * _extra(pair)) for pair in made]
        other = Generator(ordinary[1], seed + 1, held_out=True).pairs(generated // 5)
        held_out[GENERATED.name] = other
        _say(f"generated: {len(made)} to train, {len(other)} held out; {GENERATED.licence}")
    return training, held_out


def _extra(pair: Pair) -> float:
    """Exchanged roles are the rarest of the generated traps; wordings by hand are few, and true."""
    return 3.0 if pair.category in _RARE or "direction" in pair.category else 1.0


def train(args: argparse.Namespace) -> Trained:
    """The whole run."""
    training, held_out = parts_of(args.pairs, args.generated, args.seed)
    pairs = [pair for pair, _ in training] + [pair for some in held_out.values() for pair in some]
    texts = {text for pair in pairs for text in (pair.asked, pair.answered)}
    encoder = SentenceEncoder.open(args.model, sketches=True)
    plain = SentenceEncoder.open(args.model, quantize=False)
    encoders = [encoder.fingerprint, plain.fingerprint]
    plain.close()
    known = encode_all(encoder, sorted(texts), args.cache)
    encoder.close()
    return train_heads(training, held_out, known, encoders, args.epochs, args.seed, _say)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--pairs", type=Path, nargs="+", required=True, help="labelled pairs")
    parser.add_argument("--generated", type=int, default=30_000, help="pairs to generate, about")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="as in embedding_config.model")
    parser.add_argument("--cache", type=Path, help="a folder to keep encodings in")
    parser.add_argument("--epochs", type=int, default=4, help="of the alignment")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder for the weights")
    args = parser.parse_args(argv)
    trained = train(args)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, text in trained.files.items():
        (args.out / name).write_text(text, encoding="utf-8")
    print(json.dumps(trained.report, indent=1))


if __name__ == "__main__":
    main()
