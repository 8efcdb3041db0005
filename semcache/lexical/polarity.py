"""Negations with what they govern, and the poles of opposites that a text takes."""

from __future__ import annotations

from functools import lru_cache

import semcache.lexical.chinese as chinese
from semcache.lexical.opposites import PHRASALS, POLES
from semcache.lexical.scan import Token
from semcache.lexical.stems import stem
from semcache.lexical.vocabulary import EMPTY, NEGATIONS

_REACH = 4
_SKIPPED_AFTER_NOT = frozenset({"only", "just", "sure"})  # not only, not sure
_SKIPPED_BEFORE_NOT = frozenset({"or", "why", "if"})  # whether or not, why not, if not
_MODIFIERS = frozenset(
    "a an the be been being to any yet able it is this that been my your".split()
)


def negations_in(tokens: list[Token]) -> tuple[str, ...]:
    """For each negating word, the stem of the word that it governs ("" at the end of a clause)."""
    found: list[str] = []
    for at, token in enumerate(tokens):
        if token.kind == "word":
            if _negates(tokens, at, token.lower):
                found.append(_governed(tokens, at))
        elif token.kind == "han" and _negates_in_chinese(tokens, at, token.text):
            found.append(_governed(tokens, at))
    return tuple(found)


def _negates(tokens: list[Token], at: int, word: str) -> bool:
    if not (word.endswith("n't") or word in NEGATIONS):
        return False
    after = tokens[at + 1].lower if at + 1 < len(tokens) else ""
    before = tokens[at - 1].lower if at else ""
    if word == "no":
        return after not in (".", ",", "") and before not in (",", "or")
    if word == "not":
        return not (
            after in _SKIPPED_AFTER_NOT or (before in _SKIPPED_BEFORE_NOT and after in "?.,")
        )
    return True


def _negates_in_chinese(tokens: list[Token], at: int, word: str) -> bool:
    if word not in chinese.NEGATIONS:
        return False
    before = tokens[at - 1].text if at else ""
    after = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if word == "不" and before and before == after:
        return False  # 行不行
    asks = word in ("没", "没有", "不") and (not after or after in "？?吗，,。")
    return not asks


def _governed(tokens: list[Token], at: int) -> str:
    for token in tokens[at + 1 : at + 1 + _REACH]:
        if token.kind == "mark":
            return ""
        if token.kind == "han":
            return token.text
        if token.lower not in _MODIFIERS and token.lower not in EMPTY:
            return stem(token.lower)
    return ""


def poles_in(tokens: list[Token]) -> frozenset[tuple[str, int, str]]:
    """The axes on which a text takes a side, as (axis, +1 or -1, the word that says so)."""
    found: set[tuple[str, int, str]] = set()
    before = ""
    for at, token in enumerate(tokens):
        word = token.lower
        if token.kind == "word":
            if word in PHRASALS:
                found.update(_phrasal(tokens, at))
            sides = _sides(word)
            if sides and before != "how":
                found.update((axis, sign, word) for axis, sign in sides)
        elif token.kind == "han":
            found.update((axis, sign, word) for axis, sign in POLES.get(word, ()))
        before = word
    return frozenset(found)


@lru_cache(maxsize=16384)
def _sides(word: str) -> tuple[tuple[str, int], ...]:
    return POLES.get(stem(word)) or ()


def _phrasal(tokens: list[Token], at: int) -> list[tuple[str, int, str]]:
    poles = PHRASALS[tokens[at].lower]
    for token in tokens[at + 1 : at + 2 + _REACH]:
        if token.lower in poles:
            axis, sign = poles[token.lower]
            return [(axis, sign, f"{tokens[at].lower} {token.lower}")]
        if token.lower in PHRASALS or token.text in ".?!,;":
            break
    return []
