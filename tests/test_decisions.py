"""Decisions have names; the last ones are known."""

from __future__ import annotations

from semcache.chat import text_request
from semcache.decisions import Decisions, Served
from semcache.interfaces import Entry, Hit, Judged
from semcache.keys import request_key
from tests.scripted import echo

REQUEST = text_request("How tall is it?", tenant="t", model="m")
KEY = request_key(REQUEST)
ENTRY = Entry("stored key", KEY.scope, "What is its height?", echo(REQUEST), 1.0, id=5)
JUDGED = Judged(ENTRY, "alias of it", 0.9, "", {"cosine": 0.8}, True, "likely_right")
EXACT = Hit(ENTRY, "exact", 1.0, 1.0, "exact")
SEMANTIC = Hit(ENTRY, "semantic", 0.8, 0.6, "semantic", 0.9, JUDGED)


def test_a_name_is_found_and_so_is_the_response_that_carries_it() -> None:
    decisions = Decisions()
    name = decisions.note(KEY, EXACT)
    assert len(name) == 24
    assert decisions.find(name) == Served("t", "exact", 5, "stored key")
    assert decisions.find(f"chatcmpl-{name}") == decisions.find(name)


def test_a_semantic_hit_keeps_the_pair_and_not_the_answer() -> None:
    decisions = Decisions()
    served = decisions.find(decisions.note(KEY, SEMANTIC))
    assert served is not None
    assert (served.asked, served.stored) == ("How tall is it?", "alias of it")
    assert served.judged is not None
    assert served.judged.score == 0.9
    assert served.judged.entry.id == 5
    assert not served.judged.entry.completion.choices


def test_names_differ_and_are_not_another_processs() -> None:
    ours, theirs = Decisions(), Decisions()
    names = {ours.note(KEY, EXACT) for _ in range(100)}
    assert len(names) == 100
    assert all(theirs.find(name) is None for name in names)
    for nonsense in ("", "x", "-", "chatcmpl-", "g" * 24, next(iter(names))[:16] + "zzzzzzzz"):
        assert ours.find(nonsense) is None


def test_only_the_last_are_kept() -> None:
    decisions = Decisions(most=10)
    names = [decisions.note(KEY, EXACT) for _ in range(25)]
    assert [decisions.find(name) is not None for name in names] == [False] * 15 + [True] * 10
    for at in range(25):
        decisions.stored("t", f"r{at}", f"k{at}")
    known = [decisions.stored_under("t", f"r{at}") for at in range(25)]
    assert known == [None] * 15 + [f"k{at}" for at in range(15, 25)]
    assert decisions.stored_under("other", "r24") is None


def test_a_verdict_is_news_once_and_a_doubt_stays() -> None:
    decisions = Decisions()
    name = decisions.note(KEY, SEMANTIC)
    assert decisions.is_news(name, "right")
    assert not decisions.is_news(name, "right")
    assert decisions.is_news(f"chatcmpl-{name}", "wrong")
    assert not decisions.is_news(name, "wrong")
    assert not decisions.is_news(name, "right")
    assert not decisions.is_news("17", "wrong")
