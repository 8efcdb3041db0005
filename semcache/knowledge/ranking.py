"""How well a passage fits a question: one number from what both kinds of search measured.

The number is a probability, fitted by `benchmarks.cag.retrieval` on questions of two sorts: about
things with names, each in a document of its own, and in other words than the answer's. It is the
probability that the passage answers the question, so a floor under it means something.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass
from math import exp

from semcache.knowledge.lexical import Term

RELEVANCE_FLOOR = 0.15
"""Keeps 99 % of the questions that have an answer where they name what they ask about, 93 % where
they are put in quite other words; declines 47 % and 27 % of those that have none."""

_BEST_PER_WEIGHT = 2.2
"""BM25 gives a term at most k1 + 1 times its weight, however often a passage says it."""

_WORD = re.compile(r"[^\W_]+(?:[-'’.][^\W_]+)*")
_PART = re.compile(r"[^\W_]+")
_SENTENCE_ENDS = frozenset(".?!:")
_NOT_NAMES = frozenset({"I", "I'm", "I've", "I'd", "I'll"})


@dataclass(frozen=True, slots=True)
class Features:
    """`cosine`: the encoder's, 0 without one; `unread`: 1 where it read question or passage not.

    `words`: 0..1, the BM25 as a share of what a passage full of the question's terms would have,
    terms that no passage has among them; `words_named`: the same, for a question with names;
    `words_unread`: the same, without a cosine. `missing`: the share of the question's names and
    numbers that the passage does not have, each as far as it is rare: where half of all passages
    speak of a thing, one of the others is hardly about something else.
    """

    cosine: float
    unread: float
    words: float
    words_named: float
    words_unread: float
    missing: float


_WEIGHTS = Features(
    11.62, unread=2.35, words=0.31, words_named=2.0, words_unread=13.0, missing=-2.63
)
_BIAS = -5.8


def features(
    cosine: float | None,
    bm25: float,
    terms: Sequence[Term],
    names: Mapping[str, float],
    text: str,
) -> Features:
    """Of a passage with this text, for the question with these terms and names (see `rarity`)."""
    most = _BEST_PER_WEIGHT * sum(term.weight for term in terms)
    words = bm25 / most if most else 0.0
    unread = cosine is None
    said = text.lower()
    missing = sum(rare for name, rare in names.items() if name not in said)
    return Features(
        cosine=cosine or 0.0,
        unread=float(unread),
        words=words,
        words_named=words if names else 0.0,
        words_unread=words if unread else 0.0,
        missing=missing / len(names) if names else 0.0,
    )


def score(of: Features) -> float:
    """The probability, 0..1."""
    logit = _BIAS + sum(w * x for w, x in zip(astuple(_WEIGHTS), astuple(of), strict=True))
    return 1.0 / (1.0 + exp(-logit))


def rarity(names: Collection[str], terms: Sequence[Term], passages: int) -> Mapping[str, float]:
    """The share of `passages` that do not have a name, 0..1; 1 for one that none is known to have.

    A name of several terms is as rare as the rarest of them.
    """
    found = {}
    for name in names:
        parts = set(_PART.findall(name))
        counts = [term.count for term in terms if term.text in parts]
        found[name] = 1.0 - min(counts, default=0) / passages if passages else 1.0
    return found


def names_in(question: str) -> frozenset[str]:
    """Names and numbers, in lower case: words with a digit, or a capital where none must be."""
    found = []
    opens = True
    for match in _WORD.finditer(question):
        word = match.group()
        capital = word[0].isupper() and not opens and word not in _NOT_NAMES
        if capital or word[1:] != word[1:].lower() or any(map(str.isdigit, word)):
            found.append(word.lower())
        opens = question[match.end() : match.end() + 1] in _SENTENCE_ENDS
    return frozenset(found)
