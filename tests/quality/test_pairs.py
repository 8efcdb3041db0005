"""Scores of pairs, with the real encoder and a verifier that judges by cosine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.hit_rate.questions import Case
from benchmarks.quality.pairs import Judged, judge_all, table
from semcache.embedding import SentenceEncoder
from semcache.interfaces import Asked, Candidate, Encoded, Verdict

CASES = [
    Case("paraphrase", "How can I reset my password?", "How do I reset my password?", "p"),
    Case("paraphrase", "What is the capital city of France?", "What is France's capital?", "p"),
    Case("trap", "Is 400 mg too much?", "Is 800 mg too much?", "number"),
    Case("trap", "Where do I park at the airport?", "How do I bake bread?", "topic"),
]


class CosineVerifier:
    """Half of one plus the cosine that the candidate comes with; serves from 0.9 on."""

    def judge(
        self, asked: Asked, candidates: Sequence[Candidate], around: Sequence[Candidate] = ()
    ) -> Sequence[Verdict]:
        scores = [(1 + one.similarity) / 2 for one in candidates]
        return [Verdict(score >= 0.9, score, "cosine") for score in scores]


@pytest.fixture(scope="module")
def encoded() -> dict[str, Encoded]:
    encoder = SentenceEncoder.open(sketches=True)
    texts = sorted({text for case in CASES for text in (case.asked, case.stored or "")})
    found = dict(zip(texts, encoder.encode(texts), strict=True))
    encoder.close()
    return found


def test_every_score_sees_the_same_cosines(encoded: dict[str, Encoded]) -> None:
    judged = judge_all(CASES, encoded, CosineVerifier())
    assert judged["ours"].scores == pytest.approx((1 + judged["cosine"].scores) / 2, abs=1e-6)
    served = judged["cosine"].fixed["GPTCache 0.9"]
    assert served.tolist() == (judged["cosine"].scores >= 0.8).tolist()
    assert judged["ours"].fixed["ours"].tolist() == served.tolist()


def test_guards_refuse_what_the_cosine_would_serve(encoded: dict[str, Encoded]) -> None:
    judged = judge_all(CASES, encoded, None)
    assert "ours" not in judged
    assert judged["cosine"].fixed["GPTCache 0.9"][2]
    assert not judged["guards + cosine"].fixed["guards, GPTCache 0.9"][2]


def test_what_exceeds_the_window_is_never_served() -> None:
    encoder = SentenceEncoder.open(sketches=True)
    long = "why " * 2000
    case = Case("paraphrase", long, long, "p")
    found = {long: encoder.encode([long])[0]}
    encoder.close()
    judged = judge_all([case], found, CosineVerifier())
    assert judged["cosine"].scores[0] == -1.0
    assert not judged["ours"].fixed["ours"][0]


def test_the_table_counts_by_hand() -> None:
    """Of the scores .9, .6 | .7, .1 the trap at .7 stops the second paraphrase."""
    scores = np.array([0.9, 0.6, 0.7, 0.1])
    rows = table(CASES, {"one": Judged(scores, {"from .65": scores >= 0.65})})
    assert (rows["paraphrases"], rows["traps"]) == (2, 2)
    assert rows["one"]["auc"] == 0.75
    assert rows["one"]["hits_at_traps"] == {"1%": 0.5, "5%": 0.5, "11%": 0.5}
    fixed = rows["one"]["fixed"]["from .65"]
    assert (fixed["hits"], fixed["traps"]) == (0.5, 0.5)
    assert fixed["traps_by_class"] == {"number": 1.0, "topic": 0.0}
