"""The guards: pairs to refuse, pairs to let through, and what always holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache.guards import DEFAULT_GUARDS, GUARDS, refusal

REFUSED = [
    ("numbers", "Take 400 mg?", "Take 200 mg?"),
    ("numbers", "Take 400 mcg of it?", "Take 400 mg of it?"),
    ("numbers", "Does water freeze at 32°F?", "Does water freeze at 32°C?"),
    ("numbers", "Python 3.1 or later", "Python 3.10 or later"),
    ("numbers", "1 2 2", "1 1 2"),
    ("numbers", "two tickets", "three tickets"),
    ("numbers", "the 2nd floor", "the 3rd floor"),
    ("numbers", "a loan of $5k", "a loan of €5k"),
    ("numbers", "借三千元要多少利息", "借五千元要多少利息"),
    ("numbers", "每次吃400毫克可以吗", "每次吃400微克可以吗"),
    ("units", "Convert 50 km to miles", "Convert 50 km to metres"),
    ("units", "What is 180 C in Fahrenheit?", "What is 180 C in Kelvin?"),
    ("units", "How much is it in dollars?", "How much is it in euros?"),
    ("dates", "Are you open on Monday?", "Are you open on Sunday?"),
    ("dates", "The weather on March 5, 2024", "The weather on 2024-03-06"),
    ("dates", "Will it rain today?", "Will it rain tomorrow?"),
    ("dates", "Is the bank open at 3pm?", "Is the bank open at 5pm?"),
    ("dates", "明天下雨吗", "后天下雨吗"),
    ("dates", "下午3点开门吗", "上午3点开门吗"),
    ("identifiers", "What does error 0x80070057 mean?", "What does error 0x80070058 mean?"),
    ("identifiers", "Changes in 1.2.3", "Changes in 1.2.4"),
    ("negation", "How do I cancel my order?", "How do I not cancel my order?"),
    ("negation", "Can I cancel?", "Can't I cancel?"),
    ("negation", "Should I eat before a run?", "Should I never eat before a run?"),
    ("negation", "我可以退款吗", "我不可以退款吗"),
    ("negation", "花呗为什么能用", "花呗为什么不能用"),
    ("opposites", "How do I enable dark mode?", "How do I disable dark mode?"),
    ("opposites", "How do I turn dark mode on?", "How do I turn dark mode off?"),
    ("opposites", "Is it possible to swim here?", "Is it impossible to swim here?"),
    ("opposites", "Can I eat before the test?", "Can I eat after the test?"),
    ("opposites", "怎么开通会员", "怎么关闭会员"),
    ("opposites", "How do I install it?", "How do I uninstall it?"),
    ("direction", "Fly from Rome to Paris", "Fly from Paris to Rome"),
    ("direction", "Convert USD to EUR", "Convert EUR to USD"),
    ("direction", "Is Rust faster than Go?", "Is Go faster than Rust?"),
    ("direction", "Wash the lid before the pot?", "Wash the pot before the lid?"),
    ("direction", "A formula to convert hours to pay", "A formula to convert pay to hours"),
    ("direction", "从北京到上海要多久", "从上海到北京要多久"),
    ("names", "Reverse a string in Python", "Reverse a string in ruby"),
    ("names", "When was Einstein born?", "When was Schrodinger born?"),
    ("names", "北京的天气怎么样", "上海的天气怎么样"),
    ("literals", "What is in setup.py?", "What is in setup.cfg?"),
    ("literals", "What does `ls -l` print?", "What does `ls -a` print?"),
    ("literals", "Open https://a.example/x", "Open https://a.example/y"),
    ("quotes", 'What does "ciao" mean?', 'What does "addio" mean?'),
    ("quantifiers", "Delete all photos", "Delete some photos"),
    ("question", "Who signed it?", "When was it signed?"),
    ("question", "How much is a visit?", "How often is a visit?"),
    ("question", "When does the class start?", "How long is the class?"),
    ("form", "Write a haiku about rain", "Write a sonnet about rain"),
    ("language", "How do I pay the bill here?", "怎么付账单"),
    ("substitution", "How long do I boil an egg?", "How long do I boil a lobster?"),
    ("qualifier", "How do I rotate the key?", "How do I rotate the key without downtime?"),
    ("strict_numbers", "How do I lose weight?", "How do I lose 5 kg of weight?"),
    ("strict_negation", "Why is it so slow?", "It never works well here, why?"),
    ("strict_names", "Is Anna here today?", "Will somebody please tell Carla about it?"),
    ("strict_quantifiers", "Delete all of them", "Delete them"),
    ("word_order", "Do dogs often bite men?", "Do men often bite dogs?"),
]

SERVED = [
    ("Take 400 mg?", "Should I take 400 mg?"),
    ("Is 1,000 enough?", "Is 1000 enough?"),
    ("Is 1k enough?", "Is one thousand enough?"),
    ("Does water freeze at 32°F?", "Does water freeze at 0°C?"),
    ("two tickets", "2 tickets"),
    ("which one is best", "which is best"),
    ("no numbers here", "none here"),
    ("The weather on March 5, 2024", "The weather on 2024-03-05"),
    ("Is it open at 3 pm?", "Is it open at 15:00?"),
    ("Isn't it impossible not to laugh?", "Is it impossible to laugh?"),
    ("I don’t want it", "I don't want it"),
    ("Is it not possible to return it?", "Is it impossible to return it?"),
    ("How do I return it", "How to return it"),
    ("How do I turn the wifi off?", "How do I disable the wifi?"),
    ("Do I wash the lid before the pot?", "Do I wash the pot after the lid?"),
    ("Fly from Rome to Paris", "Fly to Paris from Rome"),
    ("What is the difference between TCP and UDP?", "How do UDP and TCP differ?"),
    ("In Python, how do I sort a list?", "How do I sort a list in python?"),
    ("What is the capital of Norway?", "Good morning, what's the capital of Norway please?"),
    ("How do I clear the npm cache?", "how do i clera the npm cahce"),
    ("Why are dogs scared of fire?", "Why are dogs afraid of fire?"),
    ("How high is the Eiffel tower?", "How tall is the Eiffel tower?"),
    ("How do I turn the lamp off?", "How do I switch the lamp off?"),
    (
        "The filter method of a table selects the records that match a condition.",
        "The filter method of a table collects the records that match a condition.",
    ),
    ("How long does a refund take?", "After how many days do I have the refund?"),
    ("When do my miles expire?", "How long do frequent flyer miles stay valid?"),
    ("Why is there white film on glasses?", "White film on glassware when it comes out"),
    ("What does iter_archive() yield?", "Iter_archive() yields what?"),
    ("花呗能不能提前还款", "花呗可以提前还款吗"),
    ("怎么开通会员", "如何开通会员"),
    ("借三千元要多少利息", "借3000元要多少利息"),
    ("2024年3月5日开门吗", "2024年3月5号开门吗"),
]


@pytest.mark.parametrize(("name", "asked", "answered"), REFUSED)
def test_refused_both_ways_with_a_reason(name: str, asked: str, answered: str) -> None:
    assert " against " in (GUARDS[name](asked, answered) or "")
    assert GUARDS[name](answered, asked) is not None


@pytest.mark.parametrize(
    ("asked", "answered"), [(a, b) for name, a, b in REFUSED if name in DEFAULT_GUARDS]
)
def test_the_default_refuses_it_too(asked: str, answered: str) -> None:
    assert refusal(DEFAULT_GUARDS, asked, answered) is not None


@pytest.mark.parametrize(("asked", "answered"), SERVED)
def test_a_paraphrase_is_let_through(asked: str, answered: str) -> None:
    assert refusal(DEFAULT_GUARDS, asked, answered) is None
    assert refusal(DEFAULT_GUARDS, answered, asked) is None


def test_every_guard_has_a_pair_that_it_refuses() -> None:
    assert {name for name, _, _ in REFUSED} == set(GUARDS)


def test_the_default_is_a_part_of_the_guards() -> None:
    assert set(DEFAULT_GUARDS) < set(GUARDS)


def test_the_first_refusal_is_named() -> None:
    assert refusal((), "a 1", "not a 2") is None
    asked, answered = "Can I cancel 1 order?", "Can I not cancel 2 orders?"
    assert (refusal(("negation", "numbers"), asked, answered) or ("",))[0] == "negation"
    assert (refusal(("numbers", "negation"), asked, answered) or ("",))[0] == "numbers"


def test_a_reason_holds_what_differs_and_nothing_else_of_the_text() -> None:
    reason = GUARDS["numbers"]("Should Alice take 400 mg?", "Should Alice take 200 mg?")
    assert reason == "numbers differ: 400 mg against 200 mg"


WORDS = st.sampled_from(
    "how do i not cancel enable disable from to than before Paris Rome 3 400 mg mcg all some best "
    'worst who when `x` "a" 1.2.3 tomorrow today 5pm March 2024 花呗 不能 开通 关闭 三千 元 '
    "从 到 吗 ? , . -".split()
)
TEXTS = st.one_of(st.lists(WORDS, max_size=14).map(" ".join), st.text(max_size=60))


@given(TEXTS)
def test_no_guard_refuses_the_same_question(text: str) -> None:
    assert refusal(tuple(GUARDS), text, text) is None


@given(TEXTS, TEXTS)
def test_every_guard_is_symmetric(one: str, other: str) -> None:
    for guard in GUARDS.values():
        assert (guard(one, other) is None) == (guard(other, one) is None)
