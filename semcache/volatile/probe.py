"""A linear probe: P(the answer changes with time) from the vector of a question.

Its weights are tied to the encoders whose vectors they were trained on; for any other there is no
probe. They are made by `python -m benchmarks.training.volatile` and read from JSON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from semcache.interfaces import Vector

WEIGHTS = "weights.json"


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """p = 1 / (1 + exp(-(weights · vector + bias))).

    `weights` has shape (dim,), for unit vectors of the encoders with these fingerprints. From
    `threshold` on a question counts as volatile.
    """

    weights: Vector
    bias: float
    threshold: float
    encoders: frozenset[str]

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Probe:
        """Read what the training wrote. Raises ValueError for what is no probe."""
        try:
            weights = np.asarray(values["weights"], dtype=np.float32)
            bias, threshold = float(values["bias"]), float(values["threshold"])
            encoders = frozenset(map(str, values["encoders"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"these are no weights of a probe: {error}") from error
        if weights.ndim != 1 or not np.isfinite(weights).all() or not math.isfinite(bias):
            raise ValueError("a probe's weights are one row of finite numbers")
        if not 0.0 < threshold < 1.0:
            raise ValueError("a probe's threshold is a probability")
        return cls(weights, bias, threshold, encoders)

    def probability(self, vector: Vector) -> float:
        """P(the answer changes with time) of a unit vector of shape (dim,)."""
        logit = float(self.weights @ vector) + self.bias
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, logit))))


@cache
def packaged_probe(encoder: str) -> Probe | None:
    """The probe for the encoder with this fingerprint, or None: then only the rules speak."""
    text = files("semcache.volatile").joinpath(WEIGHTS).read_text(encoding="utf-8")
    probe = Probe.from_mapping(json.loads(text))
    return probe if encoder in probe.encoders else None
