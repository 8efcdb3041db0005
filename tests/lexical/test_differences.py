"""The differences as numbers: names, bounds, symmetry, and what each one means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache.lexical import DIFFERENCES, differences, facts
from semcache.lexical.comparison import MEANINGS


def between(one: str, other: str) -> dict[str, float]:
    return differences(facts(one), facts(other))


def test_the_names_are_fixed_and_each_has_a_meaning() -> None:
    assert tuple(between("a", "b")) == DIFFERENCES
    assert len(set(DIFFERENCES)) == len(DIFFERENCES)
    assert all(MEANINGS[name] for name in DIFFERENCES)


PIECES = st.sampled_from(
    'how do i not enable disable from to before Paris Rome 3 400 mg all who `x` "a" 1.2.3 today '
    "5pm 花呗 不能 开通 关闭 三千 元 从 到 ? ,".split()
)
TEXTS = st.one_of(st.lists(PIECES, max_size=12).map(" ".join), st.text(max_size=50))


@given(TEXTS, TEXTS)
def test_bounded_and_symmetric(one: str, other: str) -> None:
    there, back = between(one, other), between(other, one)
    assert all(0.0 <= value <= 1.0 for value in there.values())
    assert there == pytest.approx(back)


@given(TEXTS)
def test_a_text_does_not_differ_from_itself(text: str) -> None:
    found = between(text, text)
    of_both = {"both_numbers", "chinese", "template", "shortness"}
    assert {name for name, value in found.items() if value} <= of_both | {"moved", "moved_alike"}


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("number_conflict", "take 400 mg", "take 200 mg"),
        ("number_one_sided", "take a tablet", "take a 200 mg tablet"),
        ("date_conflict", "open on Monday", "open on Friday"),
        ("version_conflict", "install 1.2.3", "install 1.2.4"),
        ("name_conflict", "is Rome big", "is Oslo big"),
        ("name_one_sided", "is Rome big", "is it big"),
        ("quote_conflict", 'say "a"', 'say "b"'),
        ("literal_conflict", "open a.py", "open b.py"),
        ("quantifier_conflict", "all of them", "some of them"),
        ("form_conflict", "a haiku", "a sonnet"),
        ("both_numbers", "7 of 9", "3 of 4"),
        ("unit_conflict", "into miles", "into metres"),
        ("negation_parity", "do eat it", "don't eat it"),
        ("negation_scope", "not smoke but drink", "not drink but smoke"),
        ("opposites", "open the door", "close the door"),
        ("direction", "from Rome to Oslo", "from Oslo to Rome"),
        ("kind_conflict", "learn Python", "learn Ruby"),
        ("question_conflict", "who paid", "when paid"),
        ("question_differs", "why is it late", "how is it late"),
        ("language_conflict", "how do I pay", "怎么付款"),
        ("single_substitution", "boil an egg", "boil an ham"),
        ("rearranged", "dogs often bite men", "men often bite dogs"),
    ],
)
def test_each_flag_is_raised_by_what_it_means_alone(name: str, one: str, other: str) -> None:
    assert between(one, other)[name] == 1.0
    assert name == "both_numbers" or between(one, one)[name] == 0.0


def test_shares() -> None:
    found = between("Can I boil eggs and rice?", "Can I boil eggs and rice in milk?")
    assert found["content_added"] == 0.25  # one word of the four that count as many
    assert found["content_lacking"] == 0.0
    assert found["content_exchanged"] == 0.0
    assert found["content_distance"] == pytest.approx(1 - 3 / 4)
    assert found["template"] == pytest.approx(6 / 8)
    assert found["length_distance"] == pytest.approx(1 - 6 / 8)
    assert found["shortness"] == pytest.approx(1 - 6 / 24)


def test_spelling_slips_and_synonyms_are_no_other_words() -> None:
    assert between("purchase a camera", "buy a camrea")["content_distance"] == 0.0
    assert between("visit austria", "visit australia")["content_distance"] > 0.0


def test_order() -> None:
    straight = between("cats chase dogs", "cats chase dogs")
    turned = between("cats chase dogs", "dogs chase cats")
    assert straight["moved"] == 0.0
    assert turned["moved"] == turned["moved_alike"] == 1.0
