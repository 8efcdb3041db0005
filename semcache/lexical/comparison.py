"""The differences of two texts as numbers: what a verifier learns from.

Every value lies in 0..1 and is the same for (a, b) and (b, a). Names that end in

    _conflict   1 if each text has something of the kind that the other lacks
    _one_sided  1 if only one of them has
    _distance   share of the items of both that have no counterpart (0: equal, or none at all)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache

import semcache.lexical.contrasts as contrasts
from semcache.lexical.contrasts import Contrast
from semcache.lexical.extraction import Facts
from semcache.lexical.order import moved, rearranged, template
from semcache.lexical.pairing import words_apart

_SIDED: tuple[tuple[str, Callable[[Facts, Facts], Contrast | None]], ...] = (
    ("number", contrasts.numbers),
    ("date", contrasts.dates),
    ("version", contrasts.versions),
    ("name", contrasts.names),
    ("quote", contrasts.quotes),
    ("literal", contrasts.literals),
    ("quantifier", contrasts.quantifiers),
    ("form", contrasts.form),
)
_CONFLICTS: tuple[tuple[str, Callable[[Facts, Facts], Contrast | None]], ...] = (
    ("unit_conflict", contrasts.units),
    ("negation_parity", contrasts.negation),
    ("negation_scope", contrasts.scope),
    ("opposites", contrasts.opposites),
    ("direction", contrasts.direction),
    ("kind_conflict", contrasts.kinds),
    ("question_conflict", contrasts.question),
    ("language_conflict", contrasts.language),
)
_MANY = 4  # this many words count as fully different
_LONG = 24  # words of a text that is not short

MEANINGS: dict[str, str] = {
    **{f"{name}_conflict": f"each has a {name} that the other lacks" for name, _ in _SIDED},
    **{f"{name}_one_sided": f"only one has a {name} that the other lacks" for name, _ in _SIDED},
    "number_distance": "share of numbers without an equal",
    "name_distance": "share of names without a counterpart",
    "both_numbers": "both texts hold numbers",
    "unit_conflict": "units without a number differ within one dimension",
    "negation_parity": "one is negated, the other is not",
    "negation_scope": "both are negated, each of something that the other affirms",
    "opposites": "words of opposite poles",
    "direction": "two things exchanged their roles: from A to B, from B to A",
    "kind_conflict": "two names of one class: two countries, two languages",
    "question_conflict": "one asks who, the other when",
    "question_differs": "the first question words differ",
    "language_conflict": "two languages",
    "chinese": "share of Chinese characters among both texts' words, at most 1",
    "word_distance": "1 - Jaccard of all words",
    "content_distance": "1 - Jaccard of content words, spelling slips forgiven",
    "trigram_distance": "1 - Jaccard of character trigrams",
    "content_lacking": "share of the shorter content that the longer one lacks",
    "content_added": (
        "content words that only one has, while the other has none of its own; 4 or more: 1"
    ),
    "content_exchanged": "pairs of content words without a counterpart on both sides; 4 or more: 1",
    "single_substitution": "all words equal but one on each side",
    "template": "share of the longer text's words in the common beginning and end",
    "moved": "share of pairs of shared content words in the other order",
    "moved_alike": "moved times the Jaccard of content words: other order, same words",
    "rearranged": "the same content words in another order, beyond moving one part",
    "length_distance": "1 - shorter / longer, in words",
    "shortness": "how short the shorter text is: 1 - words / 24, at least 0",
}
DIFFERENCES: tuple[str, ...] = tuple(MEANINGS)


_SIDED_NAMES = tuple(
    (
        f"{name}_conflict",
        f"{name}_one_sided",
        f"{name}_distance" if name in ("number", "name") else "",
        contrast,
    )
    for name, contrast in _SIDED
)
_ITEMS: Mapping[str, Callable[[Facts, Facts], tuple[Collection[object], Collection[object]]]] = {
    "number_distance": lambda a, b: (a.numbers, b.numbers),
    "name_distance": lambda a, b: (a.names, b.names),
}


def differences(a: Facts, b: Facts) -> dict[str, float]:
    """The differences of two texts by name, in the order of `DIFFERENCES`; see `MEANINGS`."""
    found = dict.fromkeys(DIFFERENCES, 0.0)
    for conflict, one_sided, distance, contrast in _SIDED_NAMES:
        sides = contrast(a, b)
        if sides is not None:
            found[conflict if sides.crossed else one_sided] = 1.0
            if distance:
                found[distance] = _share(sides, *_ITEMS[distance](a, b))
    for name, contrast in _CONFLICTS:
        if contrast(a, b) is not None:
            found[name] = 1.0
    found["both_numbers"] = float(bool(a.numbers and b.numbers))
    found["question_differs"] = float(a.questions[:1] != b.questions[:1])
    found.update(_overlap(a, b))
    found.update(_layout(a, b))
    return found


def _share(sides: Contrast, ours: Collection[object], theirs: Collection[object]) -> float:
    return (len(sides.ours) + len(sides.theirs)) / (len(ours) + len(theirs))


def _overlap(a: Facts, b: Facts) -> dict[str, float]:
    only, missing = words_apart(a.content, b.content)
    size, other = len(a.content), len(b.content)
    shared = (size - len(only) + other - len(missing)) / 2
    union = size + other - shared
    lacking = only if size < other else missing if other < size else min(only, missing, key=len)
    return {
        "word_distance": _jaccard_distance(frozenset(a.words), frozenset(b.words)),
        "content_distance": 1.0 - shared / union if union else 0.0,
        "trigram_distance": _jaccard_distance(_trigrams(a.squeezed), _trigrams(b.squeezed)),
        "content_lacking": len(lacking) / max(1, min(size, other)),
        "content_added": 0.0 if only and missing else min(1.0, len(only + missing) / _MANY),
        "content_exchanged": min(1.0, min(len(only), len(missing)) / _MANY),
    }


def _layout(a: Facts, b: Facts) -> dict[str, float]:
    frame = template(a.words, b.words)
    short, long = sorted((len(a.words), len(b.words)))
    # Both ways, for a word that comes twice has one place in each text only.
    inverted = (moved(a, b) + moved(b, a)) / 2
    alike = 1.0 - _jaccard_distance(frozenset(a.content), frozenset(b.content))
    return {
        "chinese": (_han(a) + _han(b)) / max(1, short + long),
        "single_substitution": float(len(frame.ours) == len(frame.theirs) == 1),
        "template": frame.shared / max(1, long),
        "moved": inverted,
        "moved_alike": inverted * alike,
        "rearranged": float(rearranged(a, b) or rearranged(b, a)),
        "length_distance": 1.0 - short / long if long else 0.0,
        "shortness": max(0.0, 1.0 - short / _LONG),
    }


def _han(facts: Facts) -> int:
    return 0 if facts.squeezed.isascii() else sum(word >= "\u3400" for word in facts.words)


@lru_cache(maxsize=8192)
def _trigrams(text: str) -> frozenset[str]:
    return frozenset(text[at : at + 3] for at in range(len(text) - 2))


def _jaccard_distance(ours: frozenset[str], theirs: frozenset[str]) -> float:
    shared = len(ours & theirs)
    together = len(ours) + len(theirs) - shared
    return 1.0 - shared / together if together else 0.0
