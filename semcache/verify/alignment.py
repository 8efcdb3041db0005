"""A learned reading of two token matrices: what each token finds in the other question.

Decomposable attention (Parikh et al. 2016, arXiv 1606.01933) on the encoder's token vectors,
reduced to what a cache can pay for: a low-rank projection, soft alignment both ways, a comparison
of each token with what it found there, mean and maximum over the tokens, and two small layers. Some
24,000 weights. It sees which words were exchanged where features see only that some were.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from semcache.verify.tokens import Tokens
from semcache.verify.weight_file import Floats, array, read

FORMAT = "semcache alignment 1"


@dataclass(frozen=True, slots=True)
class Alignment:
    """Kernels are (inputs, outputs). `sharpness` multiplies the attention's logits."""

    projection: Floats
    sharpness: float
    compare: tuple[Floats, Floats]
    hidden: tuple[Floats, Floats]
    output: tuple[Floats, Floats]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a weight file. Raises ConfigError where it is not whole, or not of this form."""
        return read(path, FORMAT, cls.of)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        """From the parsed file. Raises ValueError, KeyError or TypeError."""
        dim, rank = int(data["dim"]), int(data["rank"])
        width, hidden = len(data["compare_bias"]), len(data["hidden_bias"])
        sharpness = float(data["sharpness"])
        if not np.isfinite(sharpness):
            raise ValueError("the sharpness is not finite")
        return cls(
            array(data["projection"], dim, rank),
            sharpness,
            (array(data["compare"], 3 * rank, width), array(data["compare_bias"], width)),
            (array(data["hidden"], 2 * width, hidden), array(data["hidden_bias"], hidden)),
            (array(data["output"], hidden, 1), array(data["output_bias"], 1)),
        )

    @property
    def dim(self) -> int:
        """The length of the token vectors that it reads."""
        return len(self.projection)

    def project(self, tokens: Tokens) -> Floats:
        """Token vectors as it compares them, (n, rank): once for each question."""
        found: Floats = tokens.vectors @ self.projection
        return found

    def logit(self, ours: Floats, theirs: Floats) -> float:
        """Log odds that two projected questions share an answer; symmetric."""
        met = (ours @ theirs.T) * np.float32(self.sharpness)
        both = self._side(ours, theirs, met) + self._side(theirs, ours, met.T)
        inner = np.tanh(both @ self.hidden[0] + self.hidden[1])
        return float((inner @ self.output[0] + self.output[1])[0])

    def _side(self, ours: Floats, theirs: Floats, met: Floats) -> Floats:
        shares = np.exp(met - met.max(axis=1, keepdims=True))
        found = (shares @ theirs) / shares.sum(axis=1, keepdims=True)
        joined = np.concatenate((ours, np.abs(ours - found), ours * found), axis=1)
        seen = np.maximum(joined @ self.compare[0] + self.compare[1], 0)
        return np.concatenate((seen.mean(axis=0), seen.max(axis=0)))
