"""Proper nouns: capitalised words, and names that the gazetteer knows in any case."""

from __future__ import annotations

from functools import lru_cache

import semcache.lexical.chinese as chinese
from semcache.lexical.gazetteer import ALIASES, CLASS_OF, COMMON, NEVER
from semcache.lexical.measures import UNITS
from semcache.lexical.scan import Token
from semcache.lexical.stems import stem
from semcache.lexical.vocabulary import EMPTY

_ENDS = frozenset(".?!:\"“”'()*-。？！：")
_SHORT_WORDS = 3  # a, in, the: small even in titles

Kinds = frozenset[tuple[str, str]]


def names_in(tokens: list[Token], used: set[int]) -> tuple[frozenset[str], Kinds]:
    """The names of a text, and the (class, word) of those that compete with others.

    `used`: the tokens that are part of an amount.
    """
    names: set[str] = set()
    kinds: set[tuple[str, str]] = set()
    capitals = _capitals_tell(tokens)
    first = True
    for at, token in enumerate(tokens):
        if token.kind == "word":
            name, kind = ("", "") if at in used else _english(token, first, capitals)
        elif token.kind == "han":
            name, kind = token.text, chinese.NAMES.get(token.text, "")
            name = name if kind else ""
        else:
            first = first or token.text in _ENDS
            continue
        first = False
        if kind:
            kinds.add((kind, name))
        if name and kind not in COMMON:
            names.add(name)
    return frozenset(names), frozenset(kinds)


@lru_cache(maxsize=16384)
def _known(lower: str) -> tuple[str, str]:
    """The word that stands for this one, and its class."""
    word = lower.removesuffix("'s")
    word = ALIASES.get(word, word)
    kind = CLASS_OF.get(word) or CLASS_OF.get(stem(word), "")
    return (stem(word) if kind and word not in CLASS_OF else word), kind


def _english(token: Token, first: bool, capitals: bool) -> tuple[str, str]:
    word, kind = _known(token.lower)
    if kind:
        return word, kind
    if not token.text[0].isupper():
        return "", ""
    if word == "us" and token.text in ("US", "USA", "America", "American", "Americans"):
        return word, "country"
    if word in NEVER or word in EMPTY or word in UNITS:
        return "", ""
    inner = token.text[1:] != token.text[1:].lower()
    if capitals and (inner or not first):
        return stem(word), ""
    return "", ""


def _capitals_tell(tokens: list[Token]) -> bool:
    """Whether capitals mark names here: not in titles, nor where everything is in capitals."""
    long = [token for token in tokens if token.kind == "word" and len(token.text) > _SHORT_WORDS]
    upper = sum(token.text[0].isupper() for token in long)
    return len(long) < 5 or upper <= 0.6 * len(long)
