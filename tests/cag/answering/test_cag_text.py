"""Stop strings and characters over token borders, with brute force as the oracle."""

from __future__ import annotations

import random

import pytest

from semcache.cag.answering.detokenize import Detokenizer
from semcache.cag.answering.stopping import StopStrings
from tests.cag.tiny_models import tiny_tokenizer


def _pieces(text: str, rng: random.Random) -> list[str]:
    cuts = sorted(rng.sample(range(len(text) + 1), k=min(len(text), rng.randint(0, 6))))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def _stopped(text: str, stops: list[str]) -> str:
    """Character by character: what is left of a text that is cut where a stop string completes."""
    for end in range(1, len(text) + 1):
        met = [len(stop) for stop in stops if text[:end].endswith(stop)]
        if met:
            return text[: end - max(met)]
    return text


def test_stop_strings_end_the_text_wherever_it_is_cut() -> None:
    rng = random.Random(3)
    for _ in range(2000):
        text = "".join(rng.choices("ab\n", k=rng.randint(0, 14)))
        stops = ["".join(rng.choices("ab\n", k=rng.randint(1, 4))) for _ in range(2)]
        expected = _stopped(text, stops)
        told, met = "", False
        filtering = StopStrings(stops)
        for piece in _pieces(text, rng):
            fresh, met = filtering.push(piece)
            told += fresh
            assert expected.startswith(told)
            if met:
                break
        assert met == (expected is not text)
        assert told + ("" if met else filtering.flush()) == expected


def test_nothing_is_held_back_without_need() -> None:
    filtering = StopStrings(["END", "\n\n"])
    assert filtering.push("an E") == ("an ", False)
    assert filtering.push("N") == ("", False)
    assert filtering.push("Glish") == ("ENGlish", False)
    assert StopStrings([]).push("anything") == ("anything", False)


@pytest.mark.parametrize(
    "text",
    [
        "naïve café – “quoted” …",
        "你好，世界。水壶在七楼。",
        "👋🏽 family 👨‍👩‍👧 flag 🇳🇴",
        "e\u0301 combining, and \u200dzero width",
        "plain text only",
    ],
)
def test_no_piece_holds_half_a_character(text: str) -> None:
    tokenizer = tiny_tokenizer(None)
    ids = tokenizer.encode(text, add_special_tokens=False)
    detokenizer = Detokenizer(tokenizer, tokenizer.encode("Say: ", add_special_tokens=False))
    pieces = [detokenizer.push(token) for token in ids]
    assert all("\ufffd" not in piece for piece in pieces)
    assert "".join(pieces) + detokenizer.flush() == text


def test_text_is_told_as_soon_as_its_character_is_complete() -> None:
    tokenizer = tiny_tokenizer(None)
    ids = tokenizer.encode("a水", add_special_tokens=False)
    assert len(ids) == 4
    detokenizer = Detokenizer(tokenizer)
    assert [detokenizer.push(token) for token in ids] == ["a", "", "", "水"]


def test_an_answer_cut_in_the_midst_of_a_character_ends_before_it() -> None:
    tokenizer = tiny_tokenizer(None)
    ids = tokenizer.encode("a水", add_special_tokens=False)
    detokenizer = Detokenizer(tokenizer)
    assert "".join(detokenizer.push(token) for token in ids[:-1]) == "a"
    assert detokenizer.flush() == ""


def test_broken_bytes_in_the_midst_are_told_and_do_not_block() -> None:
    tokenizer = tiny_tokenizer(None)
    whole = tokenizer.encode("水b", add_special_tokens=False)
    detokenizer = Detokenizer(tokenizer)
    told = "".join(detokenizer.push(token) for token in [whole[0], whole[-1]])
    assert told == tokenizer.decode([whole[0], whole[-1]])
    assert told.endswith("b")
