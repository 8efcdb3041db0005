"""The facts of a text: everything that two texts must agree on to have one answer."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import semcache.lexical.chinese as chinese
import semcache.lexical.gazetteer as gazetteer
import semcache.lexical.vocabulary as vocabulary
from semcache.lexical.amounts import read
from semcache.lexical.dates import Amount, Date
from semcache.lexical.literals import literals, quotes
from semcache.lexical.names import names_in
from semcache.lexical.polarity import negations_in, poles_in
from semcache.lexical.questions import questions_in
from semcache.lexical.scan import Token, normalised, tokens
from semcache.lexical.stems import stem
from semcache.lexical.tongue import tongue_of


class Facts(NamedTuple):
    """What was found in one text. Words are lower case; `content` holds stems, in order.

    `negations`: for each negating word, the stem that it governs. `poles`: axes of opposites and
    the side taken, with the word. `roles`: for each content word, the part that its preposition
    gives it. `names`: proper nouns, canonical. `kinds`: names and common nouns that compete with
    others of their class, as (class, word). `questions`: what is asked for, main question first.
    `squeezed`: the text in lower case, with one blank between words and at both ends.
    """

    length: int
    words: tuple[str, ...]
    content: tuple[str, ...]
    numbers: tuple[Amount, ...]
    units: frozenset[tuple[str, str]]
    dates: tuple[Date, ...]
    times: tuple[str, ...]
    moments: frozenset[str]
    versions: tuple[str, ...]
    identifiers: tuple[str, ...]
    negations: tuple[str, ...]
    poles: frozenset[tuple[str, int, str]]
    roles: tuple[tuple[str, str], ...]
    quantifiers: frozenset[str]
    names: frozenset[str]
    kinds: frozenset[tuple[str, str]]
    quotes: frozenset[str]
    literals: frozenset[str]
    questions: tuple[str, ...]
    forms: frozenset[str]
    language: str
    squeezed: str


@lru_cache(maxsize=8192)
def facts(text: str) -> Facts:
    """The facts of a text, English or Chinese. Pure; remembered for the texts asked last."""
    text = normalised(text)
    scanned = tokens(text)
    amounts = read(scanned)
    names, kinds = names_in(scanned, amounts.used)
    content, roles = _content(scanned, amounts.used)
    moments, quantifiers = _markers(scanned)
    return Facts(
        length=len(text),
        words=tuple(token.lower for token in scanned if token.kind != "mark"),
        content=content,
        numbers=tuple(amounts.numbers),
        units=frozenset(amounts.units),
        dates=tuple(amounts.dates),
        times=tuple(amounts.times),
        moments=moments,
        versions=tuple(amounts.versions),
        identifiers=tuple(amounts.identifiers),
        negations=negations_in(scanned),
        poles=poles_in(scanned),
        roles=roles,
        quantifiers=quantifiers,
        names=names,
        kinds=kinds,
        quotes=quotes(text),
        literals=literals(text),
        questions=questions_in(scanned),
        forms=frozenset(map(vocabulary.FORMS.__getitem__, _FORMS.intersection(content))),
        language=tongue_of(text, scanned),
        squeezed=f" {' '.join(text.lower().split())} ",
    )


_FORMS = frozenset(vocabulary.FORMS)


def _content(
    scanned: list[Token], used: set[int]
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The words that carry subject matter, and the role of each."""
    content: list[str] = []
    roles: list[tuple[str, str]] = []
    role, before = "", ""
    for at, token in enumerate(scanned):
        if token.kind == "mark":
            role = "" if token.text in ".?!,;:。？！，；：" else role
            continue
        word = token.lower
        given = vocabulary.ROLES.get(word) if token.kind == "word" else chinese.ROLES.get(word)
        if given is not None:
            if role == given == "to":  # a way to convert A to B: the first was an infinitive's
                roles = [(base, "" if part == "to" else part) for base, part in roles]
            role = _role_after(role, word, given, before)
        elif at not in used and (base := _content_word(token.kind, word)):
            content.append(base)
            roles.append((base, role))
        elif word in vocabulary.QUESTIONS:
            role = ""
        before = word
    return tuple(content), tuple(roles)


def _role_after(role: str, word: str, given: str, before: str) -> str:
    if word == "of" and role == "instead":
        return role
    if word == "to" and (before in vocabulary.EMPTY or not before):
        return ""  # an infinitive: how to, want to
    return given


@lru_cache(maxsize=16384)
def _content_word(kind: str, word: str) -> str:
    """The stem of a content word, or "" for any other."""
    if kind == "han":
        covered = word in chinese.EMPTY or word in chinese.NEGATIONS or word in chinese.QUESTIONS
        return "" if covered else word
    if kind != "word":
        return word if kind == "identifier" else ""
    if word in vocabulary.EMPTY or word in vocabulary.NEGATIONS or word.endswith("n't"):
        return ""
    return stem(gazetteer.ALIASES.get(word, word.replace("'s", "")))


_MARKERS = frozenset(
    {*vocabulary.QUANTIFIERS, *vocabulary.PERIODS, *vocabulary.MOMENTS, *vocabulary.WEEKDAYS}
    | {*chinese.QUANTIFIERS, *chinese.MOMENTS, *chinese.WEEKDAYS}
)


def _markers(scanned: list[Token]) -> tuple[frozenset[str], frozenset[str]]:
    """Days and periods relative to now (or by name), and quantifiers."""
    moments: set[str] = set()
    quantifiers: set[str] = set()
    before = ""
    for token in scanned:
        word = token.lower
        if word not in _MARKERS:
            pass
        elif token.kind == "word":
            if word in vocabulary.QUANTIFIERS:
                quantifiers.add(vocabulary.QUANTIFIERS[word])
            elif before in vocabulary.SHIFTS and word in vocabulary.PERIODS:
                moments.add(f"{word} {vocabulary.SHIFTS[before]}")
            elif moment := vocabulary.MOMENTS.get(word) or vocabulary.WEEKDAYS.get(word):
                moments.add(moment)
        elif token.kind == "han":
            if word in chinese.QUANTIFIERS:
                quantifiers.add(chinese.QUANTIFIERS[word])
            elif moment := chinese.MOMENTS.get(word) or chinese.WEEKDAYS.get(word):
                moments.add(moment)
        before = word
    return frozenset(moments), frozenset(quantifiers)
