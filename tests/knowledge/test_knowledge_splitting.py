"""Passages: bounded, complete, under their headings, in English and Chinese."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from semcache.interfaces import Passage
from semcache.knowledge.sections import sections_of
from semcache.knowledge.splitting import Cut, passages_of
from tests.knowledge.knowledge_world import words

HANDBOOK = """# Handbook

Welcome to the works.

## Lamps

### HL-20

{lamps}

### HL-30

The HL-30 is a lamp for halls.

## Returns

{returns}
"""


def cut(most: int, overlap: float = 0.1) -> Cut:
    return Cut(f"words {most}", words, most, overlap)


def split(text: str, most: int = 60, overlap: float = 0.1) -> list[Passage]:
    return list(passages_of("a.md", text, cut(most, overlap), words))


def sentences(count: int, word: str) -> str:
    return " ".join(f"Sentence {at} is about {word} number {at}." for at in range(count))


def test_a_short_document_stays_whole() -> None:
    (passage,) = split("# Opening hours\n\nMonday to Friday, nine to five.", most=200)
    assert passage.text == "# Opening hours\n\nMonday to Friday, nine to five."
    assert (passage.heading, passage.tokens) == ("Opening hours", words(passage.text))


def test_an_empty_document_has_no_passage() -> None:
    assert split(" \n") == []


def test_a_passage_says_the_headings_that_it_stands_under() -> None:
    text = HANDBOOK.format(lamps=sentences(30, "light"), returns=sentences(3, "parcels"))
    found = split(text)
    lamps = [one for one in found if "about light" in one.text]
    assert len(lamps) > 3
    assert {one.heading for one in lamps} == {"Handbook > Lamps > HL-20"}
    for one in lamps:
        first = one.text.partition("\n\n")[0]
        assert "HL-20" in first
        assert "Handbook" in first
    (returns,) = [one for one in found if "parcels" in one.text]
    assert returns.heading == "Handbook > Returns"
    assert returns.text.startswith("# Handbook\n\n## Returns\n\nSentence 0")


def test_bare_headings_are_no_passages() -> None:
    text = HANDBOOK.format(lamps=sentences(30, "light"), returns=sentences(30, "parcels"))
    assert all("." in one.text for one in split(text))


def test_short_neighbours_share_a_passage_under_what_they_have_in_common() -> None:
    parts = "\n\n".join(f"## Part {at}\n\nIt is short." for at in range(8))
    found = split(f"# All\n\n{parts}\n\n{sentences(20, 'more')}")
    assert found[0].heading == "All"
    assert "Part 0" in found[0].text
    assert "Part 1" in found[0].text


def test_numbered_lines_are_headings_where_there_are_no_others() -> None:
    reports = "\n".join(
        f"Report {at}: Leak in hall {at}\n{sentences(6, f'hall {at}')}" for at in range(1, 5)
    )
    found = split(f"Incidents\n\n{reports}")
    for at in range(1, 5):
        own = [one for one in found if f"about hall {at} " in one.text]
        assert own
        assert all(f"Report {at}: Leak" in one.text and "Incidents" in one.text for one in own)


def test_a_hash_in_code_is_no_heading() -> None:
    text = f"# Real\n\n```sh\n# not a heading\nls\n```\n\n{sentences(20, 'x')}"
    assert {section.path for section in sections_of(text)} == {("Real",)}


def test_cut_text_is_said_twice_at_the_seam_and_without_overlap_once() -> None:
    text = sentences(60, "seams")
    for overlap, twice in ((0.2, True), (0.0, False)):
        found = split(text, overlap=overlap)
        assert len(found) > 5
        numbers = [set(re.findall(r"Sentence (\d+) ", one.text)) for one in found]
        assert all(bool(one & other) == twice for one, other in pairwise(numbers))
        assert set.union(*numbers) == {str(at) for at in range(60)}


def test_chinese_sentences_stay_whole() -> None:
    text = "".join(f"第{at}条规定顾客可以在七天之内申请退款。" for at in range(100, 160))
    found = split(text, most=60, overlap=0.0)
    assert len(found) > 10
    assert all(one.text.endswith("。") and one.text.startswith("第") for one in found)
    assert "".join(one.text for one in found) == text


def test_rows_of_a_table_stay_whole() -> None:
    rows = [f"city: Town {at}; fee: {at}00; note: closed on day {at}" for at in range(40)]
    found = split("\n".join(rows), overlap=0.0)
    assert [line for one in found for line in one.text.splitlines()] == rows


def test_characters_may_measure_in_place_of_tokens() -> None:
    by_characters = Cut("512", len, 512, 0.1)
    found = list(passages_of("a", sentences(200, "length"), by_characters, words))
    assert all(300 < len(one.text) <= 512 for one in found[:-1])
    assert all(one.tokens == words(one.text) for one in found)


def test_equal_texts_have_equal_ids_and_others_have_not() -> None:
    one, two = split(sentences(60, "a")), split(sentences(60, "a"))
    assert [p.id for p in one] == [p.id for p in two]
    assert len({p.id for p in one}) == len({p.text for p in one}) == len(one)


_HEADINGS = ("# One", "## Two", "### 三", "Report 1: a thing")
_SHORT = ("- item of a list", "Some words stand here. And more.", "", "```", "| a | b |", "\u2028")
_LONG = ("一二三四五六七八九十。" * 3, "x" * 300, "é 🙂 " * 9)
_LINES = st.sampled_from((*_HEADINGS, *_SHORT, *_LONG))


@settings(max_examples=150, deadline=None)
@given(st.lists(_LINES, max_size=40), st.integers(32, 90), st.sampled_from([0.0, 0.1, 0.5]))
def test_no_passage_is_too_long_and_no_word_is_lost(
    lines: list[str], most: int, overlap: float
) -> None:
    text = "\n".join(lines)
    found = [
        one.text for one in passages_of("a", text, Cut("characters", len, most * 4, overlap), words)
    ]
    assert all(len(one) <= most * 4 for one in found)
    kept = "".join("".join(found).split())
    for line in lines:
        if not line.startswith("#") and len(line) < 60:
            assert "".join(line.split()) in kept, line
