"""The guards: pairs that they must refuse, and pairs that they must let through."""

from __future__ import annotations

import pytest

from semcache.guards import GUARDS, negation, numbers, refusal


@pytest.mark.parametrize(
    ("asked", "answered", "refused"),
    [
        ("Take 400 mg?", "Take 200 mg?", True),
        ("Take 400 mg?", "Should I take 400 mg?", False),
        ("Is 1,000 enough?", "Is 1000 enough?", False),
        ("Python 3.11 or later", "Python 3.12 or later", True),
        ("two tickets", "2 tickets", False),
        ("two tickets", "three tickets", True),
        ("which one is best", "which is best", False),
        ("1 2 2", "1 1 2", True),
        ("no numbers here", "none here", False),
    ],
)
def test_numbers(asked: str, answered: str, refused: bool) -> None:
    assert (numbers(asked, answered) is not None) is refused


@pytest.mark.parametrize(
    ("asked", "answered", "refused"),
    [
        ("Can I cancel?", "Can't I cancel?", True),
        ("I don’t want it", "I don't want it", False),
        ("It is not impossible, is it not", "It is possible", False),
        ("我可以退款吗", "我不可以退款吗", True),
        ("How do I return it", "How to return it", False),
    ],
)
def test_negation(asked: str, answered: str, refused: bool) -> None:
    assert (negation(asked, answered) is not None) is refused


@pytest.mark.parametrize("name", sorted(GUARDS))
def test_no_guard_refuses_the_same_question(name: str) -> None:
    text = "Why did I not get 3 of 7 parcels (order 8841-2)?"
    assert GUARDS[name](text, text) is None


def test_the_first_refusal_is_named() -> None:
    assert refusal((), "a 1", "not a 2") is None
    name, reason = refusal(("negation", "numbers"), "a 1", "not a 2") or ("", "")
    assert name == "negation"
    assert "negated" in reason
