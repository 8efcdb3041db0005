"""The data sets that the shipped weights know: licence, and what each is used for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Source:
    """`share`: of its pairs that are trained on, 0..1; the others are for choosing and reporting.

    `weight`: of one of its pairs in training.
    """

    name: str
    licence: str
    share: float
    weight: float


GENERATED = Source("generated", "ours, Apache-2.0; questions of the training part", 1.0, 0.6)
KNOWN: dict[str, Source] = {
    "qqp_pairs": Source(
        "qqp_pairs",
        "Quora Question Pairs, by way of GPTCache's benchmark file; Quora's terms of release",
        0.8,
        0.7,
    ),
    "pawsx_en_half": Source(
        "pawsx_en_half", "PAWS-X, English: free for any purpose, with credit to Google", 0.6, 2.0
    ),
    "kmemo_near_miss": Source("kmemo_near_miss", "kmemo, Apache-2.0", 0.0, 0.0),
    "zh_afqmc_dev": Source("zh_afqmc_dev", "AFQMC (CLUE), for research", 0.0, 0.0),
}


def source_of(path: Path) -> Source:
    """By the file's name; of an unknown file four fifths are trained on."""
    stem = path.name.split(".")[0]
    return KNOWN.get(stem, Source(stem, "not known to this script: see to it", 0.8, 0.7))
