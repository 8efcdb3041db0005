"""python -m benchmarks.training.calibration --pairs FILE ...: labels for a certificate's first day.

    python -m benchmarks.training.calibration --pairs qqp_pairs.jsonl.gz \\
        --out semcache/verify/weights/calibration.json

Generated pairs that the verifier was not trained on: other questions, other templates, largely
other word lists (the held-out part of `benchmarks.training`, so give the same `--pairs` and
`--seed`). Each is judged as a cache would: guards, then the packaged verifier. What is kept is the
score and whether the answer would have been wrong, no text. The mix, two traps to one paraphrase,
is a guess at what stands next to a question in a cache; a deployment's own labels replace it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.training.__main__ import parts_of
from benchmarks.training.encoding import Known, encode_all
from benchmarks.training.pairs import Pair
from benchmarks.training.sources import GENERATED
from semcache.completion import text_completion_of
from semcache.embedding import DEFAULT_MODEL, SentenceEncoder
from semcache.entry import Candidate, Entry
from semcache.guards import DEFAULT_GUARDS, refusal
from semcache.judging import Asked
from semcache.keys import Scope, Source
from semcache.verify.packaged import text_of
from semcache.verify.verifier import PairVerifier

_SCOPE = Scope("tenant", "model", Source("training", "model", ""), "context", "params")


def scored(pairs: Sequence[Pair], known: Known, fingerprint: str) -> list[tuple[float, bool]]:
    """(score, wrong) of each pair whose texts fit the encoder's window."""
    verifier = PairVerifier.open()
    answer = text_completion_of("the answer", id="t", created=1, model="m")
    found: list[tuple[float, bool]] = []
    for pair in pairs:
        if pair.asked not in known or pair.answered not in known:
            continue
        if refusal(DEFAULT_GUARDS, pair.asked, pair.answered) is not None:
            found.append((0.0, not pair.same))
            continue
        (ours, sketch), (theirs, other) = known[pair.asked], known[pair.answered]
        entry = Entry("k", _SCOPE, pair.answered, answer, 0.0, embedder=fingerprint)
        candidate = Candidate(entry, float(ours @ theirs), other)
        [verdict] = verifier.judge(Asked(pair.asked, ours, sketch), [candidate])
        found.append((verdict.score, not pair.same))
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training.calibration", description=__doc__
    )
    parser.add_argument("--pairs", type=Path, nargs="+", required=True, help="labelled pairs")
    parser.add_argument("--generated", type=int, default=30_000, help="as in benchmarks.training")
    parser.add_argument("--cache", type=Path, help="a folder to keep encodings in")
    parser.add_argument("--seed", type=int, default=1, help="as in benchmarks.training")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    args = parser.parse_args(argv)
    pairs = parts_of(args.pairs, args.generated, args.seed)[1][GENERATED.name]
    encoder = SentenceEncoder.open(DEFAULT_MODEL, sketches=True)
    texts = {text for pair in pairs for text in (pair.asked, pair.answered)}
    known = encode_all(encoder, sorted(texts), args.cache)
    encoder.close()
    labels = scored(pairs, known, encoder.fingerprint)
    args.out.write_text(text_of(labels), encoding="utf-8")
    print(f"{len(labels)} labels, {sum(wrong for _, wrong in labels)} wrong")


if __name__ == "__main__":
    main()
