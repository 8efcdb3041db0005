"""python -m benchmarks.verifier: what judging costs, and what it serves of our own questions.

Times are of `PairVerifier.judge` with five candidates, in CPU milliseconds of one thread: `cold`
reads the facts of every text anew, `warm` has met the stored questions before. The candidates are
the question's own paraphrase or trap and the four nearest of the other stored questions. Shares
served are at the packaged threshold; nothing of this data was trained on, nor chosen by.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.hit_rate.questions import OWN_DATA, Case, read_cases
from benchmarks.training.figures import curve
from semcache.completion import text_completion_of
from semcache.embedding import DEFAULT_MODEL, SentenceEncoder
from semcache.interfaces import Asked, Candidate, Encoded, Entry
from semcache.keys import Scope, Source
from semcache.lexical import facts
from semcache.verify.verifier import PairVerifier

_SCOPE = Scope("tenant", "model", Source("benchmark", "model", ""), "context", "params")
_CANDIDATES = 5


def encoded_texts(encoder: SentenceEncoder, texts: Sequence[str]) -> dict[str, Encoded]:
    """What the encoder says of each text that fits its window."""
    found: dict[str, Encoded] = {}
    for at in tqdm(range(0, len(texts), 64), desc="encode", disable=None, leave=False):
        part = texts[at : at + 64]
        found.update(zip(part, encoder.encode(part), strict=True))
    return {text: one for text, one in found.items() if one.vector is not None}


def candidates_of(
    case: Case, known: dict[str, Encoded], stored: Sequence[str], vectors: Any, embedder: str
) -> tuple[Asked, list[Candidate]]:
    """The question asked, and its own stored question among the nearest of the others."""
    own = known[case.asked]
    assert own.vector is not None
    cosines = vectors @ own.vector
    nearest = [stored[at] for at in np.argsort(-cosines)[: _CANDIDATES + 1].tolist()]
    others = [text for text in nearest if text != case.stored][: _CANDIDATES - 1]
    cosine_of = dict(zip(stored, cosines.tolist(), strict=True))
    found = [_candidate(text, cosine_of[text], known, embedder) for text in [case.stored, *others]]
    found.sort(key=lambda one: -one.similarity)
    return Asked(case.asked, own.vector, own.sketch), found


def _candidate(
    text: str | None, cosine: float, known: dict[str, Encoded], embedder: str
) -> Candidate:
    assert text is not None
    answer = text_completion_of(f"answer to {text}", id="b", created=1, model="m")
    entry = Entry(text, _SCOPE, text, answer, 0.0, embedder=embedder)
    return Candidate(entry, cosine, known[text].sketch)


def measure(model: str, data: Path) -> dict[str, Any]:
    """The whole run."""
    cases = [case for case in read_cases(data) if case.stored is not None]
    encoder = SentenceEncoder.open(model, sketches=True)
    texts = sorted({text for c in cases for text in (c.asked, c.stored or "")})
    known = encoded_texts(encoder, texts)
    cases = [case for case in cases if case.asked in known and case.stored in known]
    stored = sorted({case.stored for case in cases if case.stored})
    vectors = np.stack([np.asarray(known[text].vector) for text in stored])
    verifier = PairVerifier.open()
    spent: dict[str, list[float]] = {"cold": [], "warm": []}
    groups: dict[str, list[tuple[bool, bool]]] = {}
    scores: list[tuple[bool, float, float]] = []
    for case in tqdm(cases, desc="judge", disable=None, leave=False):
        asked, found = candidates_of(case, known, stored, vectors, encoder.fingerprint)
        facts.cache_clear()
        for how in ("cold", "warm"):
            if how == "warm":
                facts.cache_clear()
                for one in found:
                    facts(one.question)
            begun = time.thread_time()
            verdicts = verifier.judge(asked, found)
            spent[how].append((time.thread_time() - begun) * 1000)
        own = next(v for v, c in zip(verdicts, found, strict=True) if c.question == case.stored)
        pair = next(c for c in found if c.question == case.stored)
        alone = verifier.judge(asked, [pair])[0]
        scores.append((case.kind == "paraphrase", alone.score, pair.similarity))
        for name in (case.kind, f"{case.kind}: {case.category}"):
            groups.setdefault(name, []).append((alone.serve, own.serve))
    encoder.close()
    return {
        "cores": os.cpu_count(),
        "load_1m": round(os.getloadavg()[0], 2),
        "threshold": verifier.threshold,
        "judge_ms": {
            how: {f"p{p}": round(float(np.percentile(ms, p)), 3) for p in (50, 95)}
            for how, ms in spent.items()
        },
        "curves": _curves(scores),
        "served": {name: _shares(pairs) for name, pairs in sorted(groups.items())},
    }


def _curves(scores: Sequence[tuple[bool, float, float]]) -> dict[str, dict[str, float]]:
    same, ours, cosines = (np.array(column) for column in zip(*scores, strict=True))
    return {"verifier": curve(ours, same), "cosine": curve(cosines, same)}


def _shares(pairs: Sequence[tuple[bool, bool]]) -> dict[str, float]:
    alone, beside = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
    return {"alone": round(alone, 3), "among_five": round(beside, 3), "of": len(pairs)}


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verifier", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="as in embedding_config.model")
    parser.add_argument("--data", type=Path, default=OWN_DATA, help="a file or folder of pairs")
    args = parser.parse_args(argv)
    print(json.dumps(measure(args.model, args.data), indent=1))


if __name__ == "__main__":
    main()
