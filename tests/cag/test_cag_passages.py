"""Documents in passages: nothing lost, nothing too long, titles kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from semcache.cag.passages import passages_of


def words(text: str) -> int:
    return len(text.split())


def paragraph(name: str, count: int) -> str:
    return " ".join(f"{name}{at}" for at in range(count)) + "."


def test_a_short_document_stays_whole() -> None:
    text = "# Title\n\nOne.\n\nTwo."
    assert passages_of([text, "Other"], words, 50) == (text, "Other")


def test_a_long_one_is_cut_at_its_headings_and_keeps_its_title() -> None:
    sections = [f"Report {at}: it broke\n{paragraph('w', 45)}" for at in (1, 2, 3)]
    text = "The reports of the year\n\n" + "\n\n".join(sections)
    expected = tuple(f"The reports of the year\n\n{section}" for section in sections)
    assert passages_of([text], words, 100) == expected


def test_headings_without_a_blank_line_between() -> None:
    text = "\n".join(f"Incident {at}: x\n{paragraph('w', 60)}" for at in (1, 2))
    assert [p[:10] for p in passages_of([text], words, 100)] == ["Incident 1", "Incident 2"]


def test_without_headings_it_is_cut_at_blank_lines_and_short_ones_are_joined() -> None:
    counts = {"a": 60, "b": 10, "c": 60, "d": 60}
    text = "\n\n".join(paragraph(name, count) for name, count in counts.items())
    first, *others = passages_of([text], words, 80)
    assert first.split()[0] == "a0"
    assert "b0" in first
    assert [p.split()[0] for p in others] == ["c0", "d0"]


def test_a_section_beyond_the_bound_is_cut_at_line_ends() -> None:
    text = "\n".join(paragraph(f"l{at}x", 10) for at in range(30))
    passages = passages_of([text], words, 50)
    assert len(passages) == 6
    assert all(words(passage) == 50 for passage in passages)


@given(
    st.lists(st.text(st.sampled_from("ab #1:.\n"), max_size=400), max_size=4),
    st.integers(1, 60),
)
def test_no_word_is_lost_or_moved(texts: list[str], most: int) -> None:
    for text in texts:
        passages = passages_of([text], words, most)
        title = text.strip().partition("\n\n")[0]
        if len(passages) > 1 and all(p.startswith(title) for p in passages):
            rest = [passages[0], *(p[len(title) :] for p in passages[1:])]
            assert " ".join(rest).split() == text.split()
        else:
            assert " ".join(passages).split() == text.split()
