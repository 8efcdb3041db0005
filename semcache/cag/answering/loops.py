"""Whether an answer has begun to say the same again and again.

Greedy decoding of a small model can fall into a loop that only the token limit ends: it costs half
a minute, and an answer that was cut off is never stored. A loop of greedy decoding never ends by
itself, as the same tokens lead to the same tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

_LONGEST = 96
_REPEATED_TOKENS = 24


def is_loop(tokens: Sequence[int]) -> bool:
    """Whether the tokens end in a run that repeats: at least twice, and 24 tokens of repetition."""
    end = len(tokens)
    for period in range(1, min(_LONGEST, end // 2) + 1):
        if tokens[end - 1] != tokens[end - 1 - period]:
            continue
        repeated = max(period, _REPEATED_TOKENS)
        first = end - repeated
        if first >= period and all(tokens[at] == tokens[at - period] for at in range(first, end)):
            return True
    return False
