"""Generated questions: as many different ones as a benchmark needs, each in other words as well.

A question is an action, a thing and a place; no two share all three. The other wording keeps the
three and changes the sentence around them, so that an encoder finds its own question nearest.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

ACTIONS = (
    "renew", "cancel", "replace", "transfer", "order", "return", "insure", "register", "repair",
    "collect", "postpone", "pay for", "give back", "sign for", "pass on", "ask for", "look after",
    "complain about", "get a refund for", "get a copy of", "get help with", "find a seller of",
    "change the name on", "read the terms of", "compare prices for", "write a review of",
)  # fmt: skip
THINGS = (
    "library card", "parking permit", "fishing licence", "bus pass", "gas meter", "rental car",
    "swimming course", "concert ticket", "house key", "garden waste bin", "dog licence",
    "train season ticket", "wedding certificate", "water bill", "broadband contract", "bicycle",
    "piano", "dishwasher", "hearing aid", "electric scooter", "storage unit", "market stall",
    "museum membership", "music lesson", "language exam", "driving test", "eye test", "flu jab",
    "allotment", "mooring", "hotel voucher", "lost suitcase", "prescription", "school uniform",
    "pension statement", "tax return", "burglar alarm", "solar panel", "roof rack", "wheelchair",
    "tent pitch", "ski pass", "gym locker", "film camera", "sewing machine", "birth certificate",
    "street party", "blood test", "cat carrier", "phone number", "job application", "mattress",
    "window blind", "cooking class", "ferry crossing", "newspaper subscription", "coffee machine",
    "travel adapter", "charity donation", "vintage radio",
)  # fmt: skip
PLACES = (
    "Lisbon", "Oslo", "Nairobi", "Lima", "Kyoto", "Dublin", "Cairo", "Toronto", "Hanoi", "Athens",
    "Geneva", "Mumbai", "Sydney", "Havana", "Vienna", "Tunis", "Seoul", "Boston", "Accra", "Riga",
    "Bogotá", "Manila", "Prague", "Dakar", "Naples", "Denver", "Jakarta", "Tallinn", "Quito",
    "Glasgow", "Muscat", "Santiago", "Bergen", "Kampala", "Montreal", "Seville", "Osaka", "Tbilisi",
    "Lyon", "Perth", "Krakow", "Amman", "Chicago", "Rabat", "Malmö", "Bangkok", "Zagreb", "Caracas",
    "Leeds", "Colombo", "Antwerp", "Windhoek", "Taipei", "Porto", "Bremen", "Kigali", "Austin",
    "Salzburg", "Baku", "Cork", "Doha", "Galway", "Harare", "Izmir", "Jaipur", "Kolkata", "Luanda",
    "Marseille", "Nicosia", "Odense", "Palermo", "Reykjavik",
)  # fmt: skip
STORED = "How do I {action} a {thing} in {place}?"
ASKED = (
    "What is the way to {action} a {thing} in {place}?",
    "I live in {place}. How can I {action} a {thing}?",
    "Please tell me how to {action} a {thing} when I am in {place}.",
    "In {place}, what are the steps to {action} a {thing}?",
)
MOST = len(ACTIONS) * len(THINGS) * len(PLACES)


@dataclass(frozen=True, slots=True)
class Question:
    """One question as it is stored, the same in other words, and the answer to both."""

    stored: str
    asked: str
    answer: str


def questions(count: int, seed: int = 0) -> list[Question]:
    """`count` different questions, in an order that mixes actions, things and places.

    Raises ValueError where there are not so many.
    """
    if count > MOST:
        raise ValueError(f"there are {MOST} questions, not {count}")
    numbers = random.Random(seed).sample(range(MOST), count)
    return [_question(number, at) for at, number in enumerate(numbers)]


def _question(number: int, at: int) -> Question:
    rest, action = divmod(number, len(ACTIONS))
    place, thing = divmod(rest, len(THINGS))
    words = {"action": ACTIONS[action], "thing": THINGS[thing], "place": PLACES[place]}
    return Question(
        stored=STORED.format(**words),
        asked=ASKED[at % len(ASKED)].format(**words),
        answer=_answer(at, words),
    )


def _answer(at: int, words: dict[str, str]) -> str:
    """A few sentences that begin with a mark of their own, so that a wrong answer shows."""
    return (
        f"<{at:06d}> To {words['action']} a {words['thing']} in {words['place']}, go to the "
        "service desk with proof of who you are and of where you live. The desk is open on "
        "working days. You get a receipt at once and the decision by letter within two weeks; "
        "until then the receipt is enough for everybody who asks."
    )
