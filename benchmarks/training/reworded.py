"""Questions said in quite other words, written by hand, and their near misses.

A line of `reworded.tsv` is one meaning: wordings of it, and, behind a `!`, questions that look like
it and mean something else. One line in five is held out.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from benchmarks.training.pairs import Pair

_FILE = Path(__file__).with_name("reworded.tsv")
_HELD_OUT = 5


def reworded(rng: random.Random, *, held_out: bool) -> Iterator[Pair]:
    """All pairs of one part: wordings with each other, and with the near misses."""
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        if (zlib.crc32(line.encode()) % _HELD_OUT == 0) is not held_out:
            continue
        cells = line.split("\t")
        same = [cell for cell in cells if not cell.startswith("!")]
        others = [cell[1:] for cell in cells if cell.startswith("!")]
        pairs = [Pair(one, other, True, "reworded") for one, other in combinations(same, 2)]
        pairs += [Pair(one, other, False, "near miss") for one in same for other in others]
        for pair in pairs:
            yield (
                pair
                if rng.random() < 0.5
                else Pair(pair.answered, pair.asked, pair.same, pair.category)
            )
