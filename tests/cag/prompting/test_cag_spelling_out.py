"""Which questions get an order at their end."""

from __future__ import annotations

import pytest

from semcache.cag.prompting.conversation import Conversation, Turn
from semcache.cag.prompting.spelling_out import ORDER, spelt_out


def last(text: str, *earlier: Turn) -> str:
    return spelt_out(Conversation("", (*earlier, Turn("user", text)))).turns[-1].text


@pytest.mark.parametrize(
    "text",
    [
        "Which patient had trouble with the meter, what was the problem ?",
        "Who reported the alarm, and why did it ring?",
        "Which part came loose and what caused it?",
        "What broke? What went wrong?",
    ],
)
def test_two_halves_and_a_cause(text: str) -> None:
    assert last(text) == f"{text} {ORDER}"


@pytest.mark.parametrize(
    "text",
    [
        "Why did the pump fail?",
        "What was wrong with the bread and butter?",
        "Who won, and when?",
        "The problem, as you know, is why I write.",
        "Who did it?\nWhat was the problem?",
        "Who was it, and what was the problem? " + "Please answer. " * 20,
        "",
    ],
)
def test_everything_else_stays(text: str) -> None:
    assert last(text) == text


def test_only_the_last_turn_and_only_the_users() -> None:
    asked = "Who reported it, and what was wrong?"
    turns = (Turn("user", asked), Turn("assistant", asked))
    assert spelt_out(Conversation("s", turns)) == Conversation("s", turns)
    said = spelt_out(Conversation("s", (*turns, Turn("user", asked))))
    assert said.turns[:2] == turns
    assert said.turns[2].text.endswith(ORDER)
