"""From a kind of document to one document, with questions whose answers a program can check.

A kind says what its documents tell: for each fact, sentences that tell it and questions that ask
for it, in several wordings. One document draws a value for every slot, a wording for every
sentence, the order of the facts and which of them it tells at all.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Value:
    """What stands in the text, and what a right answer holds: one of `accepted`."""

    text: str
    accepted: tuple[str, ...]


Slot: TypeAlias = Callable[[random.Random], Value]


@dataclass(frozen=True, slots=True)
class Fact:
    """`asks`: the slots that an answer must name. No questions: the fact is told only."""

    asks: tuple[str, ...]
    sentences: tuple[str, ...]
    questions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """`key`: the slot that no two documents share; every question names it.

    `opening` facts come first, in order; of the others a document tells most, in any order.
    """

    name: str
    titles: tuple[str, ...]
    key: str
    slots: Mapping[str, Slot]
    opening: tuple[Fact, ...]
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """`accepted`: an answer must hold one of the words of each group; `answer`: as told."""

    text: str
    accepted: tuple[tuple[str, ...], ...]
    answer: str


@dataclass(frozen=True, slots=True)
class Draft:
    """One document before it has a file."""

    key: str
    title: str
    text: str
    questions: tuple[Question, ...]


def draw(kind: Kind, rng: random.Random, told: int = 5) -> Draft:
    """One document; `told` of the kind's facts come after the opening."""
    values = {name: slot(rng) for name, slot in kind.slots.items()}
    texts = {name: value.text for name, value in values.items()}
    later = rng.sample(kind.facts, min(told, len(kind.facts)))
    chosen = [*kind.opening, *later]
    sentences = [_capital(rng.choice(fact.sentences).format(**texts)) for fact in chosen]
    questions = tuple(
        Question(
            _capital(rng.choice(fact.questions).format(**texts)),
            tuple(values[name].accepted for name in fact.asks),
            ", ".join(texts[name] for name in fact.asks),
        )
        for fact in chosen
        if fact.questions
    )
    title = _capital(rng.choice(kind.titles).format(**texts))
    return Draft(texts[kind.key], title, _paragraphs(sentences, rng), questions)


def one_of(entries: Sequence[str]) -> Slot:
    """Entries are "text|accepted|accepted…"; without a bar, the text itself is accepted."""
    values = [
        Value(parts[0], tuple(parts[1:] or parts)) for e in entries if (parts := e.split("|"))
    ]
    return lambda rng: rng.choice(values)


def number(low: int, high: int, step: int = 1) -> Slot:
    """A whole number, with and without a comma at the thousands."""

    def drawn(rng: random.Random) -> Value:
        found = rng.randrange(low, high + 1, step)
        return Value(f"{found:,}", tuple(dict.fromkeys((f"{found:,}", str(found)))))

    return drawn


def year(low: int, high: int) -> Slot:
    """Written without a comma."""

    def drawn(rng: random.Random) -> Value:
        found = str(rng.randint(low, high))
        return Value(found, (found,))

    return drawn


def composed(*parts: Sequence[str], by: str = "") -> Slot:
    """A name made of one piece of each list."""

    def drawn(rng: random.Random) -> Value:
        text = by.join(rng.choice(part) for part in parts)
        return Value(text, (text,))

    return drawn


def person(first: Sequence[str], last: Sequence[Sequence[str]]) -> Slot:
    """A name; the family name alone is an answer too."""

    def drawn(rng: random.Random) -> Value:
        family = "".join(rng.choice(part) for part in last).capitalize()
        text = f"{rng.choice(first)} {family}"
        return Value(text, (text, family))

    return drawn


def date(months: Sequence[str]) -> Slot:
    """Day and month, either first."""

    def drawn(rng: random.Random) -> Value:
        day, month = rng.randint(1, 28), rng.choice(months)
        return Value(f"{day} {month}", (f"{day} {month}", f"{month} {day}"))

    return drawn


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _paragraphs(sentences: Sequence[str], rng: random.Random) -> str:
    """Two paragraphs now and then, otherwise one."""
    if len(sentences) < 5 or rng.random() < 0.5:
        return " ".join(sentences)
    cut = rng.randint(2, len(sentences) - 2)
    return " ".join(sentences[:cut]) + "\n\n" + " ".join(sentences[cut:])
