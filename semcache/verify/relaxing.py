"""Which guards a deployment's own labels have shown to be mistaken there. Pure.

A guard that refuses "book a table for two" where the answer to "book a table for four" is meant
costs an intent bot its hits. A guard loses its veto where, of what it refused, so few answers would
have been wrong that at 95 % confidence fewer than MOST_WRONG are; it stays a feature of the score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from semcache.verify.adaptive import guard_of
from semcache.verify.bounds import binomial_upper

MOST_WRONG = 0.3
_ALPHA = 0.05


def relaxed_guards(
    names: Sequence[str], rows: Sequence[Mapping[str, float]], wrong: Sequence[bool]
) -> frozenset[str]:
    """Of these guards those without a veto any more, by labels of what they refused."""
    counts = {name: [0, 0] for name in names}
    for row, bad in zip(rows, wrong, strict=True):
        guard = guard_of(row)
        if guard in counts:
            counts[guard][0] += 1
            counts[guard][1] += bad
    return frozenset(
        name
        for name, (labels, faults) in counts.items()
        if labels and binomial_upper(faults, labels, _ALPHA) < MOST_WRONG
    )
