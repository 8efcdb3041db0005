"""A trained head: named features in, the probability of a right answer out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from semcache.onnx_graph import open_session
from semcache.verify.members import Layers, Trees, mean_graph, member_of
from semcache.verify.weight_file import Floats, array, read

FORMAT = "semcache pair head 1"
_EXTREME = np.float32(30)


@dataclass(frozen=True, slots=True)
class Wary:
    """Where every feature at `places` lies between `least` and `most`, log odds lose `by`.

    For a kind of pair on which the members are known to be right less often than they believe.
    """

    places: tuple[int, ...]
    least: Floats
    most: Floats
    by: float

    def loss(self, features: Floats) -> Floats:
        """(n,) to take from the log odds of features (n, inputs)."""
        part = features[:, list(self.places)]
        inside = ((part >= self.least) & (part <= self.most)).all(axis=1)
        return np.where(inside, np.float32(self.by), np.float32(0))


@dataclass(frozen=True, slots=True)
class Head:
    """`inputs` are the names of the features it takes, in order.

    `threshold`: serve at this probability or above. `encoders`: fingerprints of the encoders that
    it was trained for. `outside`: the share of another model's log odds beside the members' mean.
    """

    inputs: tuple[str, ...]
    mean: Floats
    scale: Floats
    members: tuple[Layers | Trees, ...]
    threshold: float
    encoders: frozenset[str]
    wary: tuple[Wary, ...] = ()
    outside: float = 0.0
    session: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        session = open_session(mean_graph(self.members, len(self.inputs)))
        object.__setattr__(self, "session", session)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a weight file. Raises ConfigError where it is not whole, or not of this form."""
        return read(path, FORMAT, cls.of)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        """From the parsed file. Raises ValueError, KeyError or TypeError."""
        inputs = tuple(str(name) for name in data["inputs"])
        size = len(inputs)
        mean, scale = array(data["mean"], size), array(data["scale"], size)
        if not bool((scale > 0).all()):
            raise ValueError("a scale is not above 0")
        threshold = float(data["threshold"])
        if not 0 < threshold <= 1:
            raise ValueError("the threshold is no probability")
        members = tuple(member_of(one, size) for one in data["members"])
        if not members:
            raise ValueError("it has no members")
        encoders = frozenset(str(one) for one in data["encoders"])
        wary = tuple(_wary(one, inputs) for one in data.get("wary") or ())
        outside = float(data.get("outside", 0.0))
        if not 0 <= outside < 1:
            raise ValueError("the share of another model is out of range")
        return cls(inputs, mean, scale, members, threshold, encoders, wary, outside)

    def probability(self, features: Floats) -> Floats:
        """Probabilities (n,) of features (n, inputs), in the order of `inputs`.

        Raises ValueError for another shape. What is not finite counts as 0, a refusal. Only for a
        head without a share of another model.
        """
        return chances(self.log_odds(features))

    def log_odds(self, features: Floats) -> Floats:
        """The members' mean, as far as their share goes, less what wary rules take: (n,).

        Minus infinity where a feature is not finite. Raises ValueError for another shape.
        """
        if features.ndim != 2 or features.shape[1] != len(self.inputs):
            raise ValueError(f"features have the shape (n, {len(self.inputs)})")
        sound = np.asarray(np.isfinite(features).all(axis=1))
        every = bool(sound.all())
        known = features if every else np.where(sound[:, None], features, self.mean)
        rows = ((known - self.mean) / self.scale).astype(np.float32, copy=False)
        found: Floats = self.session.run(None, {"rows": rows})[0][:, 0]
        if self.outside:
            found *= np.float32(1 - self.outside)
        for rule in self.wary:
            found -= rule.loss(known)
        if not every:
            found[~sound] = -np.inf
        return found


def chances(log_odds: Floats) -> Floats:
    """Probabilities; 0 for minus infinity and for what is no number."""
    held = np.minimum(np.maximum(log_odds, -_EXTREME), _EXTREME)
    found: Floats = np.asarray(1 / (1 + np.exp(-held)), dtype=np.float32)
    found[~(log_odds > -np.inf)] = 0
    return found


def _wary(data: Any, inputs: tuple[str, ...]) -> Wary:
    limits = data["between"]
    least, most = zip(*limits.values(), strict=True)
    by = float(data["by"])
    if not 0 <= by < _EXTREME:
        raise ValueError("a loss of log odds is out of range")
    places = tuple(inputs.index(name) for name in limits)
    return Wary(places, array(least, len(limits)), array(most, len(limits)), by)
