"""The rules, on questions that the rules' authors did not write them from, and their limits."""

from __future__ import annotations

import pytest

from semcache.volatile import LASTING, Timeliness, classify


@pytest.mark.parametrize(
    "text",
    [
        "Where is my order?",
        "What is my balance?",
        "Did my payment go through?",
        "hi, where's my parcel",
        "Could you tell me when my refund will arrive?",
        "Has the shop shipped my two packages yet?",
        "How much money do I have left on my gift card?",
        "Which seat do I have on my flight to Oslo?",
        "Please cancel my subscription.",
        "What's the status of our claim?",
        "what were my last three transactions",
        "Is my prescription ready?",
        "Why was I charged twice in March?",
        "When is my next appointment?",
        "Do I have any meetings tomorrow?",
        "my account balance",
        "order status",
        "What is the status of order 4711-8890?",
        "Is there an update for ticket #90210?",
        "Can you resend the invoice to anna.schmidt@example.org?",
        "I have a question. How do returns work, and where is my order?",
        "我的订单在哪里？",
        "我的包裹到哪了",
        "我的账户余额是多少？",
        "帮我查一下我的快递",
        "我的退款怎么还没到账？",
        "我还剩多少天年假？",
        "查询我的订单",
    ],
)
def test_what_is_answered_from_ones_own_records_is_personal(text: str) -> None:
    found = classify(text)
    assert found.kind == "personal"
    assert found.p == 1.0
    assert found.reason


@pytest.mark.parametrize(
    "text",
    [
        "How do I reset my password?",
        "Where can I see my orders?",
        "How can I track my parcel?",
        "What happens if my card is declined?",
        "What should I do when my order arrives damaged?",
        "Can I change my delivery address after ordering?",
        "How long does my refund take?",
        "What are my options if a flight is cancelled?",
        "Am I allowed to take my cat on the train?",
        "Why does my laptop get hot?",
        "How do I wash my wool jumper?",
        "Write a poem about my grandmother.",
        "How to cancel my subscription",
        "Who wrote Hamlet?",
        "怎么重置我的密码？",
        "在哪里可以查看我的订单？",
        "如何取消我的订单？",
        "我的密码忘了怎么办？",
        "退货需要多久？",
    ],
)
def test_what_is_answered_the_same_for_everybody_is_not_personal(text: str) -> None:
    assert classify(text).kind == "lasting"


@pytest.mark.parametrize(
    "text",
    [
        "What is the weather in Bergen today?",
        "Will it snow tomorrow?",
        "Who is the prime minister of Italy?",
        "What is the price of gold?",
        "Which is the latest version of Django?",
        "Who won the game last night?",
        "How many followers does the band have right now?",
        "Is github.com down?",
        "今天北京的天气怎么样？",
        "现在美元汇率是多少？",
        "最新的 iPhone 是哪款？",
        "法国现任总统是谁？",
    ],
)
def test_what_changes_with_time_is_volatile(text: str) -> None:
    assert classify(text).kind == "volatile"


@pytest.mark.parametrize(
    "text",
    [
        "What time is it?",
        "what's the date today",
        "What is the current time in New York?",
        "Flip a coin",
        "Roll a dice",
        "please roll two 12-sided dice",
        "Tell me the time, please",
        "Give me a random number",
        "现在几点？",
        "今天星期几？",
        "掷骰子",
    ],
)
def test_what_is_wrong_at_the_next_asking_is_momentary(text: str) -> None:
    assert classify(text).kind == "momentary"


@pytest.mark.parametrize(
    "text",
    [
        "How do I change my current password?",
        "Who won the world cup in 2014?",
        "What was the price of gold in 1980?",
        "Who was the first president of the United States?",
        "How do I install the latest version of Python?",
        "What does 'today' mean in Spanish?",
        "What is the time complexity of quicksort?",
        "What time zone is Quito in?",
        "What is the probability of rolling a six when I throw a die?",
        "How do I get the current time in Python?",
        "当前目录怎么修改？",
        "谁发明了电话？",
    ],
)
def test_what_a_year_or_the_way_to_do_it_makes_lasting(text: str) -> None:
    assert classify(text).kind == "lasting"


def test_nothing_is_personal_where_nobody_asks_whose_it_is() -> None:
    assert classify("Where is my order?", whose=False) == LASTING
    assert classify("Is my order arriving today?", whose=False).kind == "volatile"
    assert classify("Is my order arriving today?").kind == "personal"


def test_a_record_is_found_at_both_ends_of_a_long_text() -> None:
    story = "The sea was calm and the ship went on. " * 3_000
    assert classify(f"Where is my order? {story}").kind == "personal"
    assert classify(f"{story}\nWhere is my order?").kind == "personal"
    assert classify(story) == LASTING


def test_no_text_breaks_the_rules() -> None:
    for text in ("", " ", "?", "\ud800", "my", "我的", "\x00" * 10, "@" * 5_000, "12 " * 3_000):
        assert isinstance(classify(text), Timeliness)


def test_card_numbers_and_ibans_are_contact_data() -> None:
    assert classify("Charge 4111 1111 1111 1111 again").reason == "contact data"
    assert classify("Is DE89 3704 0044 0532 0130 00 valid?").reason == "contact data"
    assert classify("What is 12 times 4711?") == LASTING
