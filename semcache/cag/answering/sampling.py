"""From logits to the next token.

Greedy unless a temperature above 0 is asked for. A sampled choice has a generator of its own, so
the same seed gives the same answer whatever else runs. Penalties are OpenAI's: over the tokens
generated so far, `frequency_penalty` times their count and `presence_penalty` once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to choose. `logit_bias` maps token ids to what is added to their logits."""

    temperature: float = 0.0
    top_p: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """Whether the logits are used as they are."""
        return not (self.logit_bias or self.presence_penalty or self.frequency_penalty)


class Sampler:
    """Chooses the tokens of one choice; not for sharing."""

    def __init__(self, sampling: Sampling, seed: int) -> None:
        self._sampling = sampling
        self._counts: Counter[int] = Counter()
        self._generator = torch.Generator()
        self._generator.manual_seed(seed & (2**64 - 1))

    def choose(self, logits: torch.Tensor) -> int:
        """The next token from `logits` of shape (vocabulary,), on any device."""
        logits = self._adjusted(logits)
        token = self._drawn(logits) if self._sampling.temperature > 0 else int(logits.argmax())
        if not self._sampling.is_plain:
            self._counts[token] += 1
        return token

    def _adjusted(self, logits: torch.Tensor) -> torch.Tensor:
        how = self._sampling
        if how.is_plain:
            return logits
        logits = logits.float().cpu().clone()
        for token, bias in how.logit_bias.items():
            logits[token] += bias
        for token, count in self._counts.items():
            logits[token] -= how.presence_penalty + how.frequency_penalty * count
        return logits

    def _drawn(self, logits: torch.Tensor) -> int:
        how = self._sampling
        weights = torch.softmax(logits.double().cpu() / how.temperature, dim=-1)
        if how.top_p >= 1:
            return int(torch.multinomial(weights, 1, generator=self._generator))
        weights, tokens = weights.sort(descending=True, stable=True)
        outside = weights.cumsum(0) - weights >= how.top_p
        outside[0] = False  # the likeliest token stays, even at top_p 0
        weights = weights.masked_fill(outside, 0.0)
        return int(tokens[torch.multinomial(weights, 1, generator=self._generator)])
