"""PairVerifier: known pairs, rivals, missing sketches, foreign encoders, determinism."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from semcache.errors import ConfigError
from semcache.verify.features import FEATURES, features, margins
from semcache.verify.tokens import TOKEN_FEATURES
from semcache.verify.verifier import (
    FOREIGN,
    HOPELESS,
    RIVAL,
    SERVED,
    TOO_LONG,
    UNREADABLE,
    PairVerifier,
)
from tests.verify.questions import asked, candidate, judged, verifier

SAME = [
    ("How do I reset my password?", "how do i reset my pasword"),
    ("How do I reset my password?", "How can I reset my password?"),
    ("How do I cancel my subscription?", "What is the way to cancel my subscription?"),
    ("What is the capital of France?", "Can you tell me what the capital of France is?"),
    ("What is the capital of France?", "capital of france"),
    ("Why is the sky blue?", "Why does the sky look blue?"),
    ("How do I sort a list in Python?", "In Python, how do I sort a list?"),
    ("What is the difference between TCP and UDP?", "How do TCP and UDP differ?"),
    ("How do I make pancakes?", "Hello! How do I make pancakes? Thanks!"),
    ("What is a closure in JavaScript?", "Can you explain what a closure in JavaScript is?"),
    ("How do I tie a bow tie?", "how to tie a bow tie"),
    ("Is it safe to eat raw eggs?", "Is eating raw eggs safe?"),
]
OTHER = [
    ("How do I enable dark mode?", "How do I disable dark mode?"),
    ("Convert 50 km to miles", "Convert 80 km to miles"),
    ("Convert 50 km to miles", "Convert 50 km to feet"),
    ("How do I convert miles to km?", "How do I convert km to miles?"),
    ("What is the capital of Austria?", "What is the capital of Australia?"),
    ("How do I sort a list in Python?", "How do I sort a list in Ruby?"),
    ("How much paracetamol may a child take?", "How much ibuprofen may a child take?"),
    ("What is the best phone of 2023?", "What is the best phone of 2024?"),
    ("Is the shop open on Monday?", "Is the shop open on Sunday?"),
    ("Which foods should I eat before a race?", "Which foods should I not eat before a race?"),
    ("Who invented the telephone?", "When was the telephone invented?"),
    ("What should I do before surgery?", "What should I do after surgery?"),
    ("What are the advantages of solar power?", "What are the disadvantages of solar power?"),
    ("How do I back up the database?", "How do I delete the database?"),
    ("Flights from Paris to Rome", "Flights from Rome to Paris"),
    ("How do I deploy a Rails app?", "How do I deploy a Rails app on Heroku?"),
    ("What is a mortgage?", "What is a deductible?"),
    ("Explain recursion in one sentence.", "Explain recursion step by step with proofs."),
]


@pytest.mark.parametrize(("question", "stored"), SAME)
def test_a_paraphrase_is_served(question: str, stored: str) -> None:
    verdict = judged(question, [stored])[0]
    assert verdict.serve
    assert verdict.reason == SERVED
    assert verifier().threshold <= verdict.score <= 1


@pytest.mark.parametrize(("question", "stored"), OTHER)
def test_another_question_is_refused(question: str, stored: str) -> None:
    for one, two in ((question, stored), (stored, question)):
        verdict = judged(one, [two])[0]
        assert not verdict.serve
        assert verdict.score < verifier().threshold


def test_an_unlike_question_is_refused_without_comparing_texts() -> None:
    verdict = judged("How do I reset my password?", ["Who painted the Mona Lisa?"])[0]
    assert (verdict.serve, verdict.score, verdict.reason) == (False, 0.0, HOPELESS)
    assert verdict.features["cosine"] < 0.5
    assert not {"content_distance", "maxsim", "alignment"} & set(verdict.features)


def test_the_alignment_is_asked_only_where_it_could_make_a_candidate_served() -> None:
    of = "How do I reset my password?"
    near, far = judged(of, ["How can I reset my password?", "Why should I reset my password?"])
    assert near.serve
    assert "alignment" in near.features
    assert "content_distance" in far.features
    assert "alignment" not in far.features
    assert 0 < far.score < 0.5


def test_judging_is_deterministic_and_each_candidate_has_its_own_verdict() -> None:
    stored = [other for _, other in OTHER[:5]]
    first = judged("How do I enable dark mode?", stored)
    again = judged("How do I enable dark mode?", stored)
    assert first == again
    assert len(first) == len(stored)
    assert judged("How do I enable dark mode?", []) == []


def test_a_verdict_explains_itself_with_the_features_of_the_pair() -> None:
    of = asked("How do I reset my password?")
    one = candidate("How can I reset my password?", of)
    verdict = verifier().judge(of, [one])[0]
    row = features(of, one, [one])
    assert row.shape == (len(FEATURES),)
    assert list(verdict.features) == list(FEATURES)
    assert list(verdict.features.values()) == pytest.approx(row.tolist())


def test_the_pair_is_judged_alike_both_ways() -> None:
    one, other = "How can I lose weight?", "What is the best way to lose weight?"
    assert judged(one, [other])[0].score == pytest.approx(judged(other, [one])[0].score, abs=2e-3)


def test_margin_is_to_the_nearest_candidate_with_another_answer() -> None:
    of = asked("How do I reset my password?")
    near = candidate("How can I reset my password?", of, answer="Click on reset.")
    twin = candidate("how to reset my password", of, answer="Click on  reset.")
    far = candidate("How do I reset my phone?", of, answer="Hold the button.")
    every = [near, twin, far]
    ahead = near.similarity - far.similarity
    behind = far.similarity - max(near.similarity, twin.similarity)
    found = margins(every)
    assert [found[0], found[2]] == pytest.approx([ahead, behind])
    assert margins([near, twin]) == [1.0, 1.0]
    verdicts = verifier().judge(of, every)
    assert [one.features["margin"] for one in verdicts] == pytest.approx(found)


def test_a_near_rival_with_another_answer_takes_probability_away() -> None:
    of = asked("How do I reset my password?")
    one = candidate("How can I reset my password?", of, answer="Click on reset.")
    # As it would look if the encoder put both in one place: equal tokens, other words.
    rival = candidate("How do I delete the server log?", of, answer="Run rm.")
    rival = replace(rival, similarity=one.similarity, sketch=None)
    alone = verifier().judge(of, [one])[0]
    beside = verifier().judge(of, [one, rival])[0]
    assert beside.score <= alone.score
    odds = {at: score / (1 - score) for at, score in ((0, alone.score), (1, 0.9))}
    divided = verifier()._divided([one, rival], [None, None], [alone.score, 0.9])
    assert divided[0] == pytest.approx(odds[0] / (1 + odds[0] + odds[1]))
    assert sum(divided) < 1


def test_two_stored_paraphrases_do_not_stand_in_each_others_way() -> None:
    stored = ["How can I reset my password?", "What is the way to reset my password?"]
    alone = judged("How do I reset my password?", stored[:1])[0]
    both = judged("How do I reset my password?", stored)
    assert both[0].serve
    assert both[0].score <= alone.score


def test_the_reason_names_a_rival() -> None:
    row = np.zeros(len(FEATURES), dtype=np.float32)
    verdict = verifier()._verdict(0.4, 0.99, None, row)
    assert (verdict.serve, verdict.reason) == (False, RIVAL)


@pytest.mark.parametrize(
    ("question", "stored", "served"),
    [
        ("How do I reset my password?", "how do I reset my password", True),
        ("How do I reset my password?", "How can I reset my password?", True),
        ("How do I enable dark mode?", "How do I disable dark mode?", False),
        ("Convert 50 km to miles", "Convert 80 km to miles", False),
        ("What is the capital of Austria?", "What is the capital of Australia?", False),
        ("How do I convert miles to km?", "How do I convert km to miles?", False),
    ],
)
def test_without_a_sketch_the_texts_and_the_cosine_judge(
    question: str, stored: str, served: bool
) -> None:
    of = asked(question)
    without = candidate(stored, of, sketched=False)
    verdict = verifier().judge(of, [without])[0]
    assert verdict.serve is served
    assert not set(TOKEN_FEATURES) & set(verdict.features)
    other_way = verifier().judge(replace(of, sketch=None), [candidate(stored, of)])[0]
    assert other_way.score == pytest.approx(verdict.score)


def test_a_long_text_without_a_sketch_is_refused() -> None:
    text = "Please summarise the following report about the weather in spring. " * 5
    of = asked(text)
    verdict = verifier().judge(of, [candidate(text + "Be brief.", of, sketched=False)])[0]
    assert (verdict.serve, verdict.score, verdict.reason) == (False, 0.0, TOO_LONG)


@pytest.mark.parametrize("sketched", [True, False])
def test_chinese_is_refused_where_the_vocabulary_lacks_it(sketched: bool) -> None:
    of = asked("我的花呗额度怎么提高")
    verdict = verifier().judge(of, [candidate("怎么提高我的花呗额度", of, sketched=sketched)])[0]
    assert (verdict.serve, verdict.score, verdict.reason) == (False, 0.0, UNREADABLE)


def test_what_another_encoder_made_is_refused() -> None:
    of = asked("How do I reset my password?")
    foreign = candidate("How can I reset my password?", of, embedder="0" * 32)
    verdict = verifier().judge(of, [foreign])[0]
    assert (verdict.serve, verdict.score, verdict.reason) == (False, 0.0, FOREIGN)


def test_the_threshold_can_be_set_and_is_checked() -> None:
    of = asked("How do I reset my password?")
    one = candidate("How can I reset my password?", of)
    score = verifier().judge(of, [one])[0].score
    assert not PairVerifier.open(threshold=1.0).judge(of, [one])[0].serve
    assert PairVerifier.open(threshold=score).judge(of, [one])[0].serve
    for wrong in (0.0, -1.0, 1.5):
        with pytest.raises(ConfigError, match="threshold"):
            PairVerifier.open(threshold=wrong)
