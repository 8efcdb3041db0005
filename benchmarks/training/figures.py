"""What a score is worth: the figures that the training reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.training.pairs import Pair


def auc(scores: NDArray[Any], same: NDArray[np.bool_]) -> float:
    """Probability that a paraphrase is above a trap; ties count half (Mann-Whitney)."""
    traps = np.sort(scores[~same])
    right = scores[same]
    if not len(traps) or not len(right):
        return float("nan")
    below = np.searchsorted(traps, right, side="left")
    not_above = np.searchsorted(traps, right, side="right")
    return float((below + not_above).mean() / 2 / len(traps))


def cut_at(scores: NDArray[Any], same: NDArray[np.bool_], share: float) -> float:
    """The score above which at most this share of the traps lies."""
    traps = np.sort(scores[~same])[::-1]
    return float(traps[min(len(traps) - 1, int(share * len(traps)))])


def hits_at(scores: NDArray[Any], same: NDArray[np.bool_], share: float) -> float:
    """Share of paraphrases above the cut that lets through at most this share of traps."""
    return float((scores[same] > cut_at(scores, same, share)).mean())


def curve(scores: NDArray[Any], same: NDArray[np.bool_]) -> dict[str, float]:
    """AUC, and hits at 1, 5 and 11 % of traps."""
    found = {"auc": auc(scores, same)}
    found |= {f"hits@{p}%": hits_at(scores, same, p / 100) for p in (1, 5, 11)}
    return {name: round(value, 3) for name, value in found.items()}


def served(
    scores: NDArray[Any], pairs: Sequence[Pair], threshold: float
) -> dict[str, dict[str, float]]:
    """Share served at a threshold by label, and by class of trap or paraphrase."""
    groups: dict[str, list[bool]] = {}
    for score, pair in zip(scores.tolist(), pairs, strict=True):
        label = "paraphrases" if pair.same else "traps"
        groups.setdefault(label, []).append(score >= threshold)
        if pair.category:
            groups.setdefault(f"{label[:-1]}: {pair.category}", []).append(score >= threshold)
    return {
        name: {"served": round(sum(hits) / len(hits), 4), "of": len(hits)}
        for name, hits in sorted(groups.items())
    }
