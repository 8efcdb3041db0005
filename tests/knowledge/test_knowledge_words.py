"""BM25 against a computation of its own; Chinese; states that do not change."""

from __future__ import annotations

import random
import re
from math import log1p

import pytest

from semcache.knowledge.lexical import LexicalIndex, LexicalState

VOCABULARY = [f"{a}{b}o" for a in "bdfgklmnprtvz" for b in ("a", "e", "i", "u")]


def index_of(texts: dict[int, str]) -> LexicalState:
    index = LexicalIndex()
    index.apply(texts.items(), [])
    return index.state()


def bm25(question: list[str], texts: dict[int, list[str]]) -> dict[int, float]:
    """Robertson's formula as Lucene has it, k1 = 1.2, b = 0.75."""
    average = sum(map(len, texts.values())) / len(texts)
    scores = dict.fromkeys(texts, 0.0)
    for word in question:
        count = sum(word in text for text in texts.values())
        idf = log1p((len(texts) - count + 0.5) / (count + 0.5))
        for one, text in texts.items():
            said = text.count(word)
            length = 1.2 * (1 - 0.75 + 0.75 * len(text) / average)
            scores[one] += idf * said * 2.2 / (said + length)
    return scores


def test_scores_are_bm25() -> None:
    rng = random.Random(0)
    texts = {
        at: [rng.choice(VOCABULARY[: 4 + at % 48]) for _ in range(rng.randint(5, 30))]
        for at in range(1, 80)
    }
    state = index_of({one: " ".join(text) for one, text in texts.items()})
    for _ in range(20):
        question = rng.sample(VOCABULARY, 3)
        expected = bm25(question, texts)
        terms = state.terms(" ".join(question))
        assert [t.text for t in terms] == sorted(
            [t.text for t in terms],
            key=lambda word: -next(t.weight for t in terms if t.text == word),
        )
        found = state.search(terms, 200)
        assert {one for one, _ in found} == {one for one, score in expected.items() if score}
        for one, score in found:
            assert score == pytest.approx(expected[one], rel=2e-2)  # lengths are kept in a byte
        some = rng.sample(sorted(texts), 10)
        measured = state.scores(terms, some)
        assert measured.keys() == set(some)
        for one, score in measured.items():
            assert score == pytest.approx(dict(found).get(one, 0.0), rel=1e-5)


def test_english_words_are_found_in_their_forms() -> None:
    state = index_of({1: "Refunds are paid within seven days.", 2: "The café opens at nine."})
    assert state.search(state.terms("When is a refund payed?"), 5)[0][0] == 1
    assert state.search(state.terms("opening the CAFE"), 5)[0][0] == 2
    assert state.terms("What is the of it") == []
    assert state.search([], 5) == []


def test_chinese_is_found_by_pairs_of_characters_beside_codes_and_numbers() -> None:
    state = index_of(
        {1: "顾客可以在七天之内申请退款。", 2: "HL-20型号的台灯保修三年", 3: "营业时间：九点到五点"}
    )
    for question, answer in (
        ("怎么申请退款？", 1),
        ("HL-20的保修", 2),
        ("型号 hl 20", 2),
        ("几点营业？", 3),
    ):
        assert state.search(state.terms(question), 5)[0][0] == answer
    assert [term.text for term in state.terms("退")] == ["退"]


def test_words_of_every_fourth_passage_are_left_out_beside_rarer_ones() -> None:
    texts = {at: f"common kilo{at} lima{at} mike{at} november{at}" for at in range(1, 50)}
    state = index_of(texts)
    asked = [term.text for term in state.terms("common kilo7 lima7 mike7 november7")]
    assert "common" not in asked
    assert len(asked) == 4
    assert [term.text for term in state.terms("common")] == ["common"]


def test_a_state_does_not_change_when_the_index_does() -> None:
    index = LexicalIndex()
    index.apply([(1, "the red lamp"), (2, "the blue lamp")], [])
    before = index.state()
    index.apply([(3, "a green lamp")], [1])
    after = index.state()
    ids = [{one for one, _ in s.search(s.terms("lamp"), 9)} for s in (before, after)]
    assert ids == [{1, 2}, {2, 3}]
    assert after.search(after.terms("red"), 9) == []


def test_a_question_is_words_and_no_query_language() -> None:
    state = index_of({1: "a lamp", 2: "id words pairs"})
    for question in ("words:lamp", '"lamp" AND (', "lamp~2^9 *", "-lamp", "[a TO lamp]", "\0lamp"):
        assert {one for one, _ in state.search(state.terms(question), 9)} >= {1}, question
    assert not re.search(r"\W", "".join(t.text for t in state.terms("words:lamp -a.b")))
