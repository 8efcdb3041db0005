"""What is found in a text: amounts, dates, names, negations, each against the known value."""

from __future__ import annotations

import pytest

from semcache.lexical import Facts, facts


def amounts(text: str) -> list[tuple[str, str]]:
    return [(one.value, one.dimension) for one in facts(text).numbers]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("400 mcg", [("400", "mass")]),
        ("1k", [("1000", "")]),
        ("1,000", [("1000", "")]),
        ("one thousand", [("1000", "")]),
        ("two hundred and five", [("205", "")]),
        ("twenty-five people", [("25", "")]),
        ("15 percent of 5 million", [("15", "percent"), ("5000000", "")]),
        ("$1.5k and €3", [("1500", "usd"), ("3", "eur")]),
        ("a 16GB drive", [("16", "data")]),
        ("at 90 km/h", [("90", "speed")]),
        ("the 3rd and the fourth", [("3", "ordinal"), ("4", "ordinal")]),
        ("one of them", []),
        ("five lakh rupees", [("500000", "inr")]),
        ("三千五百元", [("3500", "cny")]),
        ("十万块钱", [("100000", "cny")]),
        ("两个小时", [("2", "time")]),
        ("３００克", [("300", "mass")]),
        ("第三名", [("3", "ordinal")]),
        ("一定一样", []),
    ],
)
def test_numbers(text: str, found: list[tuple[str, str]]) -> None:
    assert amounts(text) == found


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("400 mcg", "0.4 mg", True),
        ("32°F", "0 °C", True),
        ("32 degrees Fahrenheit", "32 F", True),
        ("212 F", "100 celsius", True),
        ("1 kg", "1000 grams", True),
        ("60 minutes", "1 hour", True),
        ("2斤", "1公斤", True),
        ("5 km", "5 miles", False),
        ("400 mg", "400", True),
        ("$5", "€5", False),
    ],
)
def test_amounts_are_equal_by_what_they_measure(one: str, other: str, same: bool) -> None:
    (ours,), (theirs,) = facts(one).numbers, facts(other).numbers
    assert ours.same(theirs) is same
    assert theirs.same(ours) is same


@pytest.mark.parametrize(
    "text",
    ["5 March 2024", "March 5, 2024", "March 5th 2024", "the 5th of March 2024", "2024-03-05",
     "2024/3/5", "2024年3月5日", "2024年3月5号"],
)  # fmt: skip
def test_a_date_in_any_form(text: str) -> None:
    (date,) = facts(f"Is it open on {text}?").dates
    assert date[:3] == (2024, 3, 5)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("at 3pm", "15:00"),
        ("at 3:30 pm", "15:30"),
        ("at 15:30", "15:30"),
        ("12 am", "0:00"),
        ("noon", "12:00"),
        ("下午3点半", "15:30"),
        ("at 3 o'clock", "3:00"),
    ],
)
def test_a_time_of_day(text: str, time: str) -> None:
    assert facts(text).times == (time,)


def test_a_part_of_a_date_agrees_with_the_whole() -> None:
    (part,), (whole,) = facts("March 5").dates, facts("2024-03-05").dates
    assert part.same(whole)
    assert not facts("March 6").dates[0].same(whole)


@pytest.mark.parametrize(
    ("text", "field", "found"),
    [
        ("install 1.2.3", "versions", ("1.2.3",)),
        ("install v1.2.3", "versions", ("1.2.3",)),
        ("an H1B visa", "identifiers", ("h1b",)),
        ("error 0x80070057", "identifiers", ("0x80070057",)),
        ("5G or 3D", "identifiers", ("5g", "3d")),
        ("see you tomorrow", "moments", {"day +1"}),
        ("last week", "moments", {"week -1"}),
        ("下周一", "moments", {"week +1"}),
        ("see a.py and https://x.example/y.", "literals", {"a.py", "https://x.example/y"}),
        ("what does json.loads() do", "literals", {"json.loads()"}),
        ("a == b", "literals", {"=="}),
        ("C++ or C", "literals", {"c++"}),
        ("Json.loads() or Load_it", "literals", {"json.loads()", "load_it"}),
        ('say "Good day"!', "quotes", {"good day"}),
        ("什么是“花呗”", "quotes", {"花呗"}),
        ("Did Marie Curie visit Poland?", "names", {"mari", "curi", "poland"}),
        ("is python faster", "names", {"python"}),
        ("How Do People Cook This Great Dish", "names", set()),
        ("all or some", "quantifiers", {"all", "some"}),
        ("write a haiku", "forms", {"haiku"}),
        ("who and when", "questions", ("who", "when")),
        ("how much is it", "questions", ("how much",)),
        ("after how many working days", "questions", ("how long",)),
        ("how many times a week", "questions", ("how often",)),
        ("how soon is it done", "questions", ("how soon",)),
        ("until when is it open", "questions", ("how soon",)),
        ("tell me when it opens", "questions", ("when",)),
        ("stains on shirts when washed hot", "questions", ()),
        ("is it open", "questions", ("yes or no",)),
        ("多久到账", "questions", ("how long",)),
        ("为什么不行", "questions", ("why",)),
    ],
)
def test_found(text: str, field: str, found: object) -> None:
    assert getattr(facts(text), field) == found


@pytest.mark.parametrize(
    ("text", "governed"),
    [
        ("don't cancel it", ("cancel",)),
        ("it isn’t not true", ("tru", "tru")),
        ("not only here", ()),
        ("why not?", ()),
        ("without paying", ("pay",)),
        ("花呗不能用", ("用",)),
        ("能不能用", ()),
        ("有没有", ()),
        ("还了没", ()),
        ("特别的区别", ()),
    ],
)
def test_negations_with_what_they_govern(text: str, governed: tuple[str, ...]) -> None:
    assert facts(text).negations == governed


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("How do I pay?", "en"),
        ("怎么付款", "zh"),
        ("どうやって払いますか", "ja"),
        ("어떻게 지불합니까", "ko"),
        ("Как мне заплатить", "ru"),
        ("Wie kann ich die Rechnung bezahlen", "de"),
        ("¿Cómo puedo pagar la factura por mi cuenta?", "es"),
        ("pandas drop column", ""),
    ],
)
def test_the_language(text: str, code: str) -> None:
    assert facts(text).language == code


def test_content_words_meet_in_their_inflections() -> None:
    assert facts("Stopping the parties").content == facts("stopped a party").content


@pytest.mark.parametrize(
    "text", ["", " ", "?", "\ud800", "\x00", "”“「", "١٢٣", "½ cup", "5" * 400]
)
def test_any_text_has_facts(text: str) -> None:
    assert isinstance(facts(text), Facts)


def test_facts_are_frozen_and_remembered() -> None:
    found = facts("Is it 5 pm?")
    assert facts("Is it 5 pm?") is found
    with pytest.raises(AttributeError):
        found.length = 3  # type: ignore[misc]
