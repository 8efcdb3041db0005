"""How the token vectors of two questions meet: late interaction, read for what is left over.

MaxSim is ColBERT's (Khattab and Zaharia, SIGIR 2020): the cosine of a token with its nearest token
in the other text. Its mean says how alike two questions are, its lowest values name what one of
them says and the other does not. Everything here is symmetric in the two questions.

Token ids of BERT's uncased vocabulary fall with how often a word is used; rarity is read from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from semcache.sketch import Sketch

Floats: TypeAlias = NDArray[np.float32]
Rows: TypeAlias = list[list[float]]

TOKEN_FEATURES: tuple[str, ...] = (
    "maxsim",
    "maxsim_gap",
    "content_maxsim",
    "content_maxsim_low",
    "lowest",
    "lowest_other",
    "second_lowest",
    "second_lowest_other",
    "below_35",
    "below_50",
    "below_50_most",
    "below_70",
    "same_mean",
    "same_lowest",
    "token_jaccard",
    "content_jaccard",
    "inversions",
    "inversions_jaccard",
    "left_fewest",
    "left_most",
    "left_mean",
    "left_lowest",
    "left_pair_highest",
    "left_pair_mean",
    "left_rarity",
    "left_rarity_other",
    "left_one_each",
    "tokens_fewest",
    "tokens_ratio",
)

# Articles, pronouns, auxiliaries, prepositions, question words, politeness and marks, as ids of
# BERT's uncased vocabulary. Negations, `from`, `to`, `before` and `after` are content.
FUNCTION = np.zeros(30522, dtype=bool)
FUNCTION[
    [
        999, 1000, 1004, 1005, 1006, 1007, 1008, 1010, 1011, 1012, 1013, 1024, 1025, 1029, 1031,
        1033, 1036, 1037, 1040, 1045, 1049, 1055, 1056, 1516, 1517, 1521, 1523, 1524, 1529, 1996,
        1997, 1998, 1999, 2002, 2003, 2004, 2005, 2006, 2007, 2008, 2009, 2010, 2011, 2012, 2014,
        2016, 2017, 2018, 2019, 2020, 2022, 2023, 2024, 2026, 2027, 2029, 2030, 2031, 2032, 2033,
        2036, 2037, 2038, 2040, 2042, 2043, 2045, 2046, 2049, 2052, 2054, 2055, 2057, 2059, 2061,
        2064, 2065, 2066, 2068, 2070, 2071, 2073, 2074, 2079, 2084, 2089, 2097, 2106, 2108, 2113,
        2115, 2122, 2126, 2128, 2129, 2131, 2149, 2151, 2182, 2190, 2200, 2204, 2215, 2216, 2222,
        2256, 2288, 2310, 2323, 2339, 2342, 2383, 2425, 2428, 2442, 2453, 2515, 2572, 2589, 2725,
        3005, 3067, 3183, 3531, 4067, 4283, 4618, 4863, 4931, 6737, 7592, 7632, 14635,
    ]
] = True  # fmt: skip
_FUNCTION = frozenset(np.flatnonzero(FUNCTION).tolist())
_FIRST_WORD = 1996
RARITY: Floats = (np.log1p(np.maximum(np.arange(30522) - _FIRST_WORD, 0)) / 10).astype(np.float32)
_RARITY: list[float] = RARITY.tolist()


@dataclass(frozen=True, slots=True)
class Tokens:
    """One question as the comparison reads it. n tokens; `content` are places among them."""

    ids: list[int]
    vectors: Floats
    content: list[int]

    @classmethod
    def of(cls, sketch: Sketch) -> Tokens | None:
        """None for a text without tokens, and for ids of a larger vocabulary than BERT's."""
        ids = sketch.ids
        known: list[int] = ids.tolist()
        if not known or max(known) >= len(FUNCTION) or min(known) < 0:
            return None
        content = [at for at, token in enumerate(known) if token not in _FUNCTION]
        return cls(known, sketch.vectors(), content or list(range(len(known))))


def compare(ours: Tokens, theirs: Tokens) -> list[float]:
    """TOKEN_FEATURES of two questions, in order."""
    # Questions are short: rows as lists are several times quicker to read than small arrays.
    rows: list[list[float]] = (ours.vectors @ theirs.vectors.T).tolist()
    best, best_back = (
        [max(row) for row in rows],
        [max(column) for column in zip(*rows, strict=True)],
    )
    mean, mean_back = sum(best) / len(best), sum(best_back) / len(best_back)
    left = [best[at] for at in ours.content]
    right = [best_back[at] for at in theirs.content]
    jaccard = _jaccard(
        [ours.ids[at] for at in ours.content], [theirs.ids[at] for at in theirs.content]
    )
    inversions = _inversions([rows[at].index(best[at]) for at in ours.content])
    shortest, longest = sorted((len(ours.ids), len(theirs.ids)))
    return [
        (mean + mean_back) / 2,
        abs(mean - mean_back),
        *_content_means(left, right),
        *_lowest(left, right),
        *_counts(left, right),
        *_same(ours.ids, theirs.ids, rows),
        _jaccard(ours.ids, theirs.ids),
        jaccard,
        inversions,
        inversions * jaccard,
        *_left_over(ours, theirs, rows, best, best_back),
        min(shortest, 32) / 16,
        shortest / longest,
    ]


def _content_means(left: list[float], right: list[float]) -> tuple[float, float]:
    one, other = sum(left) / len(left), sum(right) / len(right)
    return (one + other) / 2, min(one, other)


def _lowest(left: list[float], right: list[float]) -> list[float]:
    """The lowest and second lowest MaxSim of either side, the lower side first."""
    one, other = sorted(left)[:2], sorted(right)[:2]
    return [*sorted((one[0], other[0])), *sorted((one[-1], other[-1]))]


def _counts(left: list[float], right: list[float]) -> list[float]:
    """How many content tokens have no counterpart, by how near the nearest is; up to 8."""
    every = left + right
    half, half_back = sum(one < 0.5 for one in left), sum(one < 0.5 for one in right)
    return [
        min(sum(one < 0.35 for one in every), 8) / 4,
        min(half + half_back, 8) / 4,
        min(max(half, half_back), 8) / 4,
        min(sum(one < 0.7 for one in every), 8) / 4,
    ]


def _same(ours: list[int], theirs: list[int], rows: Rows) -> tuple[float, float]:
    """Mean and lowest cosine of tokens that stand in both: a changed role lowers it."""
    places: dict[int, list[int]] = {}
    for at, token in enumerate(theirs):
        places.setdefault(token, []).append(at)
    found = [
        max([row[at] for at in places[token]])
        for token, row in zip(ours, rows, strict=True)
        if token in places
    ]
    return (sum(found) / len(found), min(found)) if found else (0.0, 0.0)


def _jaccard(ours: list[int], theirs: list[int]) -> float:
    one, other = set(ours), set(theirs)
    return len(one & other) / len(one | other)


def _inversions(order: list[int]) -> float:
    """The share of token pairs whose counterparts stand in the other order."""
    count = len(order)
    if count < 2:
        return 0.0
    crossed = sum([first > second for first, second in combinations(order, 2)])
    return 2 * crossed / (count * (count - 1))


def _left_over(
    ours: Tokens, theirs: Tokens, rows: Rows, best: list[float], best_back: list[float]
) -> list[float]:
    """Content tokens of one question whose ids the other lacks: how many, how far, how rare."""
    known, known_back = set(theirs.ids), set(ours.ids)
    mine = [at for at in ours.content if ours.ids[at] not in known]
    other = [at for at in theirs.content if theirs.ids[at] not in known_back]
    far = [best[at] for at in mine] + [best_back[at] for at in other]
    rare = sorted(
        (
            max([_RARITY[ours.ids[at]] for at in mine], default=0.0),
            max([_RARITY[theirs.ids[at]] for at in other], default=0.0),
        )
    )
    between = [rows[i][j] for i in mine for j in other] or [1.0]
    fewest, most = sorted((len(mine), len(other)))
    return [
        min(fewest, 8) / 4,
        min(most, 8) / 4,
        sum(far) / len(far) if far else 1.0,
        min(far, default=1.0),
        max(between),
        sum(between) / len(between),
        rare[1],
        rare[0],
        float(len(mine) == 1 and len(other) == 1),
    ]
