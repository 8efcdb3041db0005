"""Labels that come with the package: they make a certificate's first day useful, marked as such.

Made by `benchmarks.training.calibration` from pairs, not from anybody's traffic, and for one set of
weights: with others they would say nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from semcache.errors import ConfigError
from semcache.verify.certify import Label
from semcache.verify.features import WEIGHTS
from semcache.verify.weight_file import read, sealed

CALIBRATION = WEIGHTS / "calibration.json"
FORMAT = "semcache calibration 1"
_FULL = "full.json"
_SCALE = 10_000  # scores are kept with four digits


def packaged_labels(path: Path = CALIBRATION) -> tuple[Label, ...]:
    """The labels for the packaged weights. Raises ConfigError where they are not for these."""
    return read(path, FORMAT, _labels)


def text_of(labels: Sequence[tuple[float, bool]]) -> str:
    """The file for these (score, wrong), made with the packaged weights."""
    rows: dict[str, list[int]] = {"right": [], "wrong": []}
    for score, wrong in labels:
        rows["wrong" if wrong else "right"].append(round(score * _SCALE))
    data: dict[str, Any] = {"format": FORMAT, "weights": _digest()}
    return sealed({**data, **{name: sorted(found) for name, found in rows.items()}})


def _labels(data: dict[str, Any]) -> tuple[Label, ...]:
    if data["weights"] != _digest():
        raise ValueError("it was made for other weights")
    return tuple(
        Label(int(score) / _SCALE, name == "wrong", source="packaged")
        for name in ("right", "wrong")
        for score in data[name]
    )


def _digest() -> str:
    try:
        return str(json.loads((WEIGHTS / _FULL).read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"The verifier's weights cannot be read: {error}") from error
